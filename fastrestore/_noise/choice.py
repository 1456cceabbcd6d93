"""Choice of the simplest model of the noise that an image supports."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import threads
from fastrestore._noise.camera import camera_noise, exact_scale, in_units, noise_in_windows
from fastrestore._noise.camera_windows import Windows
from fastrestore._noise.compression import agreement
from fastrestore._noise.correlated import LONG, REFINED, cells_of, covariance, power, squares
from fastrestore._noise.counts import counts_noise
from fastrestore._noise.estimate import is_bitmap, sigmas
from fastrestore._noise.evenness import doubt
from fastrestore._noise.fit import Fit, fit
from fastrestore._noise.spec import NoiseSpec

MODELS = ("auto", "white", "correlated", "signal-dependent", "camera")
# A spectrum is considered if the noise has this multiple of the variance of white noise, which is
# estimated from the highest frequencies. White noise in texture has up to 2 and more if it is weak.
COLORED = 3.0
ROUGHLY = 1.5  # the same before the spectrum is refined, which takes most of the time
# Largest quantiles of the power of windows of noise. Photographs without noise have 1.4 or more in
# the flattest quarter of their windows, correlated noise in photographs up to 1.1.
FLAT, MIDDLE = 1.15, 1.4
# Where noise is nearly all there is, texture may be taken for it; its distribution is not normal.
NEARLY_ALL = 0.5
SKEWNESS, KURTOSIS = 0.12, 3.5

# Effective share of the frequencies that have the power: the kernels g1 and g2 of
# `bench/correlated.py` have 0.06 or more, a plane wave in noise has less than 0.01
PERIODIC = 0.02
ENOUGH = 2**20  # pixels, on a regular grid, of which shares are measured
PAPER = 0.2  # share of black and white pixels in drawings and text; photographs have less
VARYING = 0.8  # least share of a photograph that varies
WEAK = 0.009  # level relative to the range that hardly changes an image without noise
# The same if the coefficients of a JPEG file confirm an estimate; how far evenness may then be from
# its limit for the estimate to count so in full, and at all; and at which levels, relative to the
# range, it does: texture that is taken for noise is strong
CONFIRMED = 0.02
DOUBTFUL = (0.5, 0.75), (1.0, 0.0)
MODERATE = (0.022, 0.028), (1.0, 0.0)
WHITE = "the noise is white"
UNKNOWN = "the noise cannot be distinguished from the structure of the image; "


class Choice(NamedTuple):
    """Noise of an image, and why this model was chosen."""

    spec: NoiseSpec
    reason: str


def choose(planes: Any, valid: NDArray[np.bool_] | None, model: str) -> Choice:
    """Estimate the noise of an image (C, M, N) with a model, or with the simplest that fits.

    For the model "white" it may be on a GPU, for others it is on the host.
    """
    masks = [None] * len(planes) if valid is None else np.broadcast_to(valid, planes.shape)
    if all(is_bitmap(*each) for each in zip(planes, masks, strict=True)):
        none = NoiseSpec.white(*np.zeros(len(planes)))
        return Choice(none, "the image has no more than two values, and no noise")
    if model == "auto":
        return _simplest(planes, valid)
    reason = f"the model {model!r} was requested"
    if model == "white":
        return Choice(NoiseSpec.white(*sigmas(planes, valid)), reason)
    if model == "correlated" and len(planes) == 1:
        return Choice(correlated_noise(planes, valid), reason)
    correlated, varying = model != "signal-dependent", model != "correlated"
    return Choice(camera_noise(planes, valid, correlated=correlated, varying=varying), reason)


def correlated_noise(
    planes: NDArray[Any], valid: NDArray[np.bool_] | None, refined: int = REFINED
) -> NoiseSpec:
    """Estimate the spectrum of stationary noise of one channel (1, M, N)."""
    known = None if valid is None else valid[0]
    found = covariance(np.asarray(planes[0], np.float64), known, refined)
    spectrum = power(found, LONG)
    variance = float(spectrum.mean())
    if not variance > 0:
        return NoiseSpec.white(*sigmas(planes, valid))
    level = np.array([np.sqrt(variance)])
    return NoiseSpec(level, np.zeros((1, 1)), level[:, None], spectrum[None, None] / variance)


def _simplest(planes: NDArray[Any], valid: NDArray[np.bool_] | None) -> Choice:
    """Return white noise, unless another model describes the image and white noise does not."""
    levels = threads.Begun(lambda: sigmas(planes, valid))
    counts = counts_noise(planes, valid)
    if counts is not None:
        return Choice(counts, "the variance of the noise rises linearly with the brightness")
    gray = len(planes) == 1
    # Most images need these, so they are computed before the levels are known
    rough = correlated_noise(planes, valid, refined=0) if gray else None
    sight = None if gray else _Sight.of(planes, valid)
    white = NoiseSpec.white(*levels.result())
    if not white.sigma.any():
        return Choice(white, "the image has no noise, or is a drawing")
    if rough is not None:
        if not _is_colored(rough, white, ROUGHLY):
            return Choice(white, WHITE)
        spec = correlated_noise(planes, valid)
        if not _is_colored(spec, white):
            return Choice(white, WHITE)
        if _is_periodic(spec):
            return Choice(white, "low frequencies are periodic structure, as moire is, not noise")
        if _describes(fit(spec, planes, valid, 0)):
            return Choice(spec, "all parts of the image have noise of the same spectrum")
    sight = sight or _Sight.of(planes, valid)
    choice = _photographic(sight, valid, in_units(white, 1 / sight.scale))
    return choice._replace(spec=in_units(choice.spec, sight.scale))


class _Sight(NamedTuple):
    """An image divided by a scale, whether it is a drawing, and the windows of a photograph."""

    planes: NDArray[Any]
    scale: float
    is_drawing: bool
    windows: Windows | None

    @classmethod
    def of(cls, planes: NDArray[Any], valid: NDArray[np.bool_] | None) -> _Sight:
        """Look at an image."""
        scale = exact_scale(planes, valid)
        if scale != 1:
            planes = np.asarray(planes, np.float64) / scale
        drawing = _varying_share(planes, valid) < VARYING or _extreme_share(planes) > PAPER
        return cls(planes, scale, drawing, None if drawing else Windows.of(planes, valid))


def _photographic(sight: _Sight, valid: NDArray[np.bool_] | None, white: NoiseSpec) -> Choice:
    """Return the noise of a camera, or a weak one if structure may have been estimated."""
    planes, windows = sight.planes, sight.windows
    if sight.is_drawing:
        return Choice(white, "the image is a drawing, or most of it has no noise")
    spec = noise_in_windows(windows, planes, valid, correlated=True, varying=True)
    if not _is_colored(spec, white):
        return Choice(white, WHITE)
    extent = _extent(planes, valid)
    doubtful = math.inf if windows is None else doubt(windows, spec, extent)
    if doubtful < 0:
        return Choice(spec, "the noise depends on the brightness and has a spectrum")
    limit = _limit(doubtful, planes, float(np.mean(spec.sigma)), extent)
    weak = np.minimum(1, limit / np.maximum(spec.sigma, 1e-300))
    if (weak * spec.sigma).max() <= white.sigma.max():
        return Choice(white, UNKNOWN + "white noise was assumed")
    # Most channels of drawings have no noise; gray images have no chroma that confirms noise
    drawn = 2 * np.count_nonzero(white.sigma) < len(planes)
    if drawn or len(planes) == 1:
        return Choice(white, UNKNOWN + "white noise was assumed")
    weaker = replace(spec, sigma=weak * spec.sigma, levels=weak[:, None] * spec.levels)
    return Choice(weaker, UNKNOWN + "weak noise of a camera was assumed")


def _limit(doubtful: float, planes: NDArray[Any], level: float, extent: float) -> float:
    """Largest level of noise that may be structure, in an image of this range."""
    share = float(np.interp(doubtful, *DOUBTFUL) * np.interp(level / extent, *MODERATE))
    if share > 0:
        share *= agreement(planes, level)
    return extent * (WEAK + share * (CONFIRMED - WEAK))


def _varying_share(planes: NDArray[Any], valid: NDArray[np.bool_] | None) -> float:
    """Share of the valid pixels that are not in an area that is constant in all channels."""
    known = np.broadcast_to(True if valid is None else valid, planes.shape)
    varying, total = 0, 0
    for place in squares(planes.shape[1:]):
        part, usable = planes[:, *place], np.array(known[:, *place].all(0))
        if usable.any():
            gray = np.where(usable, part, 0).mean(0, dtype=np.float64)
            varying += sum(int(cell.usable.sum()) for cell in cells_of(gray, usable))
            total += int(usable.sum())
    return varying / max(1, total)


def _extreme_share(planes: NDArray[Any]) -> float:
    """Share of the values that are the least or the greatest of their channel."""
    apart = max(1, math.isqrt(planes[0].size // ENOUGH))
    flat = np.ascontiguousarray(planes[:, ::apart, ::apart]).reshape(len(planes), -1)
    extremes = flat.min(1, keepdims=True), flat.max(1, keepdims=True)
    return sum(np.count_nonzero(flat == each) for each in extremes) / flat.size


def _extent(planes: NDArray[Any], valid: NDArray[np.bool_] | None) -> float:
    """Range of the values of an image."""
    known = planes if valid is None else planes[np.broadcast_to(valid, planes.shape)]
    return float(np.max(known)) - float(np.min(known))


def _is_colored(spec: NoiseSpec, white: NoiseSpec, ratio: float = COLORED) -> bool:
    """Whether noise is much stronger than white noise would be."""
    return float((spec.sigma**2).mean()) > ratio * float((white.sigma**2).mean())


def _is_periodic(spec: NoiseSpec) -> bool:
    """Whether few frequencies have nearly all power."""
    power = spec.spectrum[0, 0]
    share = float(power.mean() ** 2 / np.square(power).mean())
    return share < PERIODIC


def _describes(found: Fit | None) -> bool:
    """Whether noise, and not texture, has a spectrum."""
    if found is None or found.flat > FLAT or found.middle > MIDDLE:
        return False
    return _is_normal(found) or found.share < NEARLY_ALL


def _is_normal(found: Fit) -> bool:
    """Whether the windows with the least structure have a normal distribution."""
    return abs(found.skewness) < SKEWNESS and found.kurtosis < KURTOSIS
