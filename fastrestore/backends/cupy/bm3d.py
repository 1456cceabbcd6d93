"""Stages of BM3D on a GPU: launches of kernels/bm3d_*.cu."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastrestore._arrays.types import Channels, Image
from fastrestore._cuda import module
from fastrestore._cuda.launches import current, launch
from fastrestore.backends.cupy import _image, _pixels, _rows
from fastrestore.backends.cupy._layout import MOST_BLOCKS, WARP, Blocks, image_match_layout
from fastrestore.backends.cupy._pixels import DIVIDE
from fastrestore.backends.host import reference_grids
from fastrestore.backends.protocol import Execution, Matches, Needs, Stage

if TYPE_CHECKING:
    from fastrestore._collaborative.profile import Profile

__all__ = ["bm3d_filter", "bm3d_match", "bm3d_memory", "warm"]


def bm3d_match(image: Image, stage: Stage, execution: Execution) -> Matches:
    """See `fastrestore.backends.protocol.Backend`."""
    memory = execution.memory
    (*images, height, width), group = image.shape, stage.group
    grids = reference_grids(stage, (height, width))
    rows, columns = (memory.table(grid, np.int32) for grid in grids)
    shape = (len(rows), len(columns))
    offsets = memory.take("offsets", (*images, *shape, group, 2), np.int16)
    sizes = memory.take("sizes", (*images, *shape), np.int16)
    layout = image_match_layout(Blocks.of(stage))
    launch(
        "bm3d_match",
        layout.constants(),
        (*layout.grid(grids[1], grids[0]), stage.images),
        (WARP, layout.warps),
        (
            image, np.int32(height), np.int32(width), rows, np.int32(shape[0]), columns,
            np.int32(shape[1]), *layout.numbers(group), np.float32(stage.match),
            memory.table(stage.bounds), memory.table(stage.match_map),
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
    sums = sums_of(images[0].shape, stage, execution, execution.memory.take)
    for number, image in enumerate(images):
        sums.put(number, image)
    sums.add(matches)
    out = execution.memory.take(f"estimate {len(images)}", images[0].shape, np.float32)
    sums.divide(out)
    execution.report_progress(1)
    return out  # type: ignore[no-any-return]


def sums_of(
    shape: tuple[int, ...], stage: Stage, execution: Execution, take: _rows.Take
) -> _rows.Sums | _pixels.Sums:
    """Return sums of filtered groups, by the fastest kernels for a stage."""
    fits = _rows.fits(stage.block, stage.group) and stage.root == 1
    kind = _rows.Sums if fits else _pixels.Sums
    return kind(shape, stage, execution, take)


def bm3d_memory(
    shape: tuple[int, int, int], maps: int, profile: Profile, execution: Execution
) -> int:
    """See `fastrestore.backends.protocol.Backend`."""
    channels, height, width = shape
    groups = (profile.step_basic, profile.group_basic), (profile.step_final, profile.group_final)
    steps = [step for step, _ in groups if isinstance(step, int)]  # tuples need "axes"
    references = [(height // step + 2, width // step + 2) for step in steps]
    vertically = max(-(-height // DIVIDE[1]), *(rows for rows, _ in references))
    if height * width > MOST_PIXELS or vertically > MOST_BLOCKS:
        return 2**63  # too large for the kernels: use tiles
    sums = 0
    for number, which in enumerate(("basic", "final"), 1):
        blocks = _blocks(profile, which)
        own = _rows if _rows.fits(blocks.shape[-1], blocks.group) else _pixels
        sums = max(sums, own.bytes_per_pixel(number, execution.deterministic))
    images = 4 * (3 * channels + 1)  # noisy, both estimates, and the image to match on
    images += (8 + 1) * maps  # for both stages, and a mask of pixels without noise
    matches = max(
        rows * columns * (4 * group + 2)
        for (rows, columns), (_, group) in zip(references, groups, strict=True)
    )
    return height * width * (images + sums * channels) + matches


MOST_PIXELS = 2**30  # of a channel; kernels count them in 32 bits


def warm(needs: Needs, execution: Execution) -> None:
    """See `fastrestore.backends.protocol.Backend`; those of volumes are compiled when launched."""
    if needs.ndim == 3:
        return
    profile, dtype = needs.profile, needs.dtype
    kind = np.dtype(np.float32) if dtype.itemsize == 2 and dtype.kind == "f" else dtype
    result = np.promote_types(kind, np.float32) if kind.kind == "f" else np.dtype(np.float32)
    wanted: set[tuple[str, module.Constants]] = {
        ("bm3d_range", ()),
        ("bm3d_mix", _image.constants(kind, np.float32, kind)),
        ("bm3d_mix", _image.constants(np.float32, result, np.float32)),
    }
    for which in needs.stages:
        blocks = _blocks(profile, which)
        fits = _rows.fits(blocks.shape[-1], blocks.group)
        fits &= which == "final" or profile.sharpen == 1
        kernels = _rows if fits else _pixels
        wanted |= kernels.wanted(which, blocks, needs, execution.deterministic)
        wanted.add(("bm3d_match", image_match_layout(blocks).constants()))
    module.compile_all(current(), wanted)


def _blocks(profile: Profile, which: str) -> Blocks:
    """Return what a stage of a profile searches and filters."""
    side, step, radius, group = (
        getattr(profile, f"{field}_{which}") for field in ("block", "step", "radius", "group")
    )
    return Blocks((side, side), group, step, radius)
