"""Statistics of what was removed: level, correlation, histogram and spectrum."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray
from fastrestore.report.series import Removed, spread

FRAMES = 5  # of a stack that are measured
TILE, TILES = 512, 12  # pixels: side of the parts of large pictures that are measured; their number
SIDE = 64  # pixels: blocks whose power spectra are averaged; smaller images are one block
BLOCKS = 400  # of a frame, at most: their mean has an error of 0.2 dB for white noise
RANGE = 5  # standard deviations that the histogram covers in either direction
BINS = 81  # at most; an odd number, so that 0 is in the middle of a bin
FLOOR = 1e-4  # least power relative to the mean, so that its logarithm is finite


class Statistics(NamedTuple):
    """What describes the removed part of a picture."""

    mean: float
    deviation: float
    right: float  # correlation of neighbors in a row
    down: float  # and in a column
    similarity: float  # correlation with the restored picture
    histogram: FloatArray  # (n,) share of the pixels in bins around 0, about RANGE deviations
    width: float  # of a bin
    spectrum: FloatArray  # (side, side) power relative to white noise, zero frequency centered
    radial: FloatArray  # (side // 2,) mean power by distance from the center


def statistics(removed: Removed) -> Statistics:
    """Measure some frames of a difference, and parts of large ones."""
    frames, restored = [], []
    for index in spread(removed.shape[0], FRAMES):
        frames += tiles(removed.frame(index))
        restored += tiles(removed.restored.frame(index))
    values, clean = (np.concatenate([k.ravel() for k in each]) for each in (frames, restored))
    deviation = float(values.std())
    power = spectrum(frames)
    width = bin_width(deviation, whole=_is_whole(values))
    return Statistics(
        float(values.mean()),
        deviation,
        neighbors(frames, 1),
        neighbors(frames, 0),
        correlation(values, clean),
        histogram(values, deviation, width),
        width,
        power,
        radial(power),
    )


def tiles(frame: NDArray[Any]) -> list[FloatArray]:
    """Return a frame in float64, or parts of a large one, evenly spread."""
    corners = [
        (row, column)
        for row in range(0, max(1, frame.shape[0] - TILE + 1), TILE)
        for column in range(0, max(1, frame.shape[1] - TILE + 1), TILE)
    ]
    if len(corners) <= TILES:
        return [frame.astype(np.float64)]
    chosen = [corners[k] for k in spread(len(corners), TILES)]
    return [frame[r : r + TILE, c : c + TILE].astype(np.float64) for r, c in chosen]


def correlation(first: FloatArray, second: FloatArray) -> float:
    """Return the correlation of two arrays, 0 if one is constant."""
    a, b = first - first.mean(), second - second.mean()
    scale = float(np.sqrt(np.mean(a * a) * np.mean(b * b)))
    return float(np.mean(a * b)) / scale if scale > 0 else 0.0


def neighbors(frames: list[FloatArray], axis: int) -> float:
    """Return the correlation of pixels with the next one along an axis, the mean of frames."""
    if frames[0].shape[axis] < 2:
        return 0.0
    pairs = [(np.delete(each, -1, axis), np.delete(each, 0, axis)) for each in frames]
    return float(np.mean([correlation(first, second) for first, second in pairs]))


def _is_whole(values: FloatArray) -> bool:
    """Whether all values are integers, as differences of integer images are."""
    return bool((values == np.rint(values)).all())


def bin_width(deviation: float, *, whole: bool) -> float:
    """Return the width of a bin of the histogram: of integers, a whole number of levels.

    Bins narrower than a level, or of a fraction of levels, would alternate between more and less.
    """
    width = 2 * (RANGE * deviation if deviation > 0 else 1.0) / BINS
    return float(2 * np.ceil(width / 2 - 0.5) + 1) if whole else width


def histogram(values: FloatArray, deviation: float, width: float) -> FloatArray:
    """Return the share of the values in each bin; values beyond count to the outermost bins."""
    limit = RANGE * deviation if deviation > 0 else 1.0
    beside = min(BINS // 2, max(1, int(np.ceil(limit / width - 0.5))))  # bins on either side of 0
    index = np.clip(np.rint(values / width), -beside, beside).astype(np.int64) + beside
    counts = np.bincount(index, minlength=2 * beside + 1)
    share: FloatArray = counts / len(values)
    return share


def spectrum(frames: list[FloatArray]) -> FloatArray:
    """Return the mean power by frequency relative to white noise, zero frequency centered."""
    side = min(SIDE, *frames[0].shape[:2])
    window = np.outer(*[np.hanning(side + 2)[1:-1]] * 2)
    total = np.zeros((side, side))
    for frame in frames:
        for block in blocks(frame, side):
            total += np.abs(np.fft.fft2((block - block.mean()) * window)) ** 2
    mean = total.mean()
    power: FloatArray = np.fft.fftshift(total / mean if mean > 0 else np.ones_like(total))
    return np.maximum(power, FLOOR)


def blocks(frame: FloatArray, side: int) -> list[FloatArray]:
    """Return blocks (side, side) of all channels, half overlapping, at most `BLOCKS`."""
    rows, columns, channels = frame.shape
    step = max(1, side // 2)
    corners = [
        (row, column, channel)
        for row in range(0, rows - side + 1, step)
        for column in range(0, columns - side + 1, step)
        for channel in range(channels)
    ]
    chosen = [corners[k] for k in spread(len(corners), BLOCKS)]
    return [frame[r : r + side, c : c + side, channel] for r, c, channel in chosen]


def radial(power: FloatArray) -> FloatArray:
    """Return the mean of a centered spectrum over rings one sample wide."""
    side = len(power)
    axis = np.arange(side) - side // 2
    ring = np.rint(np.hypot(*np.meshgrid(axis, axis))).astype(int).ravel()
    count = np.maximum(np.bincount(ring), 1)
    mean: FloatArray = np.bincount(ring, power.ravel()) / count
    return mean[: side // 2 + 1]
