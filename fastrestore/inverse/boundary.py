"""Blur of a whole image, by what lies beyond its border: inversions by regularised least squares.

Each kind of border offers, for an image (M, N) of float64 on the host or a GPU, the solution
of ``|psf * x - z|**2 + <x, penalty x>``, the penalty being a number or a power for each
frequency, and the power of an image by frequency on the same grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastrestore._arrays import interop
from fastrestore.inverse.point_spread import FloatArray, is_symmetric, transfer

STEPS, EXACT = 40, 1e-4  # of conjugate gradients: how many at most, and residual that is small


class Periodic:
    """The image goes on at the opposite border."""

    def __init__(self, psf: FloatArray, shape: tuple[int, int]) -> None:
        self.shape = shape
        self._psf = psf
        self._here = transfer(psf, self.extended_shape, real=True)
        self._there: Any = None  # the same on a GPU

    def transfer(self, image: Any) -> Any:
        """The transfer function where an image is."""
        if interop.on_host(image):
            return self._here
        if self._there is None:
            self._there = interop.namespace(image).asarray(self._here)
        return self._there

    def brought(self, image: Any) -> Any:
        """Make an image one that is blurred this way."""
        return image

    def blurred(self, image: Any) -> Any:
        """Convolve."""
        return self._filtered(image, self.transfer(image))

    def adjoint(self, image: Any) -> Any:
        """Correlate."""
        return self._filtered(image, self.transfer(image).conj())

    def solved(self, image: Any, penalty: Any) -> Any:
        """Invert the blur."""
        values = self.transfer(image)
        return self._filtered(image, values.conj() / (abs(values) ** 2 + penalty))

    def power(self, image: Any) -> Any:
        """Power by frequency, divided by the number of pixels."""
        extended = self.extended(image)
        return abs(interop.namespace(image).fft.rfft2(extended)) ** 2 / extended.size

    def extended(self, image: Any) -> Any:
        """One period."""
        return image

    @property
    def extended_shape(self) -> tuple[int, int]:
        """Its shape."""
        return self.shape

    def _filtered(self, image: Any, gains: Any) -> Any:
        """Multiply frequencies."""
        fft = interop.namespace(image).fft
        found = fft.irfft2(gains * fft.rfft2(self.extended(image)), self.extended_shape)
        return found[: self.shape[0], : self.shape[1]]


class Tapered(Periodic):
    """Nobody knows what lies beyond: near the border the image is blurred into its period."""

    def brought(self, image: Any) -> Any:
        """Blend the image near its border with one that is blurred periodically."""
        weights = np.ones(self.shape)
        for axis in (0, 1):
            line = self._psf.sum(1 - axis)
            ends = np.correlate(line, line, "full")[len(line) - 1 :] / (line**2).sum()
            reach = min(len(ends), self.shape[axis] // 2)
            along = np.ones(self.shape[axis])
            along[:reach] = 1 - ends[:reach]
            along[-reach:] = np.minimum(along[-reach:], along[:reach][::-1])
            weights *= along[:, None] if axis == 0 else along
        there = interop.namespace(image).asarray(weights)
        return there * image + (1 - there) * self.blurred(image)


class Mirrored(Periodic):
    """The image is mirrored at its border, the pixels there twice (half-sample symmetry)."""

    def __init__(self, psf: FloatArray, shape: tuple[int, int]) -> None:
        super().__init__(psf, shape)
        self._symmetric = is_symmetric(psf)

    @property
    def extended_shape(self) -> tuple[int, int]:
        """That of the image and its mirror images."""
        return 2 * self.shape[0], 2 * self.shape[1]

    def extended(self, image: Any) -> Any:
        """The image and its mirror images: periodic."""
        height, width = self.shape
        return interop.namespace(image).pad(image, ((0, height), (0, width)), "symmetric")

    def solved(self, image: Any, penalty: Any) -> Any:
        """Invert the blur; by conjugate gradients where the blur of a mirrored image is none."""
        first = super().solved(image, penalty)
        if self._symmetric:
            return first
        number = np.ndim(penalty) == 0
        even = penalty if number else _even(penalty)
        near = 1 / (_even(abs(self.transfer(image)) ** 2) + even)

        def normal(x: Any) -> Any:
            punished = even * x if number else self._filtered(x, even)
            return self.adjoint(self.blurred(x)) + punished

        return conjugate_gradients(
            normal, lambda r: self._filtered(r, near), self.adjoint(image), first
        )

    def adjoint(self, image: Any) -> Any:
        """Correlate, and fold what falls beyond the border back."""
        namespace = interop.namespace(image)
        height, width = self.shape
        padded = namespace.pad(image, ((0, height), (0, width)))
        values = self.transfer(image).conj() * namespace.fft.rfft2(padded)
        spread = namespace.fft.irfft2(values, self.extended_shape)
        spread = spread[:height] + spread[height:][::-1]
        return spread[:, :width] + spread[:, width:][:, ::-1]


def _even(power: Any) -> Any:
    """Make powers even along each axis, as those of a mirrored image are."""
    flipped = interop.namespace(power).roll(power[::-1], 1, 0)
    return (power + flipped) / 2


def conjugate_gradients(
    apply: Callable[[Any], Any], precondition: Callable[[Any], Any], target: Any, start: Any
) -> Any:
    """Solve ``apply(x) = target``; both operators are symmetric and positive."""
    found = start.copy()
    rest = target - apply(found)
    bound = EXACT * norm(target)
    way = precondition(rest)
    along, slope = way.copy(), float((rest * way).sum())
    for _ in range(STEPS):
        if norm(rest) <= bound or slope <= 0:
            break
        image = apply(along)
        step = slope / float((along * image).sum())
        found += step * along
        rest -= step * image
        way = precondition(rest)
        before, slope = slope, float((rest * way).sum())
        along = way + slope / before * along
    return found


def norm(values: Any) -> float:
    """Root of the sum of squares."""
    return math.sqrt(float((values * values).sum()))


KINDS: dict[str, type[Periodic]] = {
    "reflect": Mirrored, "periodic": Periodic, "taper": Tapered
}  # fmt: skip
