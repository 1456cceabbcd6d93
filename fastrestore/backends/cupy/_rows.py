"""Filters of groups of blocks of 8 x 8 pixels, whose rows are transformed once for all groups.

Launches of kernels/bm3d_*_rows.cu. Other blocks and groups are filtered by `_pixels`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop
from fastrestore._arrays.types import Channels, FloatArray
from fastrestore._cuda import module
from fastrestore._cuda.launches import launch
from fastrestore.backends.cupy import _pixels
from fastrestore.backends.cupy._covariance import Table, table_of
from fastrestore.backends.cupy._layout import WARP, Blocks
from fastrestore.backends.protocol import Execution, Matches, Needs, Stage

BLOCK = 8
GROUPS = (4, 8, 16, 32)  # most blocks of a group
WARPS = 2  # groups of a thread block, as in rows.cuh
MOST_COUNTED = 64  # displacements, as in rows.cuh
TILE, TILE_WARPS = 32, 8  # pixels of a thread block of the transforms, and its warps
ROWS_SHARED = 4 * TILE * (TILE + BLOCK - 1)  # see bm3d_rows.cu
DIVIDE_SHARED = 4 * (2 * TILE + BLOCK - 1) * (TILE + 1)  # see bm3d_divide_rows.cu

Take = Callable[[str, tuple[int, ...], Any], Any]  # allocates: name, shape, dtype


def fits(block: int, group: int) -> bool:
    """Whether groups are filtered here."""
    return block == BLOCK and group in GROUPS


def bytes_per_pixel(images: int, deterministic: bool) -> int:
    """Return the memory for a channel: sums, and the transformed rows of `images`."""
    return (8 if deterministic else 4) * (BLOCK + 1) + 4 * BLOCK * images


class Kind(NamedTuple):
    """What the kernels that filter are compiled for."""

    mapped: bool  # whether the noise varies
    symmetric: bool  # whether the rows of the transform are
    factors: bool = False  # whether the strength depends on the coefficient
    size_weight: float = 0.0  # see `Stage`


def constants(group: int, fixed: bool, kind: Kind, offsets: Any = None) -> module.Constants:
    """Return the constants of the kernels that filter."""
    given: module.Constants = (
        ("BLOCK", BLOCK), ("GROUP", group), ("FIXED", int(fixed)), ("MAP", int(kind.mapped)),
        ("SYMMETRIC", int(kind.symmetric)), *_pixels.FACTORS[: int(kind.factors)],
        *_pixels.size_weight(kind.size_weight),
    )  # fmt: skip
    return (*given, ("OFFSET", "int")) if offsets == np.int32 else given


def divide_constants(fixed: bool) -> module.Constants:
    """Return the constants of the kernel that normalizes the sums."""
    return (("BLOCK", BLOCK), ("FIXED", int(fixed)))


def wanted(
    which: str, blocks: Blocks, needs: Needs, deterministic: bool
) -> set[tuple[str, module.Constants]]:
    """Return the kernels of a stage."""
    transform = getattr(needs.profile, f"transform_{which}")
    symmetric = isinstance(transform, str) and transform == "dct"
    size_weight = getattr(needs.profile, f"size_weight_{which}")
    kind = Kind(needs.mapped, symmetric, needs.has_factors(which), size_weight)
    return {
        ("bm3d_rows", (("BLOCK", BLOCK),)),
        ("bm3d_divide_rows", divide_constants(deterministic)),
        (f"bm3d_{which}_rows", constants(blocks.group, deterministic, kind)),
    }


class Sums:
    """Sums of filtered groups of images (C, M, N) of which some rows are used."""

    def __init__(
        self, shape: tuple[int, ...], stage: Stage, execution: Execution, take: Take
    ) -> None:
        *layers, self._pitch, self._width = shape
        self._images = math.prod(layers[1:])  # with matches of their own
        self._stage, self._execution, self._take = stage, execution, take
        self._corners = (math.prod(layers), self._width - BLOCK + 1, self._pitch)
        kind = np.uint64 if execution.deterministic else np.float32
        count = math.prod(self._corners)
        sums = take("sums", ((BLOCK + 1) * count,), kind)
        sums.data.memset_async(0, sums.nbytes)
        self._numerator = sums[: BLOCK * count].reshape((*self._corners, BLOCK))
        self._weights = sums[BLOCK * count :].reshape(self._corners)
        self._rows: list[Any] = []

    def put(self, number: int, image: Channels, first: int = 0) -> None:
        """Transform an image, the noisy one or the pilot, that begins at row `first`."""
        if number == len(self._rows):
            self._rows.append(
                self._take(f"transformed {number}", (*self._corners, BLOCK), np.float32)
            )
        height = image.shape[-2]
        if not image.flags.c_contiguous:
            image = interop.load_cupy().ascontiguousarray(image)
        launch(
            "bm3d_rows",
            (("BLOCK", BLOCK),),
            (-(-self._corners[1] // TILE), -(-height // TILE), self._corners[0]),
            (WARP, TILE_WARPS),
            (
                image, np.int32(first), np.int32(height), np.int32(self._pitch),
                np.int32(self._width), matrices(self._stage).forward, self._rows[number],
            ),
            ROWS_SHARED,
        )  # fmt: skip

    def add(self, matches: Matches) -> None:
        """Filter groups and aggregate them."""
        stage, memory = self._stage, self._execution.memory
        table, scale = row_table(stage), stage.scale
        references = len(matches.columns)
        fixed, values = self._execution.deterministic, matrices(stage)
        factors = memory.table(factor_table(stage))
        kind = Kind(scale is not None, values.symmetric, factors is not None, stage.size_weight)
        launch(
            "bm3d_final_rows" if len(self._rows) > 1 else "bm3d_basic_rows",
            constants(stage.group, fixed, kind, matches.offsets.dtype),
            (-(-references // WARPS), len(matches.rows), self._corners[0]),
            (WARP, WARPS),
            (
                *self._rows, np.int32(self._images), np.int32(self._pitch),
                np.int32(self._width), matches.rows, matches.columns, np.int32(references),
                matches.offsets, matches.sizes, values.forward, values.back,
                memory.table(table.values), *table.numbers(),
                np.int32(table.values[0].size // BLOCK**2),
                memory.table(stage.strength * stage.variances), memory.table(scale),
                _pixels.apart(scale), self._numerator, self._weights,
                *[factors] * (factors is not None),
            ),
            shared_bytes(stage.group),
        )  # fmt: skip

    def weights(self) -> Any:
        """Return the sums of weights by the corner of a block (C, ...)."""
        rows = self._pitch - BLOCK + 1
        return interop.load_cupy().ascontiguousarray(self._weights[..., :rows].swapaxes(1, 2))

    def divide(self, out: Channels, first: int = 0) -> None:
        """Normalize the rows of the sums from `first` on, as many as `out` has."""
        *_, height, width = out.shape
        launch(
            "bm3d_divide_rows",
            divide_constants(self._execution.deterministic),
            (-(-width // TILE), -(-height // TILE), self._corners[0]),
            (WARP, TILE_WARPS),
            (
                self._numerator, self._weights, np.int32(first), np.int32(height),
                np.int32(self._pitch), np.int32(width), matrices(self._stage).back,
                matrices(self._stage).window, out,
            ),
            DIVIDE_SHARED,
        )  # fmt: skip

    def clear(self, first: int, height: int) -> None:
        """Set rows of the sums to zero."""
        for sums in (self._numerator, self._weights):
            sums[:, :, first : first + height] = 0


def shared_bytes(group: int) -> int:
    """Return the shared memory of a thread block that filters: pairs of blocks, and counts."""
    return WARPS * (8 * (group * (group - 1) // 2) + 4 * MOST_COUNTED)


class Matrices(NamedTuple):
    """Matrices of a stage as arguments that kernels get by value: arrays of one element."""

    forward: NDArray[Any]
    back: NDArray[Any]  # times the window
    window: NDArray[Any]
    symmetric: bool  # even rows of the transform are symmetric, odd ones antisymmetric


def matrices(stage: Stage) -> Matrices:
    """Return the matrices of a stage."""
    given = (stage.forward, stage.inverse, stage.window)
    return _matrices(*(each.astype(np.float64).tobytes() for each in given))


@functools.lru_cache(64)
def _matrices(forward: bytes, inverse: bytes, window: bytes) -> Matrices:
    square = (BLOCK, BLOCK)
    matrix, ends = np.frombuffer(forward).reshape(square), np.frombuffer(window)
    back = ends[:, None] * np.frombuffer(inverse).reshape(square)
    symmetric = is_symmetric(matrix) and is_symmetric(back.T)
    return Matrices(by_value(matrix), by_value(back), by_value(ends), symmetric)


def factor_table(stage: Stage) -> FloatArray | None:
    """Return the factors of a stage (levels + 1, columns, rows), as `Stage.factors`."""
    return None if stage.factors is None else np.ascontiguousarray(stage.factors.swapaxes(1, 2))


def is_symmetric(matrix: NDArray[np.float64]) -> bool:
    """Whether even rows are symmetric and odd rows antisymmetric, as those of the DCT are."""
    signs = (-1.0) ** np.arange(BLOCK)[:, None]
    return bool(np.allclose(matrix, signs * matrix[:, ::-1], rtol=0, atol=1e-12))


def by_value(values: NDArray[np.float64]) -> NDArray[Any]:
    """Return an array of one element, which CuPy passes as a structure."""
    floats = np.ascontiguousarray(values, np.float32)
    return floats.reshape(-1).view(np.dtype((np.void, floats.nbytes)))


def row_table(stage: Stage) -> Table:
    """Return the covariances of a stage, columns first and without displacements of no effect."""
    return table_of(stage.covariance, _columns_first)


def _columns_first(table: Table) -> Table:
    values = table.values
    if table.origin == 0:
        values = values[:, : table.reach[0], : table.reach[1]]
    values = np.ascontiguousarray(values.swapaxes(-1, -2))
    return table._replace(
        values=values,
        strides=(values[0, 0].size,),
        channel=values[0].size if len(values) > 1 else 0,
    )
