"""Blur of an image for several boundary conditions, and its regularized inversion.

For an image (M, N) of float64, on the host or on a GPU, each class computes the convolution with a
PSF, its adjoint, the minimizer of ``|psf * x - z|**2 + <x, penalty x>``, and the power spectrum of
the image. The penalty is a number, or an array with a value for each frequency.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastrestore._arrays import interop
from fastrestore._arrays.types import FloatArray
from fastrestore.inverse.point_spread import is_symmetric, transfer_function

CG_STEPS, CG_TOLERANCE = 40, 1e-4  # conjugate gradients: most steps, relative residual


class Periodic:
    """The image repeats beyond its border."""

    # Whether `solve` multiplies the spectrum of the extended image by gains, without iterations
    is_diagonal = True
    tolerance = CG_TOLERANCE  # of conjugate gradients

    def __init__(self, psf: FloatArray, shape: tuple[int, int], centered: bool = False) -> None:
        self.shape = shape
        self._psf = psf
        transfer = transfer_function(psf, self.extended_shape, real=True, centered=centered)
        self._transfer = interop.DeviceCopies(transfer)

    def start(self, image: Any) -> Any:
        """Return an initial estimate."""
        return image.copy()

    def crop(self, estimate: Any) -> Any:
        """Return the part of an estimate inside the image."""
        return estimate

    def prepare(self, image: Any) -> Any:
        """Adapt the image to the boundary condition."""
        return image

    def blur(self, image: Any) -> Any:
        """Convolve with the PSF."""
        return self._filter(image, self._transfer.like(image))

    def adjoint(self, image: Any) -> Any:
        """Correlate with the PSF."""
        return self._filter(image, self._transfer.like(image).conj())

    def solve(self, image: Any, penalty: Any) -> Any:
        """Invert the blur."""
        values = self._transfer.like(image)
        return self._filter(image, values.conj() / (abs(values) ** 2 + penalty))

    def power_spectrum(self, image: Any) -> Any:
        """Return the power of each frequency, divided by the number of pixels."""
        extended = self.extend(image)
        return abs(interop.namespace(image).fft.rfft2(extended)) ** 2 / extended.size

    def extend(self, image: Any) -> Any:
        """Return one period of the extended image."""
        return image

    @property
    def extended_shape(self) -> tuple[int, int]:
        """Shape of one period."""
        return self.shape

    def _filter(self, image: Any, gains: Any) -> Any:
        """Multiply the spectrum of the extended image by gains."""
        fft = interop.namespace(image).fft
        result = fft.irfft2(gains * fft.rfft2(self.extend(image)), self.extended_shape)
        return result[: self.shape[0], : self.shape[1]]


class Tapered(Periodic):
    """Unknown surroundings: near its border the image is blended into a periodic one."""

    def prepare(self, image: Any) -> Any:
        """Blend the image near its border with its periodic blur."""
        weights = np.ones(self.shape)
        for axis in (0, 1):
            line = self._psf.sum(1 - axis)
            ends = np.correlate(line, line, "full")[len(line) - 1 :] / (line**2).sum()
            reach = min(len(ends), self.shape[axis] // 2)
            along = np.ones(self.shape[axis])
            along[:reach] = 1 - ends[:reach]
            along[-reach:] = np.minimum(along[-reach:], along[:reach][::-1])
            weights *= along[:, None] if axis == 0 else along
        blend = interop.namespace(image).asarray(weights)
        return blend * image + (1 - blend) * self.blur(image)


class Mirrored(Periodic):
    """The image is mirrored at its border, with the border pixels twice (half-sample symmetry)."""

    def __init__(self, psf: FloatArray, shape: tuple[int, int], centered: bool = False) -> None:
        super().__init__(psf, shape, centered)
        self.is_diagonal = is_symmetric(psf, centered)

    @property
    def extended_shape(self) -> tuple[int, int]:
        """Shape of the image with its mirror images."""
        return 2 * self.shape[0], 2 * self.shape[1]

    def extend(self, image: Any) -> Any:
        """Return the image with its mirror images, which is periodic."""
        height, width = self.shape
        return interop.namespace(image).pad(image, ((0, height), (0, width)), "symmetric")

    def solve(self, image: Any, penalty: Any) -> Any:
        """Invert the blur; use conjugate gradients if the PSF is not symmetric."""
        first = super().solve(image, penalty)
        if self.is_diagonal:
            return first
        is_number = np.ndim(penalty) == 0
        even = penalty if is_number else _symmetrize(penalty)
        inverse = 1 / (_symmetrize(abs(self._transfer.like(image)) ** 2) + even)

        def normal(x: Any) -> Any:
            return self.adjoint(self.blur(x)) + (even * x if is_number else self._filter(x, even))

        return conjugate_gradients(
            normal,
            lambda r: self._filter(r, inverse),
            self.adjoint(image),
            first,
            self.tolerance,
        )

    def adjoint(self, image: Any) -> Any:
        """Correlate with the PSF, and reflect values beyond the border back into the image."""
        namespace = interop.namespace(image)
        height, width = self.shape
        padded = namespace.pad(image, ((0, height), (0, width)))
        values = self._transfer.like(image).conj() * namespace.fft.rfft2(padded)
        spread = namespace.fft.irfft2(values, self.extended_shape)
        spread = spread[:height] + spread[height:][::-1]
        return spread[:, :width] + spread[:, width:][:, ::-1]


def _symmetrize(power: Any) -> Any:
    """Return the even part of powers, which a mirrored image has."""
    flipped = interop.namespace(power).roll(power[::-1], 1, 0)
    return (power + flipped) / 2


def conjugate_gradients(
    apply: Callable[[Any], Any],
    precondition: Callable[[Any], Any],
    target: Any,
    start: Any,
    tolerance: float = CG_TOLERANCE,
) -> Any:
    """Solve ``apply(x) = target``; both operators are symmetric and positive definite."""
    solution = start.copy()
    residual = target - apply(solution)
    bound = tolerance * norm(target)
    gradient = precondition(residual)
    direction, slope = gradient.copy(), float((residual * gradient).sum())
    for _ in range(CG_STEPS):
        if norm(residual) <= bound or slope <= 0:
            break
        image = apply(direction)
        step = slope / float((direction * image).sum())
        solution += step * direction
        residual -= step * image
        gradient = precondition(residual)
        before, slope = slope, float((residual * gradient).sum())
        direction = gradient + slope / before * direction
    return solution


def norm(values: Any) -> float:
    """Return the root of the sum of squares."""
    return math.sqrt(float((values * values).sum()))


KINDS: dict[str, type[Periodic]] = {
    "reflect": Mirrored, "periodic": Periodic, "taper": Tapered
}  # fmt: skip
