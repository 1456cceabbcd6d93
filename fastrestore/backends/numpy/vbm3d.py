"""V-BM3D step by step, to be read beside the paper.

Dabov, Foi, Egiazarian, "Video denoising by sparse 3D transform-domain collaborative filtering",
EUSIPCO 2007. The frames of a window lie below each other in one tall image, so that groups are
filtered as those of an image are; blocks of two frames share no noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastrestore._arrays.types import Channels, Image
from fastrestore.backends.host import reference_grid
from fastrestore.backends.numpy.bm3d import aggregate
from fastrestore.backends.protocol import Execution, Matches, Stage

FARTHEST = 1984  # pixels: a trail leads no farther from its reference
Candidate = tuple[float, int, int, int]  # distance, frame, row, column: in this order the nearest


class VideoStage:
    """See `fastrestore.backends.protocol.VideoStage`."""

    def __init__(
        self, shape: tuple[int, int, int, int], stage: Stage, execution: Execution
    ) -> None:
        slots, channels, height, width = shape
        self._stage, self._execution, self._height = stage, execution, height
        self._pitch = pitch(height, stage)
        self._matched = np.zeros((slots, height, width))
        tall = (channels, slots * self._pitch, width)
        self._images = [np.zeros(tall, np.float32) for _ in range(2)]
        self._sums = np.zeros((2, *tall))
        self._piloted = False

    def _rows(self, slot: int) -> slice:
        return slice(slot * self._pitch, slot * self._pitch + self._height)

    def put(self, slot: int, matched: Image, noisy: Channels, pilot: Channels | None) -> None:
        """Place a frame."""
        self._matched[slot] = matched
        self._images[0][:, self._rows(slot)] = noisy
        self._piloted = pilot is not None
        if pilot is not None:
            self._images[1][:, self._rows(slot)] = pilot

    def filter(self, slots: Sequence[int], center: int) -> None:
        """Filter the groups of a frame, and lay them down."""
        matches = self.matches(slots, center)
        images = tuple(self._images[: 1 + self._piloted])
        aggregate(self._sums, images, matches, self._stage, self._execution)

    def take(self, slot: int) -> Channels:
        """Return the estimate of a frame, and make room for another."""
        sums = self._sums[:, :, self._rows(slot)]
        estimate: Channels = (sums[0] / sums[1]).astype(np.float32)
        sums[:] = 0
        return estimate

    def matches(self, slots: Sequence[int], center: int) -> Matches:
        """Group the blocks of the frames in `slots`, for the references of the one at `center`."""
        stage, frames = self._stage, self._matched[list(slots)]
        rows, columns = (reference_grid(n, stage.block, stage.step) for n in frames.shape[1:])
        blocks = sliding_window_view(frames, (stage.block, stage.block), (1, 2))
        offsets = np.zeros((len(rows), len(columns), stage.group, 2), np.int32)
        sizes = np.ones((len(rows), len(columns)), np.int16)
        first = np.array(slots) * self._pitch
        for i, y in enumerate(rows):
            for j, x in enumerate(columns):
                found = search(blocks, center, int(y), int(x), stage)
                sizes[i, j] = len(found)
                for k, (_, frame, v, u) in enumerate(found):
                    offsets[i, j, k] = v + first[frame] - y - first[center], u - x
        return Matches((rows + first[center], columns), offsets, sizes)


def pitch(height: int, stage: Stage) -> int:
    """Rows from one frame to the next in a tall image: no noise is shared across the gap."""
    reach: int = stage.covariance.shape[1] - 1
    return height - stage.block + reach


def search(
    blocks: NDArray[np.float64], center: int, y: int, x: int, stage: Stage
) -> list[Candidate]:
    """Blocks of all frames like the one at (y, x) of the frame `center`, the nearest first.

    Section 2 of the paper: the whole window in the frame itself; in the others, one after the other
    in both directions, windows around the `trails` nearest blocks of the frame before. Other than
    there, a trail that has moved is taken to go on at that speed, within `follow` pixels. A block
    at the same place in another frame counts as nearer by `static`. The reference leads; equal
    distances are in order of frame, row and column.
    """
    reference = blocks[center, y, x]

    def look(frame: int, places: list[tuple[int, int]], radius: int) -> list[Candidate]:
        height, width = blocks.shape[1:3]
        window = np.zeros((height, width), bool)
        for v, u in places:
            window[max(0, v - radius) : v + radius + 1, max(0, u - radius) : u + radius + 1] = True
        found = []
        for v, u in np.argwhere(window):
            distance = float(((blocks[frame, v, u] - reference) ** 2).sum())
            distance += bias_of(stage, frame == center, v - y, u - x)
            if frame != center and (v, u) == (y, x):
                distance = max(0.0, distance - stage.trails.static)
            found.append((distance, frame, int(v), int(u)))
        return sorted(found)

    here = (-1.0, center, y, x)  # before any other equal block
    near = [here, *(c for c in look(center, [(y, x)], stage.radius) if c[2:] != (y, x))]
    candidates = near[: stage.group]
    for step in (1, -1):
        origins = middles = [c[2:] for c in near[: stage.trails.followed]]
        frame, radius = center + step, stage.trails.predict
        while 0 <= frame < len(blocks):
            seen = look(frame, middles, radius)
            candidates += seen[: stage.group]
            trail = [c[2:] for c in seen[: stage.trails.followed]]
            bounds = _bounds((y, x), blocks.shape)
            middles = [_led(place, origins, middles, radius, bounds) for place in trail]
            origins, frame, radius = trail, frame + step, stage.trails.follow
    close = [c for c in sorted(candidates) if c[0] < stage.match][: stage.group]
    return close[: 2 ** int(np.log2(len(close)))]


def bias_of(stage: Stage, same_frame: bool, dy: int, dx: int) -> float:
    """What is added to a distance for the noise that blocks share: none in another frame."""
    if stage.match_bias is None:
        return 0.0
    if not same_frame:
        return stage.trails.match_bias
    return float(stage.match_bias[dy + stage.radius, dx + stage.radius])


Bounds = tuple[tuple[int, int], tuple[int, int]]


def _bounds(reference: tuple[int, int], shape: tuple[int, ...]) -> Bounds:
    """Where a trail may lead: first and last row, and column."""
    (y, x), (height, width) = reference, shape[1:3]
    return (
        (max(0, y - FARTHEST), min(height - 1, y + FARTHEST)),
        (max(0, x - FARTHEST), min(width - 1, x + FARTHEST)),
    )


def _led(
    place: tuple[int, int],
    origins: list[tuple[int, int]],
    middles: list[tuple[int, int]],
    radius: int,
    bounds: Bounds,
) -> tuple[int, int]:
    """Where a trail leads that was at `origins[k]` and was found in the window at `middles[k]`."""
    (v, u), ((top, bottom), (left, right)) = place, bounds
    found = (max(abs(v - y), abs(u - x)) <= radius for y, x in middles)
    y, x = next(origin for origin, here in zip(origins, found, strict=True) if here)
    return min(max(top, 2 * v - y), bottom), min(max(left, 2 * u - x), right)
