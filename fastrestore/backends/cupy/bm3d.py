"""Stages of BM3D on a GPU: launches of kernels/bm3d_*.cu."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import Channels, Image
from fastrestore.backends.cupy import _image, _module
from fastrestore.backends.cupy._device import current, launch
from fastrestore.backends.cupy._layout import (
    MOST_BLOCKS,
    WARP,
    Blocks,
    filter_layout,
    match_layout,
)
from fastrestore.backends.host import reference_grids
from fastrestore.backends.protocol import Execution, Matches, Stage

if TYPE_CHECKING:
    from fastrestore._collaborative.profile import Profile

__all__ = ["bm3d_filter", "bm3d_match", "bm3d_memory", "warm"]

DIVIDE = (32, 4)  # threads for pixels across and down
SHARPEN: _module.Constants = (("SHARPEN", 1),)  # of kernels that sharpen


def bm3d_match(image: Image, stage: Stage, execution: Execution) -> Matches:
    """See `fastrestore.backends.protocol.Backend`."""
    memory = execution.memory
    (*images, height, width), group = image.shape, stage.group
    grids = reference_grids(stage, (height, width))
    rows, columns = (memory.table(grid, np.int32) for grid in grids)
    shape = (len(rows), len(columns))
    offsets = memory.take("offsets", (*images, *shape, group, 2), np.int16)
    sizes = memory.take("sizes", (*images, *shape), np.int16)
    layout = match_layout(Blocks.of(stage))
    launch(
        "bm3d_match",
        (("BLOCK", stage.block), *layout.constants()),
        (-(-shape[1] // layout.warps), shape[0], stage.images),
        (WARP, layout.warps),
        (
            image, np.int32(height), np.int32(width), rows, columns, np.int32(shape[1]),
            np.int32(stage.radius), np.int32(layout.band), np.int32(layout.pitch), np.int32(group),
            np.float32(stage.match), memory.table(stage.bounds), memory.table(stage.match_map),
            np.float32(stage.match_range), stage.measured, memory.table(stage.match_bias),
            offsets, sizes,
        ),
        layout.shared,
    )  # fmt: skip
    execution.report_progress(1)
    return Matches((rows, columns), offsets, sizes)


def bm3d_filter(
    images: tuple[Channels, ...], matches: Matches, stage: Stage, execution: Execution
) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    memory = execution.memory
    *_, height, width = images[0].shape
    layers = math.prod(images[0].shape[:-2])
    plane, corners = height * width, (height - stage.block + 1) * (width - stage.block + 1)
    kind = np.uint64 if execution.deterministic else np.float32
    sums = memory.take("sums", (layers * (plane + corners),), kind)
    sums.data.memset_async(0, sums.nbytes)
    numerator, weights = sums[: layers * plane], sums[layers * plane :]
    aggregate(images, matches, stage, execution, (numerator, weights))
    out = memory.take(_kernel(images), images[0].shape, np.float32)
    divide(numerator, weights, out, stage, execution)
    execution.report_progress(1)
    return out  # type: ignore[no-any-return]


def _kernel(images: tuple[Channels, ...]) -> str:
    """Name of the kernel that filters noisy channels, with a pilot or without."""
    return "bm3d_final" if len(images) > 1 else "bm3d_basic"


def aggregate(
    images: tuple[Channels, ...],
    matches: Matches,
    stage: Stage,
    execution: Execution,
    sums: tuple[Any, Any],
) -> None:
    """Filter all groups, and add them to the sums of pixels and of weights by corner."""
    memory, layout = execution.memory, filter_layout(Blocks.of(stage))
    *layers, height, width = images[0].shape
    table, sharpens = covariance_table(stage), stage.root != 1 and len(images) == 1
    numbers = constants(stage, execution, matches.offsets.dtype)
    launch(
        _kernel(images),
        (*numbers, *SHARPEN[: int(sharpens)], *layout.constants()),
        (len(matches.columns), len(matches.rows), math.prod(layers)),
        (layout.threads,),
        (
            *images, np.int32(stage.images), np.int32(height), np.int32(width), matches.rows,
            matches.columns, matches.offsets, matches.sizes, memory.table(stage.forward),
            memory.table(stage.inverse), memory.table(stage.window), memory.table(table.values),
            *table.numbers(),
            memory.table(stage.strength * stage.variances), memory.table(stage.scale),
            np.int32(0 if stage.scale is None or len(stage.scale) == 1 else stage.scale[0].size),
            *sums, *[np.float32(stage.root)] * sharpens,
        ),
        layout.shared,
    )  # fmt: skip


def constants(
    stage: Stage, execution: Execution, offsets: np.dtype[Any] | None = None
) -> _module.Constants:
    """Return the constants of the kernels that filter and normalize."""
    numbers: _module.Constants = (
        ("BLOCK", stage.block),
        ("GROUP", stage.group),
        ("FIXED", int(execution.deterministic)),
    )
    return (*numbers, ("OFFSET", "int")) if offsets == np.int32 else numbers


def divide(numerator: Any, weights: Any, out: Channels, stage: Stage, execution: Execution) -> None:
    """Divide sums of weighted pixels by the sums of their weights."""
    *layers, height, width = out.shape
    across, down = DIVIDE
    launch(
        "bm3d_divide",
        constants(stage, execution),
        (-(-width // across), -(-height // down), math.prod(layers)),
        DIVIDE,
        (
            numerator, weights, execution.memory.table(stage.window), np.int32(height),
            np.int32(width), out,
        ),
    )  # fmt: skip


class CovarianceTable(NamedTuple):
    """`Stage.covariance` in the layout of the kernels: only one half if it is symmetric."""

    values: NDArray[np.float64]
    reach: tuple[int, ...]  # by axis: displacement from which the noise is independent
    strides: tuple[int, ...]  # values from one displacement to the next, without the last axis
    origin: int  # position of displacement 0; 0 if only magnitudes matter
    channel: int  # values from one channel to the next, 0 if there is one for all

    def numbers(self) -> tuple[np.int32, ...]:
        """Return the arguments of the kernels after `values`."""
        return tuple(map(np.int32, (*self.reach, *self.strides, self.origin, self.channel)))


def covariance_table(stage: Stage) -> CovarianceTable:
    """Return the table of a stage, from the cache if possible."""
    key = id(stage.covariance)
    entry = _TABLES.get(key)
    if entry is None:
        entry = stage.covariance, _covariance_table(stage.covariance)
        if len(_TABLES) >= MOST_TABLES:
            _TABLES.clear()
        _TABLES[key] = entry  # which another thread may clear at once
    return entry[1]


# A reference to the covariance keeps its id valid
_TABLES: dict[int, tuple[NDArray[np.float64], CovarianceTable]] = {}
MOST_TABLES = 16


def _covariance_table(covariance: NDArray[np.float64]) -> CovarianceTable:
    """Convert covariances to the layout of the kernels."""
    ndim = (covariance.ndim - 1) // 2
    signed, area = range(2, 1 + ndim), math.prod(covariance.shape[1 + ndim :])
    middle = [covariance.shape[axis] // 2 for axis in signed]
    limit = 1e-7 * covariance.max()
    mirrored = all(
        np.allclose(covariance, np.flip(covariance, axis), rtol=0, atol=limit) for axis in signed
    )
    half = (slice(None), slice(None), *(slice(m if mirrored else 0, None) for m in middle))
    values = np.ascontiguousarray(covariance[half])
    strides = [area * math.prod(values.shape[1 + axis : 1 + ndim]) for axis in range(1, ndim + 1)]
    # The last ones are 0 unless the noise is correlated over the largest distance in a group
    reach = [values.shape[1] - (not values[:, -1].any())]
    reach += [
        m + 1 - (not values.take(-1, axis).any()) for m, axis in zip(middle, signed, strict=True)
    ]
    origin = sum(m * stride for m, stride in zip(middle, strides[1:], strict=True))
    return CovarianceTable(
        values,
        tuple(reach),
        tuple(strides[:-1]),
        0 if mirrored else origin,
        values[0].size if len(values) > 1 else 0,
    )


def bm3d_memory(
    shape: tuple[int, int, int], maps: int, profile: Profile, execution: Execution
) -> int:
    """See `fastrestore.backends.protocol.Backend`."""
    channels, height, width = shape
    groups = (profile.step_basic, profile.group_basic), (profile.step_final, profile.group_final)
    references = [(height // step + 2, width // step + 2) for step, _ in groups]
    vertically = max(-(-height // DIVIDE[1]), *(rows for rows, _ in references))
    if height * width > MOST_PIXELS or vertically > MOST_BLOCKS:
        return 2**63  # too large for the kernels: use tiles
    sums = 2 * (8 if execution.deterministic else 4)
    images = 4 * (3 * channels + 1)  # noisy, both estimates, and the image to match on
    images += (8 + 1) * maps  # for both stages, and a mask of pixels without noise
    matches = max(
        rows * columns * (4 * group + 2)
        for (rows, columns), (_, group) in zip(references, groups, strict=True)
    )
    return height * width * (images + sums * channels) + matches


MOST_PIXELS = 2**30  # of a channel; kernels count them in 32 bits


def warm(
    profile: Profile, stages: tuple[str, ...], dtype: np.dtype[Any], execution: Execution
) -> None:
    """See `fastrestore.backends.protocol.Backend`."""
    kind = np.dtype(np.float32) if dtype.itemsize == 2 and dtype.kind == "f" else dtype
    result = np.promote_types(kind, np.float32) if kind.kind == "f" else np.dtype(np.float32)
    wanted: set[tuple[str, _module.Constants]] = {
        ("bm3d_range", ()),
        ("bm3d_mix", _image.constants(kind, np.float32, kind)),
        ("bm3d_mix", _image.constants(np.float32, result, np.float32)),
    }
    for which in stages:
        blocks = _blocks(profile, which)
        side, group = blocks.shape[-1], blocks.group
        numbers = (("BLOCK", side), ("GROUP", group), ("FIXED", int(execution.deterministic)))
        sharpens = which == "basic" and profile.sharpen != 1
        wanted |= {
            ("bm3d_match", (*numbers[:1], *match_layout(blocks).constants())),
            ("bm3d_divide", numbers),
            (
                f"bm3d_{which}",
                (*numbers, *SHARPEN[: int(sharpens)], *filter_layout(blocks).constants()),
            ),
        }
    _module.compile_all(current(), wanted)


def _blocks(profile: Profile, which: str) -> Blocks:
    """Return what a stage of a profile searches and filters."""
    side, step, radius, group = (
        getattr(profile, f"{field}_{which}") for field in ("block", "step", "radius", "group")
    )
    return Blocks((side, side), group, step, radius)
