"""Pictures as text in a page, within a limit of its size."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray
from fastrestore._io import images
from fastrestore._io.picture import Picture
from fastrestore.report.scale import Scale
from fastrestore.report.series import Removed, Series, spread

SAMPLE = 384  # pixels: side of the parts from which sizes are estimated
RESERVE = 0.9  # part of the limit that estimates may reach
# Qualities of JPEG, until the page is small enough: of the pictures, and of what was removed,
# whose contrast is raised
QUALITIES = ((95, 80), (90, 65), (85, 50), (75, 40))
FINE = 90  # quality of what was removed beside codes of 16 bits
SHRINKS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # factors by which pictures are reduced


class Coding(NamedTuple):
    """How pictures are stored."""

    kind: str  # "png", "jpeg", or "data": compressed codes of 16 bits
    quality: int = 0  # of JPEG
    shrink: int = 1  # factor by which rows and columns are reduced
    frames: tuple[int, ...] = (0,)  # those that are stored


class Plan(NamedTuple):
    """How the pictures and what was removed are stored, and the scale of the pictures."""

    scale: Scale
    pictures: Coding
    removed: Coding


def encode(picture: NDArray[Any], scale: Scale, coding: Coding, icc: bytes | None = None) -> str:
    """Return a picture (M, N, C) as text in base 64."""
    codes = scale.codes(reduced(picture, coding.shrink))
    data = deflated(codes) if coding.kind == "data" else image_file(codes, coding, icc)
    return b64encode(data).decode("ascii")


def reduced(picture: NDArray[Any], factor: int) -> NDArray[Any]:
    """Return the means of squares of `factor` pixels; what is left at the ends is dropped."""
    if factor == 1:
        return picture
    rows, columns = (max(1, size // factor) for size in picture.shape[:2])
    high, wide = (min(factor, size) for size in picture.shape[:2])
    whole = picture[: rows * high, : columns * wide]
    means: FloatArray = whole.reshape(rows, high, columns, wide, -1).mean((1, 3), dtype=np.float64)
    return means


def deflated(codes: NDArray[Any]) -> bytes:
    """Compress codes: channel by channel, differences along rows, low bytes before high bytes."""
    planes = np.moveaxis(codes.astype(np.uint16), -1, 0)
    steps = np.diff(planes, axis=2, prepend=np.uint16(0))
    low, high = steps & 0xFF, steps >> 8
    return zlib.compress(np.stack([low, high]).astype(np.uint8).tobytes(), 6)


def image_file(codes: NDArray[Any], coding: Coding, icc: bytes | None) -> bytes:
    """Return a PNG or JPEG file of 8 bits; JPEG with color at full resolution."""
    picture = Picture(codes[..., 0] if codes.shape[2] == 1 else codes).with_icc(icc)
    if coding.kind == "jpeg":
        return images.encode(picture, ".jpg", coding.quality)
    return images.encode(picture, ".png")


def plan(
    pictures: Sequence[Series], removed: Sequence[Removed], scales: list[Scale], limit: float
) -> Plan:
    """Return the coding with the least loss whose size is within a limit, by estimates.

    `scales` are the codes of the pictures with full precision, with 4 steps for a standard
    deviation of the noise, with 8 bits, and those of what was removed.
    """
    depth = pictures[0].shape[0]
    every = tuple(range(depth))
    for shrink in SHRINKS:
        for each in _candidates(scales, pictures[0].shape[3], Coding("", 0, shrink, every)):
            size = _estimate(pictures, removed, each, scales[3])
            if size <= limit * RESERVE:
                return each
        most = int(limit * RESERVE / size * depth)  # `each` is now the one with the largest loss
        if 1 <= most < depth:
            return _with(each, tuple(spread(depth, most)))
        every = every[depth // 2 : depth // 2 + 1]  # of a stack at least one picture remains
        depth = 1
    return each


def _candidates(scales: list[Scale], channels: int, coding: Coding) -> list[Plan]:
    """Return codings in the order of increasing loss, with the frames and the size of `coding`."""
    full, coarse, eight, _ = scales

    def coded(kind: str, quality: int = 0) -> Coding:
        return coding._replace(kind=kind, quality=quality)

    lossy = [Plan(eight, coded("jpeg", a), coded("jpeg", b)) for a, b in QUALITIES]
    if full == eight:
        return [Plan(eight, coded("png"), coded("png")), *lossy]
    deep = [
        Plan(full, coded("data"), coded("png")),
        Plan(coarse, coded("data"), coded("jpeg", FINE)),
    ]
    return deep if channels == 1 else deep + lossy


def _with(plan: Plan, frames: tuple[int, ...]) -> Plan:
    """Return a plan with other frames."""
    pictures, removed = (each._replace(frames=frames) for each in (plan.pictures, plan.removed))
    return Plan(plan.scale, pictures, removed)


def _estimate(
    pictures: Sequence[Series], removed: Sequence[Removed], plan: Plan, symmetric: Scale
) -> float:
    """Estimate the size of all pictures in bytes of text, from the center of a frame."""
    depth, rows, columns, _ = pictures[0].shape
    side = SAMPLE * plan.pictures.shrink
    high, wide = min(rows, side), min(columns, side)
    top, left = (rows - high) // 2, (columns - wide) // 2
    total = 0
    for every, scale, coding in (
        (pictures, plan.scale, plan.pictures),
        (removed, symmetric, plan.removed),
    ):
        for series in every:
            part = series.frame(depth // 2)[top : top + high, left : left + wide]
            total += len(encode(part, scale, coding))
    return float(total * len(plan.pictures.frames) * rows * columns / (high * wide))
