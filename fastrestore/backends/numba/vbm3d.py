"""Stages of V-BM3D on the CPU: predictive search, and the filters of BM3D on a tall image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastrestore._arrays.types import Channels, Image
from fastrestore.backends.host import reference_grids
from fastrestore.backends.numba import _candidates, _filter, _merge, _search, _trails
from fastrestore.backends.numba._filter import Blocks, Groups, Sums
from fastrestore.backends.numba._pool import cut, run_bands, span, useful
from fastrestore.backends.numba._simd import aligned
from fastrestore.backends.numba._tables import filter_tables, folds
from fastrestore.backends.numpy.vbm3d import pitch
from fastrestore.backends.protocol import Execution, Matches, Stage

# Pixels of all channels for which sums are gathered or divided in a millisecond on one thread, to
# decide whether more threads help
GATHERED, DIVIDED = 1e6, 2.5e5


class VideoStage:
    """See `fastrestore.backends.protocol.VideoStage`."""

    def __init__(
        self, shape: tuple[int, int, int, int], stage: Stage, execution: Execution
    ) -> None:
        slots, channels, height, width = shape
        self._stage, self._execution, self._tables = stage, execution, filter_tables(stage)
        self._height, self._width, self._pitch = height, width, pitch(height, stage)
        across = width + 2 * _candidates.LANES
        pixels = aligned((slots * height + _trails.TILE) * across, np.float32)
        pixels[:] = np.inf
        self._frames = _search.Frames(pixels, height, width, across, self._pitch)
        self._tall = slots * self._pitch
        # Of all frames, noisy and, in the final stage, estimated
        self._images = [np.zeros((channels, self._tall, width), np.float32)]
        self._piloted = False
        # Sums of every thread, transposed, because the kernel finishes blocks column by column
        tall = self._tall + _filter.lanes(stage.block)
        each = channels, execution.workers, width + 2, tall
        self._sums = Sums(*np.zeros((2, *each)))
        self._total = Sums(*np.zeros((2, channels, width + 2, self._pitch)))  # of a frame
        trails = stage.trails.followed
        # Of every thread: its sums and working memory, while it does not use them
        self._free = [
            (
                Sums(*(each[:, thread] for each in self._sums)),
                _filter.scratch(stage.block, stage.group),
                _trails.scratch(stage.block, stage.group, trails),
            )
            for thread in range(execution.workers)
        ]

    def put(self, slot: int, matched: Image, noisy: Channels, pilot: Channels | None) -> None:
        """Store a frame."""
        rows = self._frames.pixels.reshape(-1, self._frames.across)
        rows[slot * self._height : (slot + 1) * self._height, : self._width] = matched
        self._piloted = pilot is not None
        if pilot is not None and len(self._images) == 1:
            self._images.append(np.zeros_like(self._images[0]))
        place = slice(slot * self._pitch, slot * self._pitch + self._height)
        self._images[0][:, place] = noisy
        if pilot is not None:
            self._images[1][:, place] = pilot

    def matches(self, slots: Sequence[int], center: int) -> Matches:
        """Match the blocks of the frames in `slots` to the references of the frame at `center`."""
        stage = self._stage
        rows, columns = reference_grids(stage, (self._height, self._width))
        offsets = np.zeros((len(rows), len(columns), stage.group, 2), np.int32)
        sizes = np.ones((len(rows), len(columns)), np.int16)
        order = np.array(slots, np.int64)
        kernel, search = _search.search_kernel(stage.block), _search_of(stage)

        def work(band: range) -> None:
            part = span(band)
            references = _search.References(order, center, rows[part], columns)
            mine = self._free.pop()
            kernel(self._frames, search, references, offsets[part], sizes[part], mine[2])
            self._free.append(mine)

        if stage.group > 1 and search.bound >= 0:
            bands = cut(len(rows), 4 * self._execution.workers, 1, 8)
            list(run_bands(work, bands, self._execution.workers))
        return Matches((rows + slots[center] * self._pitch, columns), offsets, sizes)

    def filter(self, slots: Sequence[int], center: int) -> None:
        """Filter the groups of a frame and aggregate them."""
        matches, tables, stage = self.matches(slots, center), self._tables, self._stage
        from_image = True  # nine half-transformed frames are not in the cache
        kernel = _filter.filter_kernel(stage.block, from_image)
        kind = _filter.Kind(self._piloted, folds(stage))
        noisy, guide = self._images[0], self._images[-1]

        def work(part: tuple[int, range]) -> None:
            c, band = part
            whole, scratch, _ = mine = self._free.pop()
            sums = Sums(*(each[c, 1:] for each in whole))
            grid = matches.rows[span(band)], matches.columns
            groups = Groups(*grid, matches.offsets, matches.sizes, above=band.start, before=0)
            kernel(Blocks(noisy[c], guide[c]), groups, tables[c], kind, None, sums, scratch)
            self._free.append(mine)

        bands = cut(len(matches.rows), 4 * self._execution.workers, 1, 16)
        parts = [(c, band) for c in range(len(noisy)) for band in bands]
        list(run_bands(work, parts, self._execution.workers))

    def take(self, slot: int) -> Channels:
        """Return the estimate of a frame and free its slot."""
        first, height, execution = slot * self._pitch, self._height, self._execution
        out = np.empty((len(self._images[0]), height, self._width), np.float32)
        window = np.ascontiguousarray(self._stage.window)

        def gather(part: tuple[int, int, range]) -> None:
            which, c, band = part
            # The order of threads does not matter, see `_filter.QUANTUM`
            total = self._total[which][c]
            _merge.drain(self._sums[which][c], first, total, band.start, band.stop)

        def divide(part: tuple[int, range]) -> None:
            c, band = part
            wide = -(-len(band) // _merge.LANES) * _merge.LANES + _merge.LANES
            lines = np.empty((self._stage.block + _merge.LANES, wide))
            sums = Sums(self._total.numerator[c, 1:-1], self._total.weights[c])
            _merge.divide(sums, window, band.start, band.stop, lines, out[c])

        each, pixels = range(len(out)), self._total.numerator.size
        workers = useful(execution.workers, pixels * execution.workers / GATHERED)
        all_columns = cut(self._width + 2, workers, 64, 1 << 30)
        parts = [(which, c, band) for c in each for which in range(2) for band in all_columns]
        list(run_bands(gather, parts, workers))
        workers = useful(execution.workers, pixels / DIVIDED)
        halves = [(c, band) for c in each for band in cut(height, workers, 64, 1 << 30)]
        list(run_bands(divide, halves, workers))
        return out


def _search_of(stage: Stage) -> _search.Search:
    """Parameters of the search; biases are padded so that whole tiles can be read."""
    bias = np.zeros((1, 1), np.float32)
    if stage.match_bias is not None:
        bias = np.pad(stage.match_bias, [(0, _trails.TILE), (0, _candidates.LANES)])
    return _search.Search(
        stage.radius,
        stage.trails.predict,
        stage.trails.follow,
        bound=np.nextafter(np.float32(stage.match), np.float32(-1)),
        bonus=np.float32(stage.trails.static),
        bias=bias,
        bias_apart=np.float32(stage.trails.match_bias),
    )
