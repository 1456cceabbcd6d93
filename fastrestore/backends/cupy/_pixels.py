"""Filters of groups of blocks of any size: launches of kernels/bm3d_basic.cu and bm3d_final.cu."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastrestore._arrays.types import Channels
from fastrestore.backends.cupy import _image, _module
from fastrestore.backends.cupy._covariance import covariance_table
from fastrestore.backends.cupy._device import launch
from fastrestore.backends.cupy._layout import Blocks, filter_layout
from fastrestore.backends.protocol import Execution, Matches, Needs, Stage

DIVIDE = (32, 4)  # threads for pixels across and down
SHARPEN: _module.Constants = (("SHARPEN", 1),)  # of kernels that sharpen


def bytes_per_pixel(images: int, deterministic: bool) -> int:
    """Return the memory for the sums of a channel, by `images` images."""
    del images  # they are used as they are
    return 2 * (8 if deterministic else 4)


def wanted(
    which: str, blocks: Blocks, needs: Needs, deterministic: bool
) -> set[tuple[str, _module.Constants]]:
    """Return the kernels of a stage."""
    sharpens = which == "basic" and needs.profile.sharpen != 1
    numbers = constants(blocks.shape[-1], blocks.group, deterministic)
    return {
        ("bm3d_divide", divide_constants(blocks.shape[-1], deterministic)),
        (
            f"bm3d_{which}",
            (*numbers, *SHARPEN[: int(sharpens)], *filter_layout(blocks).constants()),
        ),
    }


def constants(block: int, group: int, fixed: bool, offsets: Any = None) -> _module.Constants:
    """Return the constants of the kernels that filter and normalize."""
    given: _module.Constants = (("BLOCK", block), ("GROUP", group), ("FIXED", int(fixed)))
    return (*given, ("OFFSET", "int")) if offsets == np.int32 else given


def divide_constants(block: int, fixed: bool) -> _module.Constants:
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
        sharpens = stage.root != 1 and len(images) == 1
        launch(
            "bm3d_final" if len(images) > 1 else "bm3d_basic",
            (*numbers, *SHARPEN[: int(sharpens)], *layout.constants()),
            (len(matches.columns), len(matches.rows), self._layers),
            (layout.threads,),
            (
                *images, np.int32(stage.images), np.int32(self._height), np.int32(self._width),
                matches.rows, matches.columns, matches.offsets, matches.sizes,
                memory.table(stage.forward), memory.table(stage.inverse),
                memory.table(stage.window), memory.table(table.values), *table.numbers(),
                memory.table(stage.strength * stage.variances), memory.table(scale),
                np.int32(0 if scale is None or len(scale) == 1 else scale[0].size),
                self._numerator, self._weights, *[np.float32(stage.root)] * sharpens,
            ),
            layout.shared,
        )  # fmt: skip

    def divide(self, out: Channels, first: int = 0) -> None:
        """Normalize rows of the sums from `first` on, as many as `out` has."""
        *_, height, width = out.shape
        across, down = DIVIDE
        rows = slice(first, first + height), slice(first, first + height - self._stage.block + 1)
        window = self._execution.memory.table(self._stage.window)
        layers = out.reshape(self._layers, 1, height, width)
        # All at once, unless there are other rows between them
        parts = (
            [slice(None)]
            if height == self._height
            else [slice(k, k + 1) for k in range(len(layers))]
        )
        for part in parts:
            launch(
                "bm3d_divide",
                divide_constants(self._stage.block, self._execution.deterministic),
                (-(-width // across), -(-height // down), len(layers[part])),
                DIVIDE,
                (
                    self._numerator[part, rows[0]], self._weights[part, rows[1]], window,
                    np.int32(height), np.int32(width), layers[part],
                ),
            )  # fmt: skip

    def clear(self, first: int, height: int) -> None:
        """Set rows of the sums to zero."""
        self._numerator[:, first : first + height] = 0
        self._weights[:, first : first + height - self._stage.block + 1] = 0
