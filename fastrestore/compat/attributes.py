"""Profiles of other packages: objects with writable attributes, and their conversion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from fastrestore._arrays import validate
from fastrestore._collaborative.profile import PROFILES, Profile

REFILTER_THRESHOLD = 3.0  # default of `residual_thr`, in standard deviations


class Attributes:
    """An object whose attributes are those of its class; unknown names are refused."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or not hasattr(type(self), name):
            known = ", ".join(each for each in dir(type(self)) if not each.startswith("_"))
            raise AttributeError(
                f"{type(self).__name__} has no attribute {name!r}; its attributes are {known}"
            )
        object.__setattr__(self, name, value)


P = TypeVar("P", bound=Attributes)


class Field(NamedTuple):
    """The fields of `Profile` that an attribute sets, and how its value is converted."""

    fields: tuple[str, ...]
    convert: Callable[[Any], Any] = lambda value: value
    relative: bool = False  # the ratio of value and default multiplies the default of the library


def named(profile: Any, classes: dict[str, type[P]], base: type[P]) -> P:
    """Return the profile of a name, or the profile itself."""
    if isinstance(profile, base):
        return profile
    if not isinstance(profile, str) or profile not in classes:
        raise TypeError(
            f"profile must be one of {', '.join(map(repr, classes))}, or a {base.__name__}, got "
            f"{validate.quoted(profile)}"
        )
    return classes[profile]()


def whole(value: Any) -> int:
    """Return a whole number; raise if it is none."""
    return validate.integer("the number", value, least=0, most=2**31)


def positive(value: Any) -> float:
    """Return a number of 0 or more; raise if it is none."""
    return validate.number("the number", value, least=0)


def power_of_two(value: Any) -> int:
    """Return the largest power of two that is not larger."""
    return 1 << (max(1, whole(value)).bit_length() - 1)


def defaults(given: Attributes) -> type[Attributes]:
    """Return the class of this package whose values are the defaults of a profile."""
    return next(each for each in type(given).__mro__ if each.__module__.startswith("fastrestore."))


def changed(given: Attributes, name: str) -> bool:
    """Whether an attribute differs from the default of its class."""
    return bool(getattr(given, name) != getattr(defaults(given), name))


def check_fixed(given: Attributes, fixed: dict[str, str]) -> None:
    """Raise if an attribute for which there is one value only has another."""
    for name, reason in fixed.items():
        if changed(given, name):
            default = getattr(defaults(given), name)
            raise ValueError(
                f"{name}={validate.quoted(getattr(given, name))} is not supported: {reason}; "
                f"leave it {default!r}"
            )


def converted(given: Attributes, base: Profile, table: dict[str, Field]) -> Profile:
    """Return a profile with the fields of all attributes that were changed."""
    changes: dict[str, Any] = {}
    for name, field in table.items():
        if changed(given, name):
            value = getattr(given, name)
            try:
                number = field.convert(value)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{name}={validate.quoted(value)}: {error}") from error
            for each in field.fields:
                factor = (
                    getattr(base, each) / getattr(defaults(given), name) if field.relative else 1
                )
                changes[each] = number * factor if field.relative else number
    try:
        return base.replace(**changes) if changes else base
    except (TypeError, ValueError) as error:
        about = str(error).partition(" ")[0]
        names = [name for name, field in table.items() if about in field.fields]
        given_as = f"{names[0]}={validate.quoted(getattr(given, names[0]))}: " if names else ""
        raise type(error)(f"{given_as}{error}") from error


def refiltering(given: Any, base: Profile) -> Profile:
    """Return a profile that filters again if `denoise_residual` is True, and else does not.

    With the usual numbers it iterates, which restores more than to filter the residual.
    """
    if not given.denoise_residual:
        return base.replace(residual=0.0) if base.residual else base
    threshold = validate.number("residual_thr", given.residual_thr, above=0)
    normal, repeated = PROFILES["np"], PROFILES["refilter"]
    numbers = ("threshold_residual", "wiener_residual", "sharpen")
    usual = all(getattr(base, name) == getattr(normal, name) for name in numbers)
    if usual and threshold == REFILTER_THRESHOLD:
        return base.replace(residual=0.0, iterations=PROFILES["iterative"].iterations)
    changes: dict[str, float] = {
        "residual": repeated.residual * (threshold / REFILTER_THRESHOLD) ** 2
    }
    for name in ("match_correlation_basic", "match_correlation_final"):
        if getattr(base, name) == getattr(normal, name):  # not chosen by the caller
            changes[name] = getattr(repeated, name)
    return base.replace(**changes)


def strength(given: Any) -> float:
    """Return the factor for the noise level."""
    return validate.number("filter_strength", given.filter_strength, least=0)


def workers(given: Any) -> int | None:
    """Return the number of threads; None for all processors."""
    count = validate.integer("num_threads", given.num_threads, least=0, most=2**31)
    return count or None
