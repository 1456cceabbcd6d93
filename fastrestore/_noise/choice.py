"""Choice of the simplest model of the noise that an image supports."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._noise.camera import camera_noise
from fastrestore._noise.correlated import LONG, covariance, power
from fastrestore._noise.counts import counts_noise
from fastrestore._noise.estimate import sigmas
from fastrestore._noise.fit import Fit, fit
from fastrestore._noise.spec import NoiseSpec

MODELS = ("auto", "white", "correlated", "signal-dependent", "camera")
# A spectrum is considered if the noise has this multiple of the variance of white noise, which is
# estimated from the highest frequencies. White noise in texture has up to 2 and more if it is weak.
COLORED = 3.0
# Largest quantiles of the power of windows of noise. Photographs without noise have 1.4 or more in
# the flattest quarter of their windows, correlated noise in photographs up to 1.1.
FLAT, MIDDLE = 1.15, 1.4
# Where noise is nearly all there is, texture may be taken for it; its distribution is not normal.
NEARLY_ALL = 0.5
SKEWNESS, KURTOSIS = 0.12, 3.5


class Choice(NamedTuple):
    """Noise of an image, and why this model was chosen."""

    spec: NoiseSpec
    reason: str


def choose(planes: NDArray[Any], valid: NDArray[np.bool_] | None, model: str) -> Choice:
    """Estimate the noise of an image (C, M, N) with a model, or with the simplest that fits."""
    if model == "auto":
        return _simplest(planes, valid)
    reason = f"the model {model!r} was requested"
    if model == "white":
        return Choice(NoiseSpec.white(*sigmas(planes, valid)), reason)
    if model == "correlated" and len(planes) == 1:
        return Choice(correlated_noise(planes, valid), reason)
    correlated, varying = model != "signal-dependent", model != "correlated"
    return Choice(camera_noise(planes, valid, correlated=correlated, varying=varying), reason)


def correlated_noise(planes: NDArray[Any], valid: NDArray[np.bool_] | None) -> NoiseSpec:
    """Estimate the spectrum of stationary noise of one channel (1, M, N)."""
    found = covariance(np.asarray(planes[0], np.float64), None if valid is None else valid[0])
    spectrum = power(found, LONG)
    variance = float(spectrum.mean())
    if not variance > 0:
        return NoiseSpec.white(*sigmas(planes, valid))
    level = np.array([np.sqrt(variance)])
    return NoiseSpec(level, np.zeros((1, 1)), level[:, None], spectrum[None, None] / variance)


def _simplest(planes: NDArray[Any], valid: NDArray[np.bool_] | None) -> Choice:
    """Return white noise, unless another model describes the image and white noise does not."""
    counts = counts_noise(planes, valid)
    if counts is not None:
        return Choice(counts, "the variance of the noise rises linearly with the brightness")
    white = NoiseSpec.white(*sigmas(planes, valid))
    if len(planes) > 1:
        return Choice(white, "noise is assumed to be white")
    if not white.sigma.any():
        return Choice(white, "the image has no noise, or is a drawing")
    spec = correlated_noise(planes, valid)
    if spec.sigma[0] ** 2 <= COLORED * white.sigma[0] ** 2:
        return Choice(white, "the noise is white")
    if not _describes(fit(spec, planes, valid, 0)):
        return Choice(white, "low frequencies are structure of the image, not noise")
    return Choice(spec, "all parts of the image have noise of the same spectrum")


def _describes(found: Fit | None) -> bool:
    """Whether noise, and not texture, has a spectrum."""
    if found is None or found.flat > FLAT or found.middle > MIDDLE:
        return False
    normal = abs(found.skewness) < SKEWNESS and found.kurtosis < KURTOSIS
    return normal or found.share < NEARLY_ALL
