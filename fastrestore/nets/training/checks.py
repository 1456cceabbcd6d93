"""Checks of the values of a recipe."""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import torch
from torch import nn

from fastrestore._arrays.validate import quoted


def _number(value: Any) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) <= sys.float_info.max  # false for NaN, and for integers beyond floats


def _many(value: Any, good: Callable[[Any], bool]) -> bool:
    return isinstance(value, tuple) and all(map(good, value))


def _text(value: Any) -> bool:
    return isinstance(value, str)


DEEPEST = 8  # levels of a JSON value; a recipe has three
ATOMS = (int, float, type(None))  # values without parts, besides strings
N = TypeVar("N", bound=nn.Module)

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
            raise ValueError(f"{field.name} must be {expected}, got {quoted(value)}")
        result[field.name] = int(value) if field.type == "int" else value
    return result


def from_json(text: str) -> Any:
    """Return the value of a text; raise `ValueError` for a value that no recipe needs."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"it is nested more than {DEEPEST} levels deep") from None
    except json.JSONDecodeError:
        raise
    except ValueError:  # a limit of Python
        raise ValueError("it has a number with too many digits") from None
    level = [value]
    for _ in range(DEEPEST):
        parts = [each.values() if isinstance(each, dict) else each for each in level]
        level = [one for each in parts if not isinstance(each, (str, *ATOMS)) for one in each]
    if level:
        raise ValueError(f"it is nested more than {DEEPEST} levels deep")
    return value


def shaped(name: str, kind: Callable[..., N], channels: int, sizes: dict[str, Any]) -> N:
    """Return a network of these sizes without memory for weights; raise if a size is invalid."""
    known = [each for each in inspect.signature(kind).parameters if each != "channels"]
    check_known(f"{name} has no sizes", sizes, known)
    try:
        with torch.device("meta"):
            return kind(channels, **sizes)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"sizes of {name}: {error}") from None


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
