"""Whether an estimate is the noise of a camera, and not the texture of a clean photograph.

Noise has the same power in all flat windows, relative to its level at their brightness, and its
power in different bands of frequencies, and in luminance and chroma, varies independently. The
power of texture varies from window to window, in all bands and channels together. The principle is
that of "noise-free" selection by low frequencies: Colom, Buades, "Analysis and extension of the
Ponomarenko et al. method", Image Processing On Line 3, 2013.
"""

from __future__ import annotations

import math

import numpy as np

from fastrestore._arrays.types import FloatArray
from fastrestore._noise.camera_spectrum import OPPONENT
from fastrestore._noise.camera_windows import Windows
from fastrestore._noise.spec import NoiseSpec

BANDS = ((0.02, 0.1), (0.1, 0.2), (0.2, 0.32), (0.32, 0.5))  # cycles per pixel
FLAT, FLATTEST = 0.5, 0.2  # shares of the windows, those with the least power in the lowest band
# Photographs of BSDS500 differ from real and drawn noise of cameras in the sum of three measures
# and this multiple of the logarithm of the level, relative to the range: texture that is taken for
# noise is strong. The limits were selected on BSD432, on images of two cameras and on drawn noise,
# with a margin to strong texture. Gray images lack the third measure, and the next one.
BY_LEVEL = 0.4
LIMIT, GRAY_LIMIT = -0.9, -0.3
# Demosaicing leaves less noise in the highest band than in the one below, by this logarithm, and
# less than most texture has there. Much less is also left of the texture of blurred images.
STEEPNESS = ((0.4, 1.0, 2.0, 3.0), (0.4, 1.0, 1.0, 0.7))
STRONGEST = 0.065  # level relative to the range, above which it is text or another dense drawing
TINY = 1e-9


def doubt(windows: Windows, spec: NoiseSpec, extent: float) -> float:
    """How far an estimate is from the noise of an image of this range; it is noise if negative."""
    level = float(np.mean(spec.sigma)) / max(extent, TINY)
    strongest = float(np.max(spec.sigma)) > STRONGEST * extent
    if strongest or not level > 0 or not (spec.levels > 0).all():
        return math.inf
    luminance, *chroma = _band_powers(windows, spec)
    measure = _unevenness(luminance) + BY_LEVEL * math.log(level)
    if not chroma:
        return measure - GRAY_LIMIT
    return measure + _together(luminance, chroma[0]) - _steepness(luminance) - LIMIT


def _band_powers(windows: Windows, spec: NoiseSpec) -> FloatArray:
    """Power of luminance, and of chroma if there are three channels, by band and window."""
    levels = np.array(
        [
            np.interp(windows.means[c], spec.brightness[c], spec.levels[c])
            for c in range(len(spec.levels))
        ]
    )
    waves = windows.waves / levels[..., None, None].astype(np.float32)
    count = len(levels)
    rows = OPPONENT[:2] if count == 3 else np.full((1, count), 1 / math.sqrt(count))
    waves = np.einsum("oc,cwyx->owyx", rows.astype(np.float32), waves)
    powers = (waves.real**2 + waves.imag**2) * windows.multiplicity
    radius = windows.radius
    bands = [powers[..., (radius > low) & (radius <= high)].sum(-1) for low, high in BANDS]
    result: FloatArray = np.stack(bands, 1) + TINY
    return result


def _unevenness(bands: FloatArray) -> float:
    """How much the power of (B, W) varies, and varies together in two bands.

    Cameras may remove the noise of the highest band, so the evener of two bands counts.
    """
    flat = bands[:, bands[0] <= np.quantile(bands[0], FLAT)]
    flattest = bands[:, bands[0] <= np.quantile(bands[0], FLATTEST)]
    return float(np.log(flat[2:]).std(1).min()) + _rank_correlation(flattest[1], flattest[2])


def _steepness(bands: FloatArray) -> float:
    """How much less power of (B, W) is in the highest band, as far as it shows noise."""
    flat = bands[:, bands[0] <= np.quantile(bands[0], FLAT)]
    high, highest = np.log(np.median(flat[2:], 1))
    return float(np.interp(high - highest, *STEEPNESS))


def _together(luminance: FloatArray, chroma: FloatArray) -> float:
    """Correlation of the power of luminance and chroma where there is little luminance."""
    flat = luminance[0] <= np.quantile(luminance[0], FLAT)
    return _rank_correlation(luminance[1, flat], chroma[1, flat])


def _rank_correlation(one: FloatArray, other: FloatArray) -> float:
    """Rank correlation of Spearman."""
    from scipy.stats import rankdata

    ranks = [rankdata(each) - (len(each) + 1) / 2 for each in (one, other)]
    lengths = float(np.linalg.norm(ranks[0]) * np.linalg.norm(ranks[1]))
    return float(np.vdot(ranks[0], ranks[1])) / max(lengths, 1.0)
