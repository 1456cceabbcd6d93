"""What users tell of a training: whether numbers are numbers, sizes those of a network."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _many(value: Any, good: Callable[[Any], bool]) -> bool:
    return isinstance(value, tuple) and all(map(good, value))


def _text(value: Any) -> bool:
    return isinstance(value, str)


# By the type of a field: what a value has to be, and how that is said
TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "int": (lambda v: _number(v) and v == int(v), "a whole number"),
    "float": (_number, "a number"),
    "bool": (lambda v: isinstance(v, bool), "true or false"),
    "str": (_text, "a name"),
    "str | tuple[str, ...]": (lambda v: _text(v) or _many(v, _text), "a name or a list of them"),
    "tuple[float, float]": (
        lambda v: _many(v, _number) and len(v) == 2, "two numbers, such as [0, 75]"
    ),
    "tuple[float, ...]": (lambda v: _many(v, _number), "numbers, such as [1, 0.5]"),
    "dict[str, Any]": (lambda v: isinstance(v, dict), "sizes by name"),
}  # fmt: skip


def typed(recipe: type, told: dict[str, Any]) -> dict[str, Any]:
    """Return numbers as the fields of a recipe want them.

    Raises
    ------
    ValueError
        If one is of another type.
    """
    result = {}
    for field in dataclasses.fields(recipe):
        if field.name not in told:
            continue
        value = told[field.name]
        good, expected = TYPES[str(field.type)]
        if not good(value):
            raise ValueError(f"{field.name} must be {expected}, got {value!r}")
        result[field.name] = int(value) if field.type == "int" else value
    return result


def check_sizes(what: str, made: Callable[..., Any], told: dict[str, Any], said: str) -> None:
    """Refuse sizes that a network does not have."""
    known = [name for name in inspect.signature(made).parameters if name != "channels"]
    unknown = [name for name in told if name not in known]
    if unknown:
        raise ValueError(f"{what} has no {said} {', '.join(unknown)}; it has {', '.join(known)}")


def _flat(told: dict[str, Any]) -> dict[str, Any]:
    """Bring what lies in parts to one level."""
    flat: dict[str, Any] = {}
    for name, value in told.items():
        parts = value.items() if isinstance(value, dict) else ()
        flat |= {f"{name}.{inner}": each for inner, each in parts} if parts else {name: value}
    return {name: value for name, value in flat.items() if value != {}}


def differences(there: dict[str, Any], here: dict[str, Any]) -> str:
    """Say which numbers differ, by both values; those of sizes by sizes.width."""
    there, here = _flat(there), _flat(here)
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    pairs = [[repr(each[k]) if k in each else "not told" for each in (there, here)] for k in names]
    return ", ".join(
        f"{name} is {pair[0]} there and {pair[1]} here"
        for name, pair in zip(names, pairs, strict=True)
    )
