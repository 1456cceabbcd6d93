"""Launches of single CUDA kernels for images."""

import numpy as np

from fastrestore.backends.cupy import _pixels, _rows
from fastrestore.backends.cupy._covariance import covariance_table
from fastrestore.backends.cupy._layout import Blocks, image_match_layout
from fastrestore.backends.host import reference_grid
from support.cudasim import module

MOST_SHARED = 227 * 1024  # bytes of shared memory of a thread block, capability 9.0
THREADS, SHARED = 1024, 4 * (4 * 256 + 8)  # for the range


def filtered(images, matches, stage, seed=0, fixed=0, part=None):
    """Launch the kernels of a stage on (noisy,) or (noisy, pilot): the fastest that fit.

    With `part` those for any block are used, which transform so many blocks together.
    """
    fits = _rows.fits(stage.block, stage.group) and part is None and stage.root == 1
    return (by_rows if fits else by_pixels)(images, matches, stage, seed, fixed, part)


def by_pixels(images, matches, stage, seed, fixed, part):
    channels, height, width = images[0].shape
    area, group = stage.block**2, stage.group
    threads = -(-area // 32) * 32
    table = covariance_table(stage)
    kind = np.uint64 if fixed else np.float32
    corners = (height - stage.block + 1, width - stage.block + 1)
    numerator, weights = np.zeros(images[0].shape, kind), np.zeros((channels, *corners), kind)
    scale = None if stage.scale is None else np.ascontiguousarray(stage.scale)
    name = "bm3d_basic" if len(images) == 1 else "bm3d_final"
    constants = {"BLOCK": stage.block, "GROUP": group, "FIXED": fixed}
    constants |= dict(_pixels.size_weight(stage.size_weight))
    sharpens = name == "bm3d_basic" and stage.root != 1
    if sharpens:
        constants["SHARPEN"] = 1
    if part:
        constants["PART"] = part
    floats = (part or group) * area + group * group + 3 * group + threads // 32
    window = stage.window.astype(np.float32)
    module(name, **constants).launch(
        name,
        (len(matches.columns), len(matches.rows), channels),
        (threads,),
        (
            *images, np.int32(1), np.int32(height), np.int32(width),
            matches.rows.astype(np.int32), matches.columns.astype(np.int32), matches.offsets,
            matches.sizes, stage.forward.astype(np.float32), stage.inverse.astype(np.float32),
            window, table.values.astype(np.float32), *table.numbers(),
            (stage.strength * stage.variances).astype(np.float32), scale,
            np.int32(0 if scale is None or len(scale) == 1 else scale[0].size), numerator, weights,
            *([np.float32(stage.root)] if sharpens else []),
        ),
        4 * floats,
        seed,
    )  # fmt: skip
    out = np.full(images[0].shape, np.nan, np.float32)
    module("bm3d_divide", BLOCK=stage.block, FIXED=fixed).launch(
        "bm3d_divide",
        (-(-width // 16), -(-height // 4), channels),
        (16, 4),
        (numerator, weights, window, np.int32(height), np.int32(width), out),
        0,
        seed,
    )
    return out


def by_rows(images, matches, stage, seed, fixed, part):
    del part
    channels, height, width = images[0].shape
    table, matrices = _rows.row_table(stage), _rows.matrices(stage)
    sums = np.uint64 if fixed else np.float32
    corners, block = width - stage.block + 1, stage.block
    numerator = np.zeros((channels, corners, height, block), sums)
    weights = np.zeros((channels, corners, height), sums)
    scale = None if stage.scale is None else np.ascontiguousarray(stage.scale)
    tiles = (-(-width // 32), -(-height // 32), channels)
    size = np.int32(height), np.int32(width)
    transformed = [np.full(numerator.shape, np.nan, np.float32) for _ in images]
    for image, rows in zip(images, transformed, strict=True):
        module("bm3d_rows", BLOCK=block).launch(
            "bm3d_rows",
            tiles,
            (32, 8),
            (image, np.int32(0), size[0], *size, matrices.forward, rows),
            _rows.ROWS_SHARED,
            seed,
        )
    name = "bm3d_basic_rows" if len(images) == 1 else "bm3d_final_rows"
    kind = _rows.Kind(scale is not None, matrices.symmetric, size_weight=stage.size_weight)
    constants = dict(_rows.constants(stage.group, fixed, kind))
    module(name, **constants).launch(
        name,
        (-(-len(matches.columns) // _rows.WARPS), len(matches.rows), channels),
        (32, _rows.WARPS),
        (
            *transformed, np.int32(1), *size, matches.rows.astype(np.int32),
            matches.columns.astype(np.int32), np.int32(len(matches.columns)), matches.offsets,
            matches.sizes, matrices.forward, matrices.back, table.values.astype(np.float32),
            *table.numbers(), np.int32(table.values[0].size // block**2),
            (stage.strength * stage.variances).astype(np.float32), scale,
            np.int32(0 if scale is None or len(scale) == 1 else scale[0].size), numerator, weights,
        ),
        _rows.shared_bytes(stage.group),
        seed,
    )  # fmt: skip
    out = np.full(images[0].shape, np.nan, np.float32)
    module("bm3d_divide_rows", BLOCK=block, FIXED=fixed).launch(
        "bm3d_divide_rows",
        tiles,
        (32, 8),
        (numerator, weights, np.int32(0), size[0], *size, matrices.back, matrices.window, out),
        _rows.DIVIDE_SHARED,
        seed,
    )
    return out


def match(image, stage, seed=0, bands=None, measured=None, limit=MOST_SHARED):
    """Launch the kernel, with the displacements down in some bands, within a limit of memory."""
    grids = [reference_grid(size, stage.block, stage.step) for size in image.shape]
    rows, columns = (grid.astype(np.int32) for grid in grids)
    shape = (len(rows), len(columns), stage.group)
    offsets, sizes = np.full((*shape, 2), -9, np.int16), np.full(shape[:2], -9, np.int16)
    layout = image_match_layout(Blocks.of(stage), limit, bands)
    module("bm3d_match", **dict(layout.constants())).launch(
        "bm3d_match",
        layout.grid(*grids[::-1]),
        (32, layout.warps),
        (
            image, np.int32(image.shape[0]), np.int32(image.shape[1]), rows, np.int32(len(rows)),
            columns, np.int32(len(columns)), *layout.numbers(stage.group),
            np.float32(stage.match), stage.bounds, stage.match_map, np.float32(stage.match_range),
            measured, stage.match_bias, offsets, sizes,
        ),
        layout.shared,
        seed,
    )  # fmt: skip
    return offsets, sizes


def measured(image, seed=0, text=None):
    out = np.full(1, np.nan, np.float32)
    plain = np.ascontiguousarray(image, np.float32)
    kernel = module("bm3d_range", text=text)
    kernel.launch("bm3d_range", (1,), (THREADS,), (plain, np.int32(plain.size), out), SHARED, seed)
    return out[0]
