"""Filters of groups of blocks of any size: launches of kernels/bm3d_basic.cu and bm3d_final.cu."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastrestore._arrays.types import Channels
from fastrestore._cuda import module
from fastrestore._cuda.launches import launch
from fastrestore.backends.cupy import _image
from fastrestore.backends.cupy._covariance import covariance_table
from fastrestore.backends.cupy._layout import Blocks, filter_layout
from fastrestore.backends.protocol import Execution, Matches, Needs, Stage

DIVIDE = (32, 4)  # threads for pixels across and down
SHARPEN: module.Constants = (("SHARPEN", 1),)  # of kernels that sharpen
FACTORS: module.Constants = (("FACTORS", 1),)  # of kernels with factors by coefficient


def size_weight(exponent: float) -> module.Constants:
    """Return the constant for the exponent of the number of blocks in the weight of a group."""
    return (("SIZE_WEIGHT", repr(exponent)),) if exponent else ()


def bytes_per_pixel(images: int, deterministic: bool) -> int:
    """Return the memory for the sums of a channel, by `images` images."""
    del images  # they are used as they are
    return 2 * (8 if deterministic else 4)


def wanted(
    which: str, blocks: Blocks, needs: Needs, deterministic: bool
) -> set[tuple[str, module.Constants]]:
    """Return the kernels of a stage."""
    sharpens = which == "basic" and needs.profile.sharpen != 1
    numbers = constants(blocks.shape[-1], blocks.group, deterministic)
    return {
        ("bm3d_divide", divide_constants(blocks.shape[-1], deterministic)),
        (
            f"bm3d_{which}",
            (
                *numbers,
                *SHARPEN[: int(sharpens)],
                *FACTORS[: int(needs.has_factors(which))],
                *size_weight(getattr(needs.profile, f"size_weight_{which}")),
                *filter_layout(blocks).constants(),
            ),
        ),
    }


def constants(block: int, group: int, fixed: bool, offsets: Any = None) -> module.Constants:
    """Return the constants of the kernels that filter and normalize."""
    given: module.Constants = (("BLOCK", block), ("GROUP", group), ("FIXED", int(fixed)))
    return (*given, ("OFFSET", "int")) if offsets == np.int32 else given


def divide_constants(block: int, fixed: bool) -> module.Constants:
    """Return the constants of the kernel that normalizes the sums."""
    return (("BLOCK", block), ("FIXED", int(fixed)))


class Sums:
    """Sums of filtered groups of images (C, M, N)."""

    def __init__(
        self,
        shape: tuple[int, ...],
        stage: Stage,
        execution: Execution,
        take: Callable[[str, tuple[int, ...], Any], Any],
    ) -> None:
        *layers, self._height, self._width = shape
        self._layers = math.prod(layers)
        self._shape, self._stage, self._execution, self._take = shape, stage, execution, take
        side, kind = stage.block - 1, np.uint64 if execution.deterministic else np.float32
        pixels = self._layers * self._height * self._width
        corners = (self._layers, self._height - side, self._width - side)
        sums = take("sums", (pixels + math.prod(corners),), kind)
        sums.data.memset_async(0, sums.nbytes)
        self._numerator = sums[:pixels].reshape(self._layers, self._height, self._width)
        self._weights = sums[pixels:].reshape(corners)
        self._images: list[Any] = []

    def put(self, number: int, image: Channels, first: int = 0) -> None:
        """Use an image, the noisy one or the pilot, or copy rows of it."""
        if image.shape == self._shape:
            self._images[number:] = [image]
            return
        if number == len(self._images):
            self._images.append(self._take(f"image {number}", self._shape, np.float32))
        rows = np.s_[:, first : first + image.shape[1]]
        _image.copy(image, self._images[number][rows], self._execution)

    def add(self, matches: Matches) -> None:
        """Filter groups and aggregate them."""
        stage, memory, images = self._stage, self._execution.memory, self._images
        layout, table, scale = filter_layout(Blocks.of(stage)), covariance_table(stage), stage.scale
        fixed = self._execution.deterministic
        numbers = constants(stage.block, stage.group, fixed, matches.offsets.dtype)
        sharpens, factors = stage.root != 1 and len(images) == 1, memory.table(stage.factors)
        launch(
            "bm3d_final" if len(images) > 1 else "bm3d_basic",
            (
                *numbers, *SHARPEN[: int(sharpens)], *FACTORS[: int(factors is not None)],
                *size_weight(stage.size_weight), *layout.constants(),
            ),
            (len(matches.columns), len(matches.rows), self._layers),
            (layout.threads,),
            (
                *images, np.int32(stage.images), np.int32(self._height), np.int32(self._width),
                matches.rows, matches.columns, matches.offsets, matches.sizes,
                memory.table(stage.forward), memory.table(stage.inverse),
                memory.table(stage.window), memory.table(table.values), *table.numbers(),
                memory.table(stage.strength * stage.variances), memory.table(scale),
                apart(scale), self._numerator, self._weights,
                *[np.float32(stage.root)] * sharpens, *[factors] * (factors is not None),
            ),
            layout.shared,
        )  # fmt: skip

    def weights(self) -> Any:
        """Return the sums of weights by the corner of a block (C, ...)."""
        return self._weights

    def divide(self, out: Channels, first: int = 0) -> None:
        """Normalize rows of the sums from `first` on, as many as `out` has."""
        *_, height, width = out.shape
        rows = slice(first, first + height), slice(first, first + height - self._stage.block + 1)
        layers = out.reshape(self._layers, 1, height, width)
        # All at once, unless there are other rows between them
        parts = (
            [slice(None)]
            if height == self._height
            else [slice(k, k + 1) for k in range(len(layers))]
        )
        for part in parts:
            numerator, weights = self._numerator[part, rows[0]], self._weights[part, rows[1]]
            divide(numerator, weights, layers[part], self._stage, self._execution)

    def clear(self, first: int, height: int) -> None:
        """Set rows of the sums to zero."""
        self._numerator[:, first : first + height] = 0
        self._weights[:, first : first + height - self._stage.block + 1] = 0


def divide(numerator: Any, weights: Any, out: Any, stage: Stage, execution: Execution) -> None:
    """Divide sums of pixels (C, ..., M, N) by those of the windows, from weights by corner."""
    *_, height, width = out.shape
    across, down = DIVIDE
    launch(
        "bm3d_divide",
        divide_constants(stage.block, execution.deterministic),
        (-(-width // across), -(-height // down), len(out)),
        DIVIDE,
        (
            numerator, weights, execution.memory.table(stage.window), np.int32(height),
            np.int32(width), out,
        ),
    )  # fmt: skip


def apart(scale: Any) -> np.int32:
    """Return the numbers from one channel of a map to the next; 0 if there is one for all."""
    return np.int32(0 if scale is None or len(scale) == 1 else scale[0].size)
