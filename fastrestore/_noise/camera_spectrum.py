"""Cross-spectra of the noise of a photograph, from the windows with the least structure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import threads
from fastrestore._arrays.types import FloatArray
from fastrestore._noise.camera_level import DEPENDENT, Kind, log_powers, typical
from fastrestore._noise.camera_windows import Windows

# Opponent colors: the noise of luminance and that of chroma differ in spectrum, and are nearly
# uncorrelated. The rows have the norm 1.
OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
ROUNDS = 3  # of selecting windows by the spectrum, and estimating from them
START = 0.1  # quantile of the powers of each frequency that a first spectrum is from
# Share of the powers of each frequency, the lowest, that are used: structure has its power in few
# windows. Compression removes the noise of many windows, and most that chroma has is noise.
LOWER, COMPRESSED_CHROMA = 0.5, 0.9
# Below the frequency RING, the spectrum of the noise of luminance is limited to that of white noise
# filtered by a Gaussian which fits RING and 1.5 RING (if GAUSS is 0.8), times a power of the
# frequency. The noise of cameras rises more, but so do structures, and a limit that is too low
# costs less than one that is too high.
RING, GAUSS, RISE = 8 / 32, 0.3, 0.15
# The limit does not hold where most windows have the same power at these frequencies: where their
# lower half spreads by this many standard deviations; noise has 2.
HOMOGENEOUS = ((2.7, 3.05), (1.0, 0.0))
CHROMA_LIMIT = 4.0  # power of the noise of chroma at these frequencies relative to that limit
# Least power of chroma relative to luminance in compressed images, by frequency. The noise of two
# colors of a sensor is independent, so long waves have equal power in both; demosaicing correlates
# the colors at higher frequencies.
LEAST_CHROMA = ((0.06, 0.15, 0.26), (1.0, 0.1, 0.02))
FAINT = 1e-6  # power relative to the mean


def cross_spectra(
    windows: Windows, levels: FloatArray, compressed: bool, start: FloatArray | None = None
) -> FloatArray:
    """Cross-spectra (C, C, side, side // 2 + 1) of the noise relative to its level by channel.

    `levels` (C, W) are its standard deviations in the windows, and `start` an earlier estimate.
    """
    waves = windows.waves / levels[..., None, None].astype(np.float32)
    colored = len(waves) == len(OPPONENT)
    basis = OPPONENT if colored else np.eye(len(waves))
    if colored:
        waves = np.tensordot(basis.astype(np.float32), waves, 1)
    starts: list[FloatArray | None] = [None] * len(waves)
    if start is not None:
        starts = list(np.einsum("oc,od,cdyx->oyx", basis, basis, start))
    each = threads.in_order(
        lambda number: _spectrum(
            windows, waves[number], Kind(colored and number > 0, compressed), starts[number]
        ),
        range(len(waves)),
    )
    found = np.array([spectrum for spectrum, _ in each])
    spectra = _limited(windows, found, waves)
    if colored and compressed:
        spectra[1:] = np.maximum(spectra[1:], spectra[0] * _least_chroma(windows.radius))
    some = waves[:, each[0][1]]
    cross = np.einsum("owyx,pwyx->opyx", some, some.conj()).real.astype(np.float64)
    own = np.sqrt(np.maximum(np.einsum("ooyx->oyx", cross), 1e-300))
    scale = np.sqrt(spectra) / own
    back = np.linalg.inv(basis)
    cross = cross * scale[:, None] * scale[None]
    whole: FloatArray = np.einsum("co,dp,opyx->cdyx", back, back, cross)
    return whole


def _spectrum(
    windows: Windows, waves: NDArray[np.complex64], kind: Kind, start: FloatArray | None
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Spectrum of the noise in waves (W, ...), and the windows that it is from."""
    powers = waves.real**2 + waves.imag**2
    floor = 1e-12 * float(powers.mean()) + 1e-30
    if start is None:
        start = np.quantile(powers, START, axis=0) / -math.log(1 - START)
    spectrum = np.maximum(start, floor)
    share = COMPRESSED_CHROMA if kind.chroma and kind.compressed else LOWER
    for _ in range(ROUNDS):
        logs, deviation = log_powers(windows, powers, spectrum)
        chosen = logs <= typical(logs, deviation, kind) + deviation
        some = powers[chosen]
        spectrum = np.minimum(some.mean(0, dtype=np.float64), _lower_means(some, share))
        spectrum = np.maximum(spectrum, floor + FAINT * spectrum.mean())
    logs, deviation = log_powers(windows, powers, spectrum)
    return spectrum * math.exp(typical(logs, deviation, kind)), chosen


def _lower_means(powers: NDArray[np.float32], share: float) -> FloatArray:
    """Means of exponential distributions, from a share of values (W, K), the lowest."""
    count = max(1, round(share * len(powers)))
    lowest = np.partition(powers, count - 1, axis=0)[:count]
    rest = 1 - count / len(powers)
    expected = 1 + rest * math.log(rest) / (1 - rest) if rest > 0 else 1.0
    means: FloatArray = lowest.mean(0, dtype=np.float64) / expected
    return means


def _limited(windows: Windows, spectra: FloatArray, waves: NDArray[Any]) -> FloatArray:
    """Limit the power at low frequencies to what is likely to be noise."""
    radius = np.maximum(windows.radius, 1 / 32) / RING
    colored = len(waves) == len(OPPONENT)
    limits = []
    for number, spectrum in enumerate(spectra[:1] if colored else spectra):
        ring, outer = (_ring(windows, spectrum, at) for at in (RING, 1.5 * RING))
        steep = GAUSS * math.log(max(1.0, ring / outer))
        limit = ring * np.exp(steep * (1 - radius**2) - RISE * np.log(radius))
        trust = _homogeneous(windows, waves[number], spectrum)
        limits.append(limit * np.maximum(spectrum / limit, 1) ** trust)
    if colored:
        limits += 2 * [CHROMA_LIMIT * limits[0]]
    return np.where(radius < 1, np.minimum(spectra, limits), spectra)


def _least_chroma(radius: FloatArray) -> FloatArray:
    """Least power of the noise of chroma relative to that of luminance, by frequency."""
    radii, shares = LEAST_CHROMA
    share: FloatArray = np.exp(np.interp(radius, radii, np.log(shares)))
    return share


def _homogeneous(windows: Windows, waves: NDArray[Any], spectrum: FloatArray) -> float:
    """Whether most windows have the same power at low frequencies, as noise has; 0 to 1."""
    low = windows.radius < RING
    weight = windows.multiplicity[low] / np.maximum(windows.radius[low], 1 / 32) ** 2
    weight /= weight.sum()
    some = waves[:, low]
    powers = (some.real**2 + some.imag**2).astype(np.float64)
    logs = np.log(np.einsum("wk,k->w", powers, weight / spectrum[low]) + 1e-30)
    least, half = np.quantile(logs, [0.02, 0.5])
    deviation = math.sqrt(DEPENDENT * float((weight**2).sum()))
    return float(np.interp((half - least) / deviation, *HOMOGENEOUS))


def _ring(windows: Windows, spectrum: FloatArray, radius: float) -> float:
    """Mean power at the frequencies of a magnitude."""
    share = windows.multiplicity * (np.abs(windows.radius - radius) < 0.75 / windows.side)
    return float((spectrum * share).sum() / share.sum())
