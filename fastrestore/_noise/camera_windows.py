"""Windows of an image on a grid, and their transforms, to measure the noise of a camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastrestore._arrays import threads
from fastrestore._arrays.types import FloatArray

SIDES = (32, 16, 8)  # pixels; the largest that is found FEWEST times in an image
FEWEST = 24
LIVELY = 0.25  # share of the windows that are constant nowhere, at least, to use only these
OVERLAP = 2  # windows start at each half of a side
MOST = 2048  # windows are enough; of a larger image, they are samples on a grid
BLOCK = 8  # pixels; a constant square of this size, as JPEG makes them, has lost its noise
PARTS = 64  # windows that are transformed at a time


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Tapered windows of an image (C, M, N) without their means and slopes.

    Attributes
    ----------
    means : array, shape (C, W)
        Mean values.
    waves : array of complex, shape (C, W, side, side // 2 + 1)
        Fourier transforms; the mean square is the power of the noise by frequency.
    side : int
        Height and width in pixels.
    """

    means: FloatArray
    waves: NDArray[np.complex64]
    side: int

    @classmethod
    def of(cls, planes: NDArray[Any], valid: NDArray[Any] | None) -> Windows | None:
        """Transform windows without invalid pixels or constant areas; None if there are few.

        If most have constant areas at each side, all windows of the largest side are returned.
        """
        known = None
        if valid is not None:
            known = np.asarray(np.broadcast_to(valid, planes.shape).all(0))
        found = None
        for side in SIDES:
            if min(planes.shape[1:]) < side:
                continue
            corners = _corners(planes.shape[1:], side, known)
            if len(corners) < FEWEST:
                continue
            windows, lively = cls._at(planes, corners, side)
            if np.count_nonzero(lively) >= max(FEWEST, LIVELY * len(corners)):
                return windows._some(lively)
            found = found or windows
        return found

    @classmethod
    def _at(
        cls, planes: NDArray[Any], corners: NDArray[np.intp], side: int
    ) -> tuple[Windows, NDArray[np.bool_]]:
        """Transform the windows with these first pixels, and tell which are constant nowhere."""
        # float32 is exact enough only near 0
        center = np.asarray(planes[:, corners[0, 0], corners[0, 1]], np.float64)[:, None]

        def measured(first: int) -> tuple[FloatArray, NDArray[Any], NDArray[np.bool_]]:
            exact = _cut(planes, corners[first : first + PARTS], side)
            exact -= center[..., None, None]
            blocks = exact.astype(np.float32)
            means = exact.mean((2, 3), dtype=np.float64) + center
            return means, _transformed(blocks), ~_is_constant(blocks)

        parts = threads.in_order(measured, range(0, len(corners), PARTS))
        means, waves, lively = zip(*parts, strict=True)
        windows = cls(np.concatenate(means, 1), np.concatenate(waves, 1), side)
        return windows, np.concatenate(lively)

    def _some(self, wanted: NDArray[np.bool_]) -> Windows:
        """Return a part of the windows."""
        return Windows(self.means[:, wanted], self.waves[:, wanted], self.side)

    def channels(self, wanted: NDArray[np.bool_]) -> Windows:
        """Return the windows of some channels."""
        return self if wanted.all() else Windows(self.means[wanted], self.waves[wanted], self.side)

    def powers(self, number: int) -> NDArray[np.float32]:
        """Power of the windows of a channel by frequency."""
        waves = self.waves[number]
        powers: NDArray[np.float32] = waves.real**2 + waves.imag**2
        return powers

    @property
    def multiplicity(self) -> FloatArray:
        """Share of each frequency of `waves` among all frequencies; the sum is 1."""
        count = np.full(self.side // 2 + 1, 2.0)
        count[[0, -1]] = 1
        return np.tile(count / self.side**2, (self.side, 1))

    @property
    def radius(self) -> FloatArray:
        """Magnitude of each frequency of `waves` in cycles per pixel."""
        radius: FloatArray = np.hypot(
            np.fft.fftfreq(self.side)[:, None], np.fft.rfftfreq(self.side)
        )
        return radius


def _corners(
    shape: tuple[int, ...], side: int, known: NDArray[np.bool_] | None
) -> NDArray[np.intp]:
    """First pixels (W, 2) of windows on a regular grid, without those with an invalid pixel."""
    spans = [n - side for n in shape]
    step = max(side // OVERLAP, math.ceil(math.sqrt(math.prod(n + 1 for n in spans) / MOST)))
    down, across = (np.arange(n % step // 2, n + 1, step) for n in spans)
    corners = np.stack(np.meshgrid(down, across, indexing="ij"), -1).reshape(-1, 2)
    if known is None:
        return np.asarray(corners, np.intp)
    sums = np.zeros([n + 1 for n in shape], np.int64)
    sums[1:, 1:] = known.cumsum(0).cumsum(1)
    y, x = corners.T
    inside = sums[y + side, x + side] - sums[y, x + side] - sums[y + side, x] + sums[y, x]
    return np.asarray(corners[inside == side**2], np.intp)


def _cut(planes: NDArray[Any], corners: NDArray[np.intp], side: int) -> FloatArray:
    """Windows (C, W, side, side) of an image."""
    views = sliding_window_view(planes, (side, side), (1, 2))
    blocks = views[:, corners[:, 0], corners[:, 1]]
    return np.ascontiguousarray(blocks, np.float64)


def _is_constant(blocks: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which windows have a constant square in some channel."""
    side = blocks.shape[-1]
    count = side // min(BLOCK, side)
    squares = blocks.reshape(*blocks.shape[:2], count, side // count, count, side // count)
    same = squares == squares[:, :, :, :1, :, :1]
    constant: NDArray[np.bool_] = same.all(3).all(-1).any((0, 2, 3))
    return constant


def _transformed(blocks: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Fourier transforms of windows, tapered after a fitted plane is subtracted."""
    from scipy.fft import rfft2

    side = blocks.shape[-1]
    place = (np.arange(side) - (side - 1) / 2).astype(np.float32)
    slope = place / (place**2).sum() / side
    rest = blocks - blocks.mean((2, 3), keepdims=True)
    down = (rest.sum(3) @ slope)[..., None, None] * place[:, None]
    across = (rest.sum(2) @ slope)[..., None, None] * place
    taper = np.outer(*2 * [np.hanning(side + 2)[1:-1]]).astype(np.float32)
    taper /= math.sqrt(float((taper**2).sum()))
    waves: NDArray[np.complex64] = rfft2((rest - down - across) * taper, workers=1)
    return waves
