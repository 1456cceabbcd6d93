"""Deblurring by two regularized inversions and by half-quadratic splitting, with BM3D."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastrestore._algorithms.bm3d import bm3d
from fastrestore._arrays import interop
from fastrestore._arrays.types import FloatArray
from fastrestore._collaborative.calls import with_spectrum
from fastrestore.inverse.boundary import Periodic
from fastrestore.inverse.iterations import HIGHEST, REGULARIZATION, decreasing_sigmas
from fastrestore.inverse.plug_and_play import LOWEST
from fastrestore.inverse.point_spread import transfer_function
from fastrestore.inverse.unknown import BorderBlur

ALPHA_INVERSE, ALPHA_WIENER = 4e-4, 5e-3  # regularization of the two inversions
PAPER_RANGE = 255.0  # data range of the first
ITERATIONS, REFINEMENTS = 8, 5  # of half-quadratic splitting: alone, and after the inversions
SHARE = 0.75  # of the refined estimate in the mean with the one of the two inversions
AMPLIFIED = 1.5  # gain of the noise in the first inversion, above which estimates are refined


def invert(
    planes: Any,
    forwards: Sequence[BorderBlur],
    psf: FloatArray,
    sigma: float,
    options: dict[str, Any],
    report_progress: Callable[[float], None],
) -> Any:
    """Deblur (C, M, N); estimates may be larger than the image, see `Unknown`.

    Two inversions are the better start, but need noise of one spectrum in the whole image.
    """
    extent = options["data_range"]
    level = max(sigma, LOWEST * extent)
    border = forwards[0].border
    stack = interop.namespace(planes).stack
    data = stack([each.prepare(plane) for each, plane in zip(forwards, planes, strict=True)])
    options = options | {"channel_axis": 0}
    if not border.is_diagonal or any(each.is_clipped for each in forwards):
        levels = decreasing_sigmas(HIGHEST * extent, level, ITERATIONS)
        first = stack([border.start(plane) for plane in data])
        fit = _fit(data, forwards, level)
        return _split(fit, first, levels, options, report_progress)
    inversion = Inversion(border, level**2, extent, psf)
    gain = noise_gain(psf, border.shape, level, extent)
    twice = _invert_twice(data, [inversion], options, lambda share: report_progress(share / 2))
    if gain < AMPLIFIED:
        report_progress(0.5)
        return twice
    levels = decreasing_sigmas(HIGHEST * extent, level, REFINEMENTS)
    fit = _fit(data, forwards, level)
    refined = _split(fit, twice, levels, options, lambda share: report_progress(share / 2))
    return SHARE * refined + (1 - SHARE) * twice


def noise_gain(psf: FloatArray, shape: tuple[int, int], sigma: float, extent: float) -> float:
    """Return by which factor the first inversion amplifies white noise of this level."""
    inversion = Inversion(Periodic(psf, shape), sigma**2, extent, psf)
    return float(np.sqrt(inversion.regularized_psd().mean() / shape[0] / shape[1])) / sigma


def _fit(data: Any, forwards: Sequence[BorderBlur], sigma: float) -> Callable[[Any, Any], Any]:
    """Return the step that fits estimates of a level to data with white noise."""
    stack = interop.namespace(data).stack

    def fit(estimates: Any, level: Any) -> Any:
        weight = REGULARIZATION["hqs"] * sigma**2 / level**2
        triples = zip(forwards, estimates, data, strict=True)
        return stack([each.proximal(plane, seen, weight) for each, plane, seen in triples])

    return fit


def _split(
    fit: Callable[[Any, Any], Any],
    estimates: Any,
    levels: Sequence[Any],
    options: dict[str, Any],
    report_progress: Callable[[float], None],
) -> Any:
    """Alternate between fitting the data and denoising, from initial estimates."""
    for level in levels:
        estimates = bm3d(fit(estimates, level), level, **options)
        report_progress(1 / len(levels))
    return estimates


class Inversion:
    """The two regularized inversions of a blur, with the spectrum of the noise that each leaves.

    The spectra are on the grid of the image, as `psd` of `bm3d`.
    """

    def __init__(
        self, border: Periodic, variance: float | FloatArray, extent: float, psf: FloatArray
    ) -> None:
        """`variance` of white noise, or that of correlated noise by frequency."""
        self.border = border
        self._power = np.abs(transfer_function(psf, border.shape)) ** 2
        self._noise = variance * self._power.size
        self._penalty = ALPHA_INVERSE * variance * (PAPER_RANGE / extent) ** 2
        self._wiener = ALPHA_WIENER * variance

    def regularized(self, plane: Any) -> Any:
        """Invert with the same penalty at all frequencies."""
        return self.border.solve(plane, self._half(self._penalty))

    def regularized_psd(self) -> Any:
        """Return the spectrum of the noise that `regularized` leaves."""
        return self._noise * self._power / (self._power + self._penalty) ** 2

    def wiener(self, plane: Any, estimate: Any) -> Any:
        """Invert with the Wiener filter for the power spectrum of an estimate."""
        power = self.border.power_spectrum(estimate)
        least = 1e-30 * float(np.max(self._wiener))
        floor = max(1e-12 * float(power.max()), least)  # against overflow
        return self.border.solve(plane, self._half(self._wiener) / (power + floor))

    def _half(self, spectrum: Any) -> Any:
        """Return the frequencies of a spectrum that a transform of real numbers has."""
        if not isinstance(spectrum, np.ndarray):
            return spectrum
        return spectrum[:, : self.border.shape[1] // 2 + 1]

    def wiener_psd(self, estimate: Any) -> Any:
        """Return the spectrum of the noise that `wiener` leaves."""
        signal = np.abs(np.fft.fft2(interop.to_host(estimate))) ** 2 / self._power.size
        gain = signal / (signal * self._power + self._wiener)
        return self._noise * self._power * gain**2


def invert_correlated(
    planes: FloatArray, psf: FloatArray, psds: FloatArray, extent: float, options: dict[str, Any]
) -> Any:
    """Deblur (C, M, N) with periodic borders and noise of the spectra (1 or C, M, N)."""
    border = Periodic(psf, planes[0].shape)
    variances = psds / psds[0].size + (LOWEST * extent) ** 2
    inversions = [Inversion(border, variance, extent, psf) for variance in variances]
    options = options | {"channel_axis": 0, "data_range": extent}
    twice = _invert_twice(planes, inversions, options, lambda share: None)
    # Where most frequencies have little noise, the last levels are below its standard deviation
    lowest = np.sqrt(variances).mean((1, 2))
    levels = np.transpose([decreasing_sigmas(HIGHEST * extent, s, REFINEMENTS) for s in lowest])
    fit = _fit_correlated(planes, border, variances)
    refined = _split(fit, twice, [*levels], options, lambda share: None)
    return SHARE * refined + (1 - SHARE) * twice


def _fit_correlated(
    data: FloatArray, border: Periodic, variances: FloatArray
) -> Callable[[Any, Any], Any]:
    """Return the step that fits estimates to data with noise of these variances by frequency.

    As for white noise, but a frequency counts less if it has more noise.
    """
    half = variances[..., : border.shape[1] // 2 + 1]

    def fit(estimates: Any, level: Any) -> Any:
        weights = np.broadcast_to(
            REGULARIZATION["hqs"] * half / level[:, None, None] ** 2, (len(data), *half.shape[1:])
        )
        triples = zip(data, estimates, weights, strict=True)
        return np.stack(
            [
                estimate + border.solve(plane - border.blur(estimate), weight)
                for plane, estimate, weight in triples
            ]
        )

    return fit


def _invert_twice(
    prepared: Any,
    inversions: Sequence[Inversion],
    options: dict[str, Any],
    report_progress: Callable[[float], None],
) -> Any:
    """Invert with regularization, then with the Wiener filter, and denoise after each.

    There is one inversion for each channel, or one for all.
    """
    stack = interop.namespace(prepared).stack
    each = [inversions[min(c, len(inversions) - 1)] for c in range(len(prepared))]
    first = stack([one.regularized(plane) for one, plane in zip(each, prepared, strict=True)])
    report_progress(0.1)
    spectra = [inversion.regularized_psd() for inversion in inversions]
    spectrum = spectra[0] if len(spectra) == 1 else np.stack(spectra)
    basic = with_spectrum(first, spectrum, options, stage="basic")
    report_progress(0.4)
    triples = list(zip(each, prepared, basic, strict=True))
    second = stack([one.wiener(plane, estimate) for one, plane, estimate in triples])
    psd = np.stack([one.wiener_psd(estimate) for one, _, estimate in triples])
    report_progress(0.1)
    result = with_spectrum(second, psd, options, basic)
    report_progress(0.4)
    return result
