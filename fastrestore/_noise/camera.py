"""Noise of photographs: level by brightness, spectrum, and correlation of the channels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray
from fastrestore._noise.camera_level import FAINT, QUANTILE, Curve, Kind, log_powers, typical
from fastrestore._noise.camera_spectrum import cross_spectra
from fastrestore._noise.camera_windows import Windows
from fastrestore._noise.compression import jpeg_sigma, middle
from fastrestore._noise.estimate import sigmas
from fastrestore._noise.spec import NoiseSpec

ROUNDS = 3  # of estimating the level from the spectrum, and the spectrum from the level
EXACT = 1e-12, 1e15  # largest values between which squares of float32 are exact
LEAST = 1e-12  # power relative to the mean, which rounding makes negative
PART = 256  # pixels; a square of this size shows whether an image was compressed


def camera_noise(
    planes: NDArray[Any], valid: NDArray[np.bool_] | None, *, correlated: bool, varying: bool
) -> NoiseSpec:
    """Estimate the noise of an image (C, M, N) from pixels where `valid` is True.

    The noise is white unless it is `correlated`, and its level constant unless it is `varying`.
    """
    scale = exact_scale(planes, valid)
    if scale != 1:
        scaled = np.asarray(planes, np.float64) / scale
        return in_units(camera_noise(scaled, valid, correlated=correlated, varying=varying), scale)
    windows = Windows.of(planes, valid)
    return noise_in_windows(windows, planes, valid, correlated=correlated, varying=varying)


def exact_scale(planes: NDArray[Any], valid: NDArray[np.bool_] | None) -> float:
    """Power of two to divide an image by, because squares of float32 would not be exact."""
    largest = float(np.abs(planes if valid is None else np.where(valid, planes, 0)).max())
    if EXACT[0] < largest < EXACT[1] or not largest > 0:
        return 1.0
    return float(2.0 ** math.floor(math.log2(largest)))


def in_units(spec: NoiseSpec, scale: float) -> NoiseSpec:
    """Return the noise of an image times `scale`."""
    return NoiseSpec(
        scale * spec.sigma, scale * spec.brightness, scale * spec.levels, spec.spectrum
    )


def noise_in_windows(
    windows: Windows | None,
    planes: NDArray[Any],
    valid: NDArray[np.bool_] | None,
    *,
    correlated: bool,
    varying: bool,
) -> NoiseSpec:
    """Estimate the noise of an image from its windows; white noise if there are none."""
    if windows is None:
        return NoiseSpec.white(*sigmas(planes, valid))
    compressed = jpeg_sigma(middle(planes, PART)) > 0
    varied = np.array([_varies(windows.powers(number)) for number in range(len(planes))])
    if not varied.any():
        return NoiseSpec.white(*sigmas(planes, valid))
    some = windows.channels(varied)
    found = (_correlated if correlated else _white)(some, varying, compressed)
    if found is None:
        return NoiseSpec.white(*sigmas(planes, valid))
    curve, spectrum = found
    sigma = np.sqrt((curve.at(some.means) ** 2).mean(1))
    spec = NoiseSpec(sigma, curve.knots, np.exp(curve.logs / 2), spectrum)
    return spec if varied.all() else _with_constant(spec, windows, varied)


def _varies(powers: NDArray[np.float32]) -> bool:
    """Whether the windows of a channel (W, ...) with the least power have noise."""
    each = powers.sum((1, 2), dtype=np.float64)
    return bool(np.quantile(each, QUANTILE) > FAINT * each.mean())


def _with_constant(spec: NoiseSpec, windows: Windows, varied: NDArray[np.bool_]) -> NoiseSpec:
    """Insert channels without noise."""
    count, size = len(varied), spec.levels.shape[1]
    brightness = windows.means[:, :1] + np.arange(size)
    sigma, levels = np.zeros(count), np.zeros((count, size))
    spectrum = np.eye(count)[..., None, None] * np.ones(spec.spectrum.shape[2:])
    brightness[varied], sigma[varied], levels[varied] = spec.brightness, spec.sigma, spec.levels
    spectrum[np.ix_(varied, varied)] = spec.spectrum
    return NoiseSpec(sigma, brightness, levels, spectrum)


def _white(windows: Windows, varying: bool, compressed: bool) -> tuple[Curve, FloatArray]:
    """Level of white noise, and its spectrum."""
    count, flat = len(windows.means), np.ones(windows.radius.shape)
    curve = Curve.of(windows, np.broadcast_to(flat, (count, *flat.shape)), varying)
    factors = []
    for number, levels in enumerate(curve.at(windows.means)):
        logs, deviation = log_powers(windows, windows.powers(number), flat)
        found = typical(logs - 2 * np.log(levels), deviation, Kind(False, compressed))
        factors.append(np.exp(found / 2))
    return curve.times(np.array(factors)), np.eye(count)[..., None, None]


def _correlated(
    windows: Windows, varying: bool, compressed: bool
) -> tuple[Curve, FloatArray] | None:
    """Level of correlated noise, and its cross-spectra; None if some windows have no noise."""
    count, share = len(windows.means), windows.multiplicity
    shape = np.broadcast_to(np.ones(share.shape), (count, *share.shape))
    curve = Curve.of(windows, shape, False)
    cross: FloatArray | None = None
    for number in range(ROUNDS):
        if varying and number:
            curve = Curve.of(windows, shape, True)
        levels = curve.at(windows.means)
        if not (np.isfinite(levels) & (levels > 0)).all():
            return None
        cross = cross_spectra(windows, levels, compressed, cross)
        scale = np.sqrt(np.maximum((np.einsum("ccyx->cyx", cross) * share).sum((1, 2)), 0))
        if not (scale > 0).all():
            return None
        cross = cross / np.outer(scale, scale)[..., None, None]
        shape = np.maximum(np.einsum("ccyx->cyx", cross), LEAST)
        curve = curve.times(scale)
    assert cross is not None
    return curve, _whole(cross)


def _whole(half: FloatArray) -> FloatArray:
    """Return spectra at all frequencies from those of `rfft2`."""
    side = half.shape[-2]
    rows, columns = -np.arange(side) % side, np.arange(side // 2 - 1, 0, -1)
    return np.concatenate([half, half[..., rows, :][..., columns]], -1)
