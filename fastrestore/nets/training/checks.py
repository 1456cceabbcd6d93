"""Checks of the values of a recipe."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _many(value: Any, good: Callable[[Any], bool]) -> bool:
    return isinstance(value, tuple) and all(map(good, value))


def _text(value: Any) -> bool:
    return isinstance(value, str)


# For each type of a field: the check of a value, and its description
TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "int": (lambda v: _number(v) and v == int(v), "a whole number"),
    "float": (_number, "a number"),
    "bool": (lambda v: isinstance(v, bool), "true or false"),
    "str": (_text, "a name"),
    "str | tuple[str, ...]": (lambda v: _text(v) or _many(v, _text), "a name or a list of names"),
    "tuple[float, float]": (
        lambda v: _many(v, _number) and len(v) == 2, "two numbers, such as [0, 75]"
    ),
    "tuple[float, ...]": (lambda v: _many(v, _number), "numbers, such as [1, 0.5]"),
    "dict[str, Any]": (lambda v: isinstance(v, dict), "sizes by name"),
}  # fmt: skip


def typed(recipe: type, values: dict[str, Any]) -> dict[str, Any]:
    """Return values with the types of the fields of a recipe; raise if one has another type."""
    result = {}
    for field in dataclasses.fields(recipe):
        if field.name not in values:
            continue
        value = values[field.name]
        good, expected = TYPES[str(field.type)]
        if not good(value):
            raise ValueError(f"{field.name} must be {expected}, got {value!r}")
        result[field.name] = int(value) if field.type == "int" else value
    return result


def check_sizes(name: str, kind: Callable[..., Any], sizes: dict[str, Any]) -> None:
    """Raise if a kind of network does not have one of the sizes."""
    known = [each for each in inspect.signature(kind).parameters if each != "channels"]
    check_known(f"{name} has no sizes", sizes, known)


def check_known(reason: str, given: Iterable[str], known: Sequence[str]) -> None:
    """Raise `reason` with the names that are not known."""
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"{reason} {', '.join(unknown)}; it has {', '.join(known)}")


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """Return nested values with names such as sizes.width; empty dictionaries are left out."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        parts = value.items() if isinstance(value, dict) else ()
        flat |= {f"{name}.{inner}": each for inner, each in parts} if parts else {name: value}
    return {name: value for name, value in flat.items() if value != {}}


def differences(there: dict[str, Any], here: dict[str, Any]) -> str:
    """Describe the values that differ."""
    there, here = _flat(there), _flat(here)

    def quoted(values: dict[str, Any], name: str) -> str:
        return repr(values[name]) if name in values else "not given"

    return ", ".join(
        f"{name} is {quoted(there, name)} there and {quoted(here, name)} here"
        for name in there | here
        if there.get(name) != here.get(name)
    )
