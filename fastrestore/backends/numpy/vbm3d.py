"""V-BM3D step by step, in the order of the paper.

Dabov, Foi, Egiazarian, "Video denoising by sparse 3D transform-domain collaborative filtering",
EUSIPCO 2007. The frames of a window are stored one below the other in a tall image, so that groups
are filtered like those of an image. The noise of different frames is independent.
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

FARTHEST = 1984  # pixels: largest distance of a trail from its reference
Candidate = tuple[float, int, int, int]  # distance, frame, row, column: sorted in this order


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
        """Store a frame."""
        self._matched[slot] = matched
        self._images[0][:, self._rows(slot)] = noisy
        self._piloted = pilot is not None
        if pilot is not None:
            self._images[1][:, self._rows(slot)] = pilot

    def filter(self, slots: Sequence[int], center: int) -> None:
        """Filter the groups of a frame and aggregate them."""
        matches = self.matches(slots, center)
        images = tuple(self._images[: 1 + self._piloted])
        aggregate(self._sums, images, matches, self._stage, self._execution)

    def take(self, slot: int) -> Channels:
        """Return the estimate of a frame and free its slot."""
        sums = self._sums[:, :, self._rows(slot)]
        estimate: Channels = (sums[0] / sums[1]).astype(np.float32)
        sums[:] = 0
        return estimate

    def matches(self, slots: Sequence[int], center: int) -> Matches:
        """Match the blocks of the frames in `slots` to the references of the frame at `center`."""
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
    """Rows from one frame to the next in a tall image; no blocks across the gap share noise."""
    reach: int = stage.covariance.shape[1] - 1
    return height - stage.block + max(reach, stage.block)  # frames do not overlap


def search(
    blocks: NDArray[np.float64], center: int, y: int, x: int, stage: Stage
) -> list[Candidate]:
    """Blocks of all frames similar to the one at (y, x) of the frame `center`, nearest first.

    Section 2 of the paper. In the frame itself the whole search window is searched. In the other
    frames, one by one in both directions, windows around the `trails` nearest blocks of the
    previous frame are searched. Unlike in the paper, these positions are extrapolated with constant
    velocity, and searched within `follow` pixels. The distance of a block at the same position in
    another frame is reduced by `static`. The reference is first; equal distances are in order of
    frame, row and column.
    """
    reference = blocks[center, y, x]

    def candidates_of(frame: int, places: list[tuple[int, int]], radius: int) -> list[Candidate]:
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
    near = [here, *(c for c in candidates_of(center, [(y, x)], stage.radius) if c[2:] != (y, x))]
    candidates = near[: stage.group]
    for step in (1, -1):
        origins = middles = [c[2:] for c in near[: stage.trails.followed]]
        frame, radius = center + step, stage.trails.predict
        while 0 <= frame < len(blocks):
            seen = candidates_of(frame, middles, radius)
            candidates += seen[: stage.group]
            trail = [c[2:] for c in seen[: stage.trails.followed]]
            bounds = _bounds((y, x), blocks.shape)
            middles = [_led(place, origins, middles, radius, bounds) for place in trail]
            origins, frame, radius = trail, frame + step, stage.trails.follow
    close = [c for c in sorted(candidates) if c[0] < stage.match][: stage.group]
    return close[: 2 ** int(np.log2(len(close)))]


def bias_of(stage: Stage, same_frame: bool, dy: int, dx: int) -> float:
    """Addition to a distance for the noise that blocks share, for this displacement."""
    if stage.match_bias is None:
        return 0.0
    if not same_frame:
        return stage.trails.match_bias
    return float(stage.match_bias[dy + stage.radius, dx + stage.radius])


Bounds = tuple[tuple[int, int], tuple[int, int]]


def _bounds(reference: tuple[int, int], shape: tuple[int, ...]) -> Bounds:
    """First and last row and column that a trail may reach."""
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
    """Extrapolate a trail, from its previous position, that of the window that contains it."""
    (v, u), ((top, bottom), (left, right)) = place, bounds
    found = (max(abs(v - y), abs(u - x)) <= radius for y, x in middles)
    y, x = next(origin for origin, here in zip(origins, found, strict=True) if here)
    return min(max(top, 2 * v - y), bottom), min(max(left, 2 * u - x), right)
