"""Stages of V-BM3D on a GPU: predictive search, and the filters of BM3D on a tall image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastrestore._arrays import interop
from fastrestore._arrays.types import Channels, Image
from fastrestore._cuda.launches import launch
from fastrestore.backends.cupy import _image
from fastrestore.backends.cupy._layout import MOST_BLOCKS, WARP, Blocks, video_match_layout
from fastrestore.backends.cupy.bm3d import MOST_PIXELS, sums_of
from fastrestore.backends.host import reference_grid
from fastrestore.backends.numpy.vbm3d import pitch
from fastrestore.backends.protocol import Execution, Matches, Stage


class VideoStage:
    """See `fastrestore.backends.protocol.VideoStage`."""

    def __init__(
        self, shape: tuple[int, int, int, int], stage: Stage, execution: Execution
    ) -> None:
        slots, channels, height, width = shape
        self._stage, self._execution, self._size = stage, execution, (height, width)
        self._channels = channels
        self._pitch = pitch(height, stage)
        rows = slots * self._pitch
        if rows * width > MOST_PIXELS:
            raise MemoryError(
                f"{slots} frames of {height} x {width} pixels are too many for the kernels, which "
                f"support {MOST_PIXELS} pixels; use a smaller radius or smaller frames"
            )
        if len(reference_grid(height, stage.block, stage.step)) > MOST_BLOCKS:
            raise MemoryError(
                f"frames of {height} rows are too high for the kernels, which support "
                f"{MOST_BLOCKS} reference blocks along an axis; use a larger step or smaller frames"
            )
        empty = interop.load_cupy().empty
        self._matched = empty((rows, width), np.float32)
        self._sums = sums_of(
            (channels, rows, width), stage, execution, lambda _, shape, kind: empty(shape, kind)
        )

    def _rows(self, slot: int) -> slice:
        return slice(slot * self._pitch, slot * self._pitch + self._size[0])

    def put(self, slot: int, matched: Image, noisy: Channels, pilot: Channels | None) -> None:
        """Store a frame."""
        first = slot * self._pitch
        _image.copy(matched[None], self._matched[None, self._rows(slot)], self._execution)
        for number, image in enumerate((noisy,) if pilot is None else (noisy, pilot)):
            self._sums.put(number, image, first)

    def filter(self, slots: Sequence[int], center: int) -> None:
        """Filter the groups of a frame and aggregate them."""
        self._sums.add(self.matches(slots, center))

    def take(self, slot: int) -> Channels:
        """Return the estimate of a frame and free its slot."""
        first, height = slot * self._pitch, self._size[0]
        out = interop.load_cupy().empty((self._channels, *self._size), np.float32)
        self._sums.divide(out, first)
        self._sums.clear(first, height)
        return out  # type: ignore[no-any-return]

    def matches(self, slots: Sequence[int], center: int) -> Matches:
        """Match the blocks of the frames in `slots` to the references of the frame at `center`."""
        stage, memory, (height, width) = self._stage, self._execution.memory, self._size
        grids = [reference_grid(size, stage.block, stage.step) for size in self._size]
        rows, columns = (memory.table(grid, np.int32) for grid in grids)
        shape = (len(rows), len(columns))
        offsets = memory.take("offsets", (*shape, stage.group, 2), np.int32)
        sizes = memory.take("sizes", shape, np.int16)
        widest = max(stage.radius, stage.trails.predict, stage.trails.follow)
        layout = video_match_layout(Blocks.of(stage)._replace(radius=widest))
        numbers = (
            stage.radius,
            stage.trails.predict,
            stage.trails.follow,
            widest,
            stage.trails.followed,
            layout.band,
        )
        launch(
            "vbm3d_match",
            (("BLOCK", stage.block), *layout.constants()),
            (-(-shape[1] // layout.warps), shape[0]),
            (WARP, layout.warps),
            (
                self._matched, np.int32(height), np.int32(width), np.int32(self._pitch),
                memory.table(np.array(slots), np.int32), np.int32(len(slots)), np.int32(center),
                rows, columns, np.int32(shape[1]), *(np.int32(number) for number in numbers),
                np.int32(stage.group), np.float32(stage.match), np.float32(stage.trails.static),
                memory.table(stage.match_bias),
                np.float32(stage.trails.match_bias), offsets, sizes,
            ),
            layout.shared,
        )  # fmt: skip
        tall = memory.table(grids[0] + slots[center] * self._pitch, np.int32)
        return Matches((tall, columns), offsets, sizes)
