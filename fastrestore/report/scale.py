"""Values as codes: which values are stored, and which are shown as black and white."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.report.series import Removed, Series, sampled

FRAMES = 8  # of a stack from which ranges are measured
SIDE = 512  # about so many rows and columns of a picture are measured
DARK, BRIGHT = 0.1, 99.9  # percentiles that are shown as black and white
TAIL = 0.01  # percent of the values that may be beyond the stored range at either end ...
MARGIN = 0.25  # ... which is then widened by this part of itself
DEVIATIONS = 4  # of what was removed, shown as black and white
STEPS = 4  # codes for a standard deviation of the noise, if all 16 bits would be too large
RESOLVED = 1e-6  # of a constant that is large
BAND = 64  # rows that are coded at once, to save memory
EIGHT, SIXTEEN = 255, 65535  # largest codes


class Scale(NamedTuple):
    """Codes of values: code = (value - low) / step, from 0 to most."""

    low: float
    step: float
    most: int

    def codes(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Return the codes of a picture, rounded and clipped."""
        if picture.dtype == np.uint8 and (self.low, self.step, self.most) == (0, 1, EIGHT):
            return picture
        codes = np.empty(picture.shape, np.uint8 if self.most <= EIGHT else np.uint16)
        for first in range(0, len(picture), BAND):
            part = slice(first, first + BAND)
            scaled = (picture[part].astype(np.float64) - self.low) / self.step
            codes[part] = np.clip(np.rint(scaled), 0, self.most)
        return codes

    def coarser(self, step: float) -> Scale:
        """Return the same range with larger steps."""
        if step <= self.step:
            return self
        return Scale(self.low, step, max(1, round(self.most * self.step / step)))


class Window(NamedTuple):
    """Values that are shown as black and white."""

    low: float
    high: float

    def scale(self) -> Scale:
        """Return the codes of 8 bits for this range."""
        return Scale(self.low, (self.high - self.low) / EIGHT, EIGHT)


def sparse(size: int) -> int:
    """Return the step between rows or columns that are measured."""
    return max(1, size // SIDE)


def is_eight_bit(pictures: Sequence[Series]) -> bool:
    """Whether the values are those of 8-bit files; results of the library for them are float."""
    return pictures[0].values.dtype == np.uint8


def stored(pictures: Sequence[Series]) -> Scale:
    """Return the codes that keep the most of the values."""
    if is_eight_bit(pictures):
        return Scale(0.0, 1.0, EIGHT)
    values = sampled(pictures, FRAMES, sparse)
    low, high = (float(k) for k in (values.min(), values.max()))
    if all(each.values.dtype == np.uint16 for each in pictures):
        return Scale(0.0, 1.0, SIXTEEN)
    integers = all(each.values.dtype.kind in "ui" for each in pictures)
    if integers and high - low <= SIXTEEN // 2:  # with room for values that were not measured
        return Scale(low - SIXTEEN // 4, 1.0, SIXTEEN)
    first, last = (float(k) for k in np.percentile(values, (TAIL, 100 - TAIL)))
    margin = MARGIN * (last - first)
    low, high = max(low, first - margin), min(high, last + margin)
    return Scale(low, (high - low) / SIXTEEN if high > low else 1.0, SIXTEEN)


def window(pictures: Sequence[Series], data_range: float | None) -> Window:
    """Return the values that are black and white at first."""
    kind, color = pictures[0].values.dtype, pictures[0].shape[3] > 1
    if kind == np.uint8:
        return Window(0, EIGHT)
    if data_range is not None and kind.kind == "u":
        return Window(0, data_range)
    if kind == np.uint16 and color:
        return Window(0, SIXTEEN)
    values = sampled(pictures[1:], FRAMES, sparse)
    low, high = (float(k) for k in np.percentile(values, (DARK, BRIGHT)))
    if kind.kind == "f" and color and low >= 0 and 0.1 < high <= 1.1:
        return Window(0, 1)
    wide = max(0.5, abs(low) * RESOLVED)  # which are different numbers
    return Window(low, high) if high > low else Window(low - wide, low + wide)


def whole(pictures: Sequence[Series]) -> Window:
    """Return the range of all values."""
    values = sampled(pictures, FRAMES, sparse)
    low, high = (float(k) for k in (values.min(), values.max()))
    return Window(low, high if high > low else low + 1)


def around_zero(every: Sequence[Removed]) -> Window:
    """Return the range that shows what was removed."""
    deviation = float(sampled(every, FRAMES, sparse).std(dtype=np.float64))
    limit = DEVIATIONS * deviation if deviation > 0 else 1.0
    return Window(-limit, limit)
