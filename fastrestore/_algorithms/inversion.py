"""Deblurring by two regularized inversions and by half-quadratic splitting, with BM3D."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastrestore._algorithms.bm3d import bm3d
from fastrestore._arrays import interop
from fastrestore._arrays.types import FloatArray
from fastrestore._collaborative.pipeline import with_spectrum
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
        return _split(data, forwards, first, levels, options, report_progress)
    inversion = Inversion(border, level, extent, psf)
    gain = noise_gain(psf, border.shape, level, extent)
    twice = _invert_twice(data, inversion, options, lambda share: report_progress(share / 2))
    if gain < AMPLIFIED:
        report_progress(0.5)
        return twice
    levels = decreasing_sigmas(HIGHEST * extent, level, REFINEMENTS)
    refined = _split(
        data, forwards, twice, levels, options, lambda share: report_progress(share / 2)
    )
    return SHARE * refined + (1 - SHARE) * twice


def noise_gain(psf: FloatArray, shape: tuple[int, int], sigma: float, extent: float) -> float:
    """Return by which factor the first inversion amplifies white noise of this level."""
    inversion = Inversion(Periodic(psf, shape), sigma, extent, psf)
    return float(np.sqrt(inversion.regularized_psd().mean() / shape[0] / shape[1])) / sigma


def _split(
    data: Any, forwards: Sequence[BorderBlur], estimates: Any, levels: list[float],
    options: dict[str, Any], report_progress: Callable[[float], None],
) -> Any:  # fmt: skip
    """Alternate between fitting the data and denoising, from initial estimates."""
    stack, sigma = interop.namespace(data).stack, levels[-1]
    for level in levels:
        weight = REGULARIZATION["hqs"] * sigma**2 / level**2
        pairs = zip(forwards, estimates, data, strict=True)
        fitted = stack([each.proximal(plane, seen, weight) for each, plane, seen in pairs])
        estimates = bm3d(fitted, level, **options)
        report_progress(1 / len(levels))
    return estimates


class Inversion:
    """The two regularized inversions of a blur, with the spectrum of the noise that each leaves.

    The spectra are on the grid of the image, as `psd` of `bm3d`.
    """

    def __init__(self, border: Periodic, sigma: float, extent: float, psf: FloatArray) -> None:
        self.border = border
        self._power = np.abs(transfer_function(psf, border.shape)) ** 2
        self._white = sigma**2 * self._power.size
        self._penalty = ALPHA_INVERSE * (sigma * PAPER_RANGE / extent) ** 2
        self._wiener = ALPHA_WIENER * sigma**2

    def regularized(self, plane: Any) -> Any:
        """Invert with the same penalty at all frequencies."""
        return self.border.solve(plane, self._penalty)

    def regularized_psd(self) -> Any:
        """Return the spectrum of the noise that `regularized` leaves."""
        return self._white * self._power / (self._power + self._penalty) ** 2

    def wiener(self, plane: Any, estimate: Any) -> Any:
        """Invert with the Wiener filter for the power spectrum of an estimate."""
        power = self.border.power_spectrum(estimate)
        floor = max(1e-12 * float(power.max()), 1e-30 * self._wiener)  # against overflow
        return self.border.solve(plane, self._wiener / (power + floor))

    def wiener_psd(self, estimate: Any) -> Any:
        """Return the spectrum of the noise that `wiener` leaves."""
        signal = np.abs(np.fft.fft2(interop.to_host(estimate))) ** 2 / self._power.size
        gain = signal / (signal * self._power + self._wiener)
        return self._white * self._power * gain**2


def _invert_twice(
    prepared: Any,
    inversion: Inversion,
    options: dict[str, Any],
    report_progress: Callable[[float], None],
) -> Any:
    """Invert with regularization, then with the Wiener filter, and denoise after each."""
    stack = interop.namespace(prepared).stack
    first = stack([inversion.regularized(plane) for plane in prepared])
    report_progress(0.1)
    basic = with_spectrum(first, inversion.regularized_psd(), options, stage="basic")
    report_progress(0.4)
    second = stack([inversion.wiener(*pair) for pair in zip(prepared, basic, strict=True)])
    psd = np.stack([inversion.wiener_psd(estimate) for estimate in basic])
    report_progress(0.1)
    result = with_spectrum(second, psd, options, basic)
    report_progress(0.4)
    return result
