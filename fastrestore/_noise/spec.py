"""Noise of a camera, scanner or other source, independent of any single image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastrestore._arrays import validate
from fastrestore._arrays.types import FloatArray
from fastrestore._noise import sampling
from fastrestore._noise.vst import NoiseModel


@dataclass(frozen=True, slots=True, eq=False)
class NoiseSpec:
    """Noise of an image: level by brightness, spectrum, and correlation of the channels.

    Where channel c has the brightness b, its noise has the standard deviation that `levels[c]`
    has at b, interpolated between the values `brightness[c]` and constant beyond them. Divided by
    this level, it is stationary noise with the cross-spectra `spectrum`.

    Attributes
    ----------
    sigma : array, shape (C,)
        Root mean square of the standard deviation over the image, in its units.
    brightness : array, shape (C, K)
        Increasing values of the clean image, in its units. K is 1 if the level is constant.
    levels : array, shape (C, K)
        Standard deviation of the noise at these values, in the units of the image.
    spectrum : array, shape (C, C, P, Q), or (C, C, 1, 1) if it is white
        Power of the noise by frequency, relative to its level, with the zero frequency first. The
        mean of ``spectrum[c, c]`` is 1, that of ``spectrum[c, d]`` the correlation of two channels.
        Volumes have one axis more.
    distribution : PoissonGaussian, Rician or None
        Distribution that describes `levels`, if there is one. The image is then stabilized.
    strength : float
        Factor by which the estimated noise was multiplied, contained in `sigma` and `levels`.
    """

    sigma: FloatArray
    brightness: FloatArray
    levels: FloatArray
    spectrum: FloatArray
    distribution: NoiseModel | None = None
    strength: float = 1.0

    @classmethod
    def white(cls, *sigma: float) -> NoiseSpec:
        """Return white noise of a constant level, one for each channel."""
        each = np.array(sigma, np.float64)
        axes = (..., None, None)
        return cls(each, np.zeros((len(each), 1)), each[:, None], np.eye(len(each))[axes])

    @property
    def model(self) -> str:
        """Simplest model that describes the noise, as in `estimate_noise`."""
        varies = self.levels.shape[1] > 1 or self.distribution is not None
        is_white = np.array_equal(self.spectrum, self.white(*self.sigma).spectrum)
        if is_white:
            return "signal-dependent" if varies else "white"
        return "camera" if varies else "correlated"

    @property
    def correlation(self) -> FloatArray:
        """Correlation of the noise of two channels, shape (C, C)."""
        mean: FloatArray = self.spectrum.mean(tuple(range(2, self.spectrum.ndim)))
        return mean

    @property
    def covariance(self) -> FloatArray:
        """Covariance of the noise of two channels, shape (C, C), in squared units of the image."""
        return self.correlation * np.outer(self.sigma, self.sigma)

    def constant(self) -> NoiseSpec:
        """Return noise of the same spectrum, whose level is `sigma` at any brightness."""
        if self.levels.shape[1] == 1:
            return self
        return replace(self, brightness=np.zeros((len(self.sigma), 1)), levels=self.sigma[:, None])

    def variance(self, image: Any, *, channel_axis: int | None = None) -> FloatArray:
        """Return the variance of the noise at each pixel of an image.

        Parameters
        ----------
        image : array
            Brightness of each pixel, in the units of the image: the clean image, or a noisy one
            that was smoothed.
        channel_axis : int, optional
            Axis of the channels. By default there is one channel.

        Returns
        -------
        array, shape of `image`
            Variance, in squared units of the image.

        Raises
        ------
        TypeError, ValueError
            If `image` is not an array with the number of channels and of axes of the noise.
        """
        return sampling.level(self, image, channel_axis) ** 2

    def sample(
        self, image: Any, *, channel_axis: int | None = None, rng: int | np.random.Generator = 0
    ) -> FloatArray:
        """Draw noise for an image.

        Parameters
        ----------
        image : array
            Brightness of each pixel, as for `variance`.
        channel_axis : int, optional
            Axis of the channels. By default there is one channel.
        rng : int or numpy.random.Generator, default 0
            Seed or generator of the random numbers.

        Returns
        -------
        array, shape of `image`
            Gaussian noise with the level, spectrum and correlation of this specification. Add it
            to the clean image to get a noisy one.

        Raises
        ------
        TypeError, ValueError
            If `image` is not an array with the number of channels and of axes of the noise.
        """
        return sampling.sample(self, image, channel_axis, rng)

    def __mul__(self, factor: float) -> NoiseSpec:
        """Return noise that is stronger by a factor."""
        by = validate.not_negative("the factor of a NoiseSpec", factor)
        return replace(
            self, sigma=by * self.sigma, levels=by * self.levels, strength=by * self.strength
        )

    __rmul__ = __mul__
