"""Power spectrum of correlated noise from one image.

A first spectrum is that of the windows with the least structure. Then, again and again, everything
above a threshold is removed from overlapping windows of the whole image, as structure, and the
spectrum is that of the remainder, which needs no flat areas and resolves narrow peaks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray
from fastrestore._noise.patches import SIDE as PATCH
from fastrestore._noise.patches import varying

LONG = 64  # pixels; windows of the spectrum. The cosine that smooths it ends at half of that
SHORT = 32  # pixels; windows that are flat, or from which structure is removed
CELL = 192  # pixels; larger images are sampled by squares of this side
MOST = 2**18  # pixels of all squares together
FLAT = 0.1  # share of the windows, those with the least structure, of the first spectrum
ROUNDS = 5  # of selecting windows by a spectrum, and averaging them
# Noise has a coefficient with this multiple of its mean power once in 245 times. Smaller ones cut
# noise, larger ones leave structure: 5 to 6.5 restore correlated noise equally well.
THRESHOLD = 5.5
REFINED = 5  # spectra of remainders
LEAST = 1e-6  # power relative to the largest that differs from rounding


@dataclass(frozen=True, eq=False)
class Cell:
    """A part of an image, and where it is valid and varies."""

    image: FloatArray
    usable: NDArray[np.bool_]

    def windows(self, size: int, step: int) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return windows (P, Q, size, size), and which are usable in all pixels."""
        each = sliding_window_view(self.image, (size, size))[::step, ::step]
        counts = np.cumsum(np.cumsum(np.pad(self.usable, ((1, 0), (1, 0))), 0), 1)
        rows: NDArray[np.intp] = counts[size:] - counts[:-size]
        whole: NDArray[np.bool_] = rows[:, size:] - rows[:, :-size] == size**2
        return each, whole[::step, ::step]


def covariance(
    image: FloatArray, valid: NDArray[np.bool_] | None = None, refined: int = REFINED
) -> FloatArray:
    """Return the covariance of stationary noise at lags up to 31 pixels, (64, 64), lag 0 first.

    It has zeros if the image has no noise, and fewer lags if it is smaller than 64 pixels.
    """
    cells = cells_of(image, valid)
    side = min((n for cell in cells for n in cell.image.shape), default=0)
    if side < SHORT:
        return np.zeros((1, 1))
    size = LONG if side >= LONG else SHORT
    found = _of_flat(cells)
    for _ in range(refined):
        if not found[0, 0] > 0:
            break
        better = _of_remainders(cells, power(found, LONG), size)
        if better is None:
            break
        found = better
    return found


def power(found: FloatArray, size: int) -> FloatArray:
    """Power spectrum (size, size) of noise of a covariance, with the variance as its mean."""
    half = min(len(found), size) // 2
    lags = np.arange(1 - half, half)
    taper = np.cos(np.pi / 2 * lags / half) ** 2
    whole = np.zeros((size, size))
    whole[np.ix_(lags, lags)] = found[np.ix_(lags, lags)] * np.outer(taper, taper)
    return np.maximum(np.fft.fft2(whole).real, 0)


def cells_of(image: FloatArray, valid: NDArray[Any] | None = None) -> list[Cell]:
    """Split off parts of an image on a regular grid, or return the whole."""
    known = np.ones(image.shape, bool) if valid is None else np.broadcast_to(valid, image.shape)
    places = squares(image.shape)
    return [_cell(image[place], known[place]) for place in places if known[place].any()]


def squares(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Return where parts of an image are, on a regular grid, or the place of the whole."""
    down, across = (_starts(n, math.prod(shape)) for n in shape)
    end = CELL if len(down) > 1 or len(across) > 1 else max(shape)
    return [(slice(y, y + end), slice(x, x + end)) for y in down for x in across]


def _starts(size: int, area: int) -> list[int]:
    """Return where cells begin along an axis."""
    if area <= MOST:
        return [0]
    count = max(1, min(size // CELL, round(math.sqrt(MOST) / CELL)))
    return [int(k) for k in np.linspace(0, max(0, size - CELL), count)]


def _cell(image: FloatArray, valid: NDArray[Any]) -> Cell:
    """Scale a part of an image, and mark constant areas and invalid pixels."""
    image = np.where(valid, image, image[valid].mean())
    scale = float(np.abs(image - image.mean()).max())
    if scale == 0 or min(image.shape) < PATCH:
        return Cell(image, np.zeros(image.shape, bool))
    usable = np.ones(image.shape, bool)
    middle = PATCH // 2
    usable[middle:-middle, middle:-middle] = varying((image - image.mean()) / scale, valid)
    return Cell(image, usable & valid)


def _of_flat(cells: list[Cell]) -> FloatArray:
    """Covariance of the noise of the windows with the least structure."""
    taper = _hann(SHORT)
    parts = []
    for cell in cells:
        step = SHORT // 4 if sum(each.image.size for each in cells) < MOST / 4 else SHORT // 2
        windows, usable = cell.windows(SHORT, step)
        parts.append(_powers(windows[usable], taper))
    powers = np.concatenate(parts)
    if not len(powers):
        return np.zeros((SHORT, SHORT))
    found = np.quantile(powers, FLAT, axis=0)
    for _ in range(ROUNDS):
        structure = (powers / np.maximum(found, 1e-12 * found.max() + 1e-300)).mean((1, 2))
        found = powers[structure <= np.quantile(structure, FLAT)].mean(0)
    return _covariance(found, taper)


def _of_remainders(cells: list[Cell], known: FloatArray, size: int) -> FloatArray | None:
    """Covariance of what remains of an image without structure; None if no window is usable."""
    taper, total, count = _hann(size), np.zeros((size, size // 2 + 1)), 0
    for cell in cells:
        rest = Cell(remainder(cell.image, known), cell.usable)
        windows, usable = rest.windows(size, size // 2)
        total += _powers(windows[usable], taper).sum(0)
        count += int(np.count_nonzero(usable))
    if count == 0:
        return None
    kept = 1 - (1 + THRESHOLD) * math.exp(-THRESHOLD)  # of the power of noise
    return _covariance(total / count / kept, taper)


def remainder(image: FloatArray, known: FloatArray) -> FloatArray:
    """Remove coefficients above the threshold for noise of a power (64, 64) from an image."""
    half = SHORT // 2
    taper = np.sin(np.pi * (np.arange(SHORT) + 0.5) / SHORT)
    noise = tapered(known, np.outer(taper, taper))
    sizes = [-(-n // half) * half for n in image.shape]
    padded = np.pad(image, [(0, b - a) for a, b in zip(image.shape, sizes, strict=True)], "reflect")
    windows = sliding_window_view(padded, (SHORT, SHORT))[::half, ::half]
    means = windows.mean((2, 3), keepdims=True)
    transformed = np.fft.rfft2((windows - means) * np.outer(taper, taper))
    transformed[np.abs(transformed) ** 2 > THRESHOLD * noise] = 0
    transformed[..., 0, 0] = 0
    parts = np.fft.irfft2(transformed, (SHORT, SHORT)) * np.outer(taper, taper)
    added = _overlapped(parts, half)
    weight = [np.full(n, 1.0) for n in sizes]
    for axis in weight:
        axis[:half] = taper[:half] ** 2
        axis[-half:] = taper[half:] ** 2
    rest = added / np.maximum(np.outer(*weight), 1e-3)
    return rest[: image.shape[0], : image.shape[1]]


def _overlapped(parts: FloatArray, half: int) -> FloatArray:
    """Add windows (P, Q, 2 * half, 2 * half) that overlap by half."""
    down, across = parts.shape[:2]
    blocks = np.zeros((down + 1, half, across + 1, half))
    split = parts.reshape(down, across, 2, half, 2, half)
    for y in (0, 1):
        for x in (0, 1):
            blocks[y : down + y, :, x : across + x] += split[:, :, y, :, x].transpose(0, 2, 1, 3)
    return blocks.reshape((down + 1) * half, (across + 1) * half)


def tapered(known: FloatArray, taper: FloatArray) -> FloatArray:
    """Mean power of real transforms of tapered windows in noise of a power spectrum."""
    size = len(taper)
    own = np.fft.ifft2(np.abs(np.fft.fft2(taper, (2 * size, 2 * size))) ** 2).real
    lags = np.arange(-size, size)
    found = np.fft.ifft2(known).real[np.ix_(lags, lags)]
    mean = np.fft.fft2(np.fft.ifftshift(found) * own).real[::2, ::2]
    noise: FloatArray = np.maximum(mean, LEAST * mean.max())[:, : size // 2 + 1]
    return noise


def _powers(windows: FloatArray, taper: FloatArray) -> FloatArray:
    """Power (K, size, size // 2 + 1) of tapered windows, after subtraction of a fitted plane."""
    size = len(taper)
    place = np.arange(size) - (size - 1) / 2
    slope = place / (place**2).sum() / size
    down = np.einsum("kyx,y->k", windows, slope)[:, None, None]
    across = np.einsum("kyx,x->k", windows, slope)[:, None, None]
    flat = windows - windows.mean((1, 2), keepdims=True) - down * place[:, None] - across * place
    powers: FloatArray = np.abs(np.fft.rfft2(flat * taper)) ** 2
    return powers


def _covariance(powers: FloatArray, taper: FloatArray) -> FloatArray:
    """Covariance from the mean power of tapered windows."""
    own = np.fft.ifft2(np.abs(np.fft.fft2(taper)) ** 2).real
    found: FloatArray = np.fft.irfft2(powers, taper.shape) / np.maximum(own, 1e-3 * own[0, 0])
    return found


@cache
def _hann(size: int) -> FloatArray:
    """Taper that is 0 next to a window."""
    return np.outer(*2 * [np.hanning(size + 2)[1:-1]])
