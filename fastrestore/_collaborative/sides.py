"""Sides of blocks, steps and search radii by axis: fields of a profile that may be tuples.

A tuple has one entry for each of the last axes of an image. Along the axes before them, blocks have
one sample, and are not searched for: blocks of (8, 8) in a volume are squares in one slice.
"""

from __future__ import annotations

import math
from typing import Any

from fastrestore._arrays import validate

Sides = int | tuple[int, ...]

AXES = 4  # most entries: time, slices, rows, columns
LONGEST = 64  # most samples of a block along an axis
MOST = 1024  # most samples of a block
FARTHEST = 127  # largest search radius
FIELDS = ("block", "step", "radius")
# Along axes without an entry
_MISSING = {"block": 1, "step": 1, "radius": 0}


def check(stage: str, values: dict[str, Any]) -> dict[str, Sides]:
    """Return the fields of a stage, of which at least one is a tuple, as plain numbers."""
    names = {field: f"{field}_{stage}" for field in FIELDS}
    whole: dict[str, tuple[int, ...]] = {}
    for field in FIELDS:
        given = values[field]
        if not isinstance(given, (tuple, list)):
            raise TypeError(
                f"{names[field]} must have one number for each axis, as the other ones of "
                f"{', '.join(names.values())}, got {validate.quoted(given)}; write a tuple for each"
            )
        if not 1 <= len(given) <= AXES:
            raise ValueError(
                f"{names[field]} must have 1 to {AXES} numbers, one for each axis, got "
                f"{validate.quoted(given)}"
            )
        if len(given) != len(values["block"]):
            raise ValueError(
                f"{names[field]} must have as many numbers as {names['block']}="
                f"{validate.quoted(values['block'])}, got {validate.quoted(given)}"
            )
        whole[field] = tuple(
            validate.integer(f"each number of {names[field]}", number, least=low, most=high)
            for number, (low, high) in zip(given, _limits(field, whole, len(given)), strict=True)
        )
    if not 2 <= math.prod(whole["block"]) <= MOST:
        raise ValueError(
            f"a block must have 2 to {MOST} samples, but {names['block']}={whole['block']} has "
            f"{math.prod(whole['block'])}"
        )
    return dict(whole)


def _limits(field: str, checked: dict[str, tuple[int, ...]], axes: int) -> list[tuple[int, int]]:
    """Return the bounds of the numbers of a field."""
    if field == "step":
        return [(1, side) for side in checked["block"]]
    return [(1, LONGEST) if field == "block" else (0, FARTHEST)] * axes


def are_given(profile: Any) -> bool:
    """Whether a profile has numbers for each axis."""
    return isinstance(profile.block_basic, tuple) or isinstance(profile.block_final, tuple)


def longest(profile: Any, field: str, which: str) -> int:
    """Return the largest number of a field of a stage."""
    value: Sides = getattr(profile, f"{field}_{which}")
    return max(value) if isinstance(value, tuple) else value


def of(profile: Any, field: str, which: str, ndim: int) -> tuple[int, ...]:
    """Return "block", "step" or "radius" of a stage for each axis of an image or a volume."""
    name = f"{field}_{which}"
    value: Sides = getattr(profile, name)
    if isinstance(value, tuple):
        return _by_axis(name, value, ndim)
    if ndim == 2:
        return (value, value)
    first: int = getattr(profile, {"block": "slices"}.get(field, f"{field}_slices") + f"_{which}")
    return (first, value, value)


def _by_axis(name: str, value: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    """Return the numbers of a field, such as block_basic, for every axis of an image."""
    if len(value) > ndim:
        raise ValueError(f"{name}={value} has {len(value)} numbers, but there are {ndim} axes")
    return (_MISSING[name.partition("_")[0]],) * (ndim - len(value)) + value


def fitted(profile: Any, shape: tuple[int, ...]) -> dict[str, Sides]:
    """Return the changes that make blocks fit in an image that is smaller along some axes.

    Their sides are powers of two, for which all transforms exist. Samples are not mirrored, because
    their noise would be the same.
    """
    changes: dict[str, Sides] = {}
    for which in ("basic", "final"):
        block, step = (getattr(profile, f"{field}_{which}") for field in ("block", "step"))
        extents = shape[len(shape) - len(block) :]
        if any(side > size for side, size in zip(block, extents, strict=True)):
            less = [1 << (size.bit_length() - 1) for size in extents]
            block = tuple(map(min, block, less))
        if math.prod(block) > 1:
            changes |= {f"block_{which}": block, f"step_{which}": tuple(map(min, step, block))}
    return changes


def in_time(profile: Any) -> None:
    """Raise unless a profile has blocks for a volume over time."""
    for which in ("basic", "final"):
        block = getattr(profile, f"block_{which}")
        if not isinstance(block, tuple):
            raise ValueError(
                f"block_{which}={block} of profile {profile.name!r} is for volumes: for a volume "
                "over time write one number for each axis, (time, slices, rows, columns), in "
                f"block_{which}, step_{which} and radius_{which}, as Profile.named('time') has"
            )


def along_one_axis(profile: Any) -> dict[str, Sides]:
    """Return the changes that make a profile one for signals: the last number of each field."""
    changes: dict[str, Sides] = {}
    for which in ("basic", "final"):
        for field in FIELDS:
            value = getattr(profile, f"{field}_{which}")
            if isinstance(value, tuple) and len(value) > 1:
                raise ValueError(
                    f"{field}_{which}={value} of profile {profile.name!r} has {len(value)} "
                    "numbers, but a signal has one axis"
                )
            changes[f"{field}_{which}"] = value if isinstance(value, tuple) else (value,)
    return changes
