"""Blur of an image whose surroundings are unknown, and the choice of a boundary condition."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastrestore._arrays import interop
from fastrestore._arrays.types import FloatArray
from fastrestore.inverse.boundary import KINDS, Periodic, conjugate_gradients
from fastrestore.inverse.iterations import HIGHEST, REGULARIZATION, decreasing_sigmas
from fastrestore.inverse.operators import Forward

TOLERANCE = 1e-3  # relative residual of conjugate gradients; 1e-2 loses up to 4 dB near the border
STEPS = 4  # iterations of the estimates that are compared for the choice of a boundary condition
# Added to the score of unknown surroundings, because estimates are smoother near a border beyond
# which nothing is known. Chosen on training images
SLACK = 0.04
REPETITIONS = 3  # of a fit to clipped data, see `BorderBlur.proximal`
FLATTEST = 1e-9  # of the range: least mean variation that counts


class Unknown(Periodic):
    """Nothing is assumed about the surroundings: they are estimated.

    Estimates are larger than the image by the size of the PSF, and periodic. Only the blurred
    pixels inside the image are compared with the data.
    """

    is_diagonal = False

    @property
    def extended_shape(self) -> tuple[int, int]:
        """Shape of an estimate."""
        from scipy.fft import next_fast_len

        height, width = (
            next_fast_len(n + k, real=True)
            for n, k in zip(self.shape, self._psf.shape, strict=True)
        )
        return height, width

    def start(self, image: Any) -> Any:
        """Continue the image beyond its border so that opposite ends meet."""
        taller = self._continued(image, self.extended_shape[0])
        return self._move(self._continued(taller.T, self.extended_shape[1]).T, 1)

    def crop(self, estimate: Any) -> Any:
        """Return the part of an estimate inside the image."""
        return self._move(estimate, -1)[: self.shape[0], : self.shape[1]]

    def blur(self, image: Any) -> Any:
        """Convolve an estimate with the PSF; return the part inside the image."""
        return self.crop(self._filter(image, self._transfer.like(image)))

    def adjoint(self, image: Any) -> Any:
        """Correlate an image, with 0 around it, with the PSF."""
        return self._filter(self._padded(image), self._transfer.like(image).conj())

    def solve(self, image: Any, penalty: Any, ignored: Any = None) -> Any:
        """Invert the blur by conjugate gradients; ignored pixels, an array of bool, are no data."""
        inverse = 1 / (abs(self._transfer.like(image)) ** 2 + penalty)
        used = 1.0 if ignored is None else ~ignored
        target = self.adjoint(used * image)
        return conjugate_gradients(
            lambda x: self.adjoint(used * self.blur(x)) + penalty * x,
            lambda r: self._filter(r, inverse),
            target,
            0 * target,
            self.tolerance,
        )

    def extend(self, image: Any) -> Any:
        """Return the estimate, which is periodic."""
        return image

    def _filter(self, image: Any, gains: Any) -> Any:
        """Multiply the spectrum of an estimate by gains."""
        fft = interop.namespace(image).fft
        return fft.irfft2(gains * fft.rfft2(image), self.extended_shape)

    def _padded(self, image: Any) -> Any:
        """Surround an image with zeros."""
        missing = [(0, m - n) for m, n in zip(self.extended_shape, self.shape, strict=True)]
        return self._move(interop.namespace(image).pad(image, missing), 1)

    def _move(self, image: Any, sign: int) -> Any:
        """Move the image from the first corner of an estimate to its middle, or back."""
        offsets = [
            sign * ((m - n) // 2) for m, n in zip(self.extended_shape, self.shape, strict=True)
        ]
        return interop.namespace(image).roll(image, offsets, (0, 1))

    def _continued(self, image: Any, total: int) -> Any:
        """Append rows that blend from the mirrored last rows to the mirrored first ones."""
        rows, namespace = len(image), interop.namespace(image)
        size = total - rows
        after = namespace.pad(image, ((0, size), (0, 0)), "symmetric")[rows:]
        before = namespace.pad(image, ((size, 0), (0, 0)), "symmetric")[:size]
        share = (1 + np.cos(np.pi * (np.arange(size) + 0.5) / size)) / 2
        weights = namespace.asarray(share)[:, None]
        return namespace.concatenate([image, weights * after + (1 - weights) * before])


class BorderBlur(Forward):
    """Blur with a boundary condition; the blurred image may exceed clipped pixels of the data."""

    def __init__(self, border: Periodic, clipped: Any = None) -> None:
        self.shape = border.extended_shape
        self.border = border
        self._clipped = clipped  # array of bool, or None

    @property
    def is_clipped(self) -> bool:
        """Whether there are clipped pixels."""
        return self._clipped is not None

    def check(self, data: Any) -> None:
        """Do nothing: the border was made for the data."""

    def prepare(self, data: Any) -> Any:
        """Adapt the border of the data to the model."""
        return self.border.prepare(data)

    def apply(self, image: Any) -> Any:
        """Convolve with the PSF."""
        return self.border.blur(image)

    def adjoint(self, data: Any) -> Any:
        """Correlate with the PSF."""
        return self.border.adjoint(data)

    def finish(self, estimate: Any, data: Any) -> Any:
        """Return the part of an estimate inside the image, clipped as the data are."""
        inside = self.border.crop(estimate)
        return inside if self._clipped is None else inside.clip(max=data.max())

    def proximal(self, image: Any, data: Any, weight: float) -> Any:
        """Fit the data and stay close to an image.

        Clipped pixels which the blurred estimate exceeds are no data. Which ones do is found by
        repetition: without it, a pixel changes sides in each iteration.
        """
        blurred = self.border.blur(image)
        if self._clipped is None:
            return image + self.border.solve(data - blurred, weight)
        estimate = image
        for _ in range(REPETITIONS):
            excess = self._clipped * (self.border.blur(estimate) - data).clip(min=0)
            rest = data + excess - blurred
            if isinstance(self.border, Unknown):
                estimate = image + self.border.solve(rest, weight, excess > 0)
            else:
                estimate = image + self.border.solve(rest, weight)
        return estimate

    def initial_estimate(self, data: Any) -> Any:
        """Continue the blurred image beyond its border, if estimates are larger."""
        return self.border.start(data)


def make_border(kind: str, psf: FloatArray, shape: tuple[int, int]) -> Periodic:
    """Return a boundary condition; the center of the PSF is the middle of its array."""
    border = Unknown(psf, shape, True) if kind == "unknown" else KINDS[kind](psf, shape, True)
    border.tolerance = TOLERANCE
    return border


def choose_boundary(
    image: Any, psf: FloatArray, sigma: float, extent: float, denoise: Callable[[Any, float], Any]
) -> str:
    """Return "reflect" or "periodic" if the image agrees with it, otherwise "unknown".

    Some iterations with each boundary condition are compared. A wrong one fits the data worse, or
    fits them with stripes, which vary more than the image.
    """
    if psf.size == 1:
        return "periodic"
    levels = decreasing_sigmas(HIGHEST * extent, sigma, STEPS)
    scores = {"unknown": SLACK}
    for kind in ("reflect", "periodic", "unknown"):
        border = make_border(kind, psf, image.shape)
        forward, estimate = BorderBlur(border), border.start(image)
        for level in levels:
            weight = REGULARIZATION["hqs"] * sigma**2 / level**2
            estimate = denoise(forward.proximal(estimate, image, weight), level)
        score = _misfit(border, image, estimate, weight) / sigma**2 / image.size
        score += math.log(FLATTEST + _variation(border.crop(estimate)) / extent)
        scores[kind] = scores.get(kind, 0.0) + score
    return min(scores, key=scores.__getitem__)


def _misfit(border: Periodic, image: Any, estimate: Any, weight: float) -> float:
    """Return the least ``|psf * x - image|**2 + weight |x - estimate|**2`` over x."""
    rest = image - border.blur(estimate)
    return float((rest * (rest - border.blur(border.solve(rest, weight)))).sum())


def _variation(image: Any) -> float:
    """Return the mean variation per pixel."""
    down, right = image[1:] - image[:-1], image[:, 1:] - image[:, :-1]
    return float((abs(down).sum() + abs(right).sum()) / image.size)
