"""Noise of a camera, scanner or other source, independent of any single image."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrestore._arrays import validate
from fastrestore._arrays.types import FloatArray
from fastrestore._noise import sampling
from fastrestore._noise.spec_check import check_order, check_shapes, check_spectrum
from fastrestore._noise.vst import NoiseModel, PoissonGaussian, Rician

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ARRAYS = ("sigma", "brightness", "levels", "spectrum")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NoiseSpec:
    """Noise of an image: level by brightness, spectrum, and correlation of the channels.

    Where channel c has the brightness b, its noise has the standard deviation that `levels[c]`
    has at b, interpolated between the values `brightness[c]` and constant beyond them. Divided by
    this level, it is stationary noise with the cross-spectra `spectrum`. All numbers are in the
    units of the image.

    Attributes
    ----------
    sigma : array, shape (C,)
        Root mean square of the standard deviation over the image, for each channel.
    brightness : array, shape (C, K)
        Values of the clean image in ascending order. K is 1 if the level is constant.
    levels : array, shape (C, K)
        Standard deviation of the noise at these values.
    spectrum : array, shape (C, C, P, Q), or (C, C, 1, 1) if it is white
        Power of the noise by frequency, relative to its level, with the zero frequency first. The
        mean of ``spectrum[c, c]`` is 1, that of ``spectrum[c, d]`` the correlation of two channels.
        Volumes have one axis more.
    distribution : PoissonGaussian, Rician or None
        Distribution that describes `levels` without `strength`, if there is one. The variance of
        the image is then stabilized.
    strength : float
        Factor by which the estimated noise was multiplied, contained in `sigma` and `levels`.
    model : str
        Simplest model that describes the noise: "white", "correlated", "signal-dependent" or
        "camera", as in `estimate_noise`.
    correlation : array, shape (C, C)
        Correlation of the noise of two channels.
    covariance : array, shape (C, C)
        Covariance of the noise of two channels, in squared units of the image.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit together, or values are impossible, such as a negative level.

    See Also
    --------
    estimate_noise : The noise of one image.

    Notes
    -----
    ``spec * 0.8`` is noise with 0.8 times the level. Two objects are equal if all their
    attributes are. The arrays cannot be modified.

    Examples
    --------
    The noise of a sensor, whose level rises with the brightness:

    >>> import numpy as np
    >>> import fastrestore
    >>> white = np.ones((1, 1, 1, 1))
    >>> spec = fastrestore.NoiseSpec([5.0], [[0.0, 100.0, 200.0]], [[2.0, 5.0, 7.0]], white)
    >>> spec
    NoiseSpec: signal-dependent, 1 channel, in the units of the image
      sigma        5
      level        2 to 7 for brightness 0 to 200
    >>> (0.5 * spec).at(50).tolist()
    [1.75]
    """

    sigma: FloatArray
    brightness: FloatArray
    levels: FloatArray
    spectrum: FloatArray
    distribution: NoiseModel | None = None
    strength: float = 1.0

    def __post_init__(self) -> None:
        """Validate, and keep arrays of float64 that cannot be modified."""
        sigma = validate.numbers("sigma", self.sigma, "standard deviations of 0 or more")
        levels = validate.numbers("levels", self.levels, "standard deviations of 0 or more")
        brightness = validate.reals("brightness", self.brightness, "finite values of the image")
        spectrum = validate.reals("spectrum", self.spectrum, "finite powers")
        check_shapes(sigma, brightness, levels, spectrum)
        check_order(brightness)
        check_spectrum(spectrum)
        if not isinstance(self.distribution, (PoissonGaussian, Rician, type(None))):
            raise TypeError(
                "distribution must be a PoissonGaussian, a Rician or None, "
                f"got {validate.quoted(self.distribution)}"
            )
        object.__setattr__(self, "strength", validate.not_negative("strength", self.strength))
        for name, array in zip(ARRAYS, (sigma, brightness, levels, spectrum), strict=True):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @classmethod
    def white(cls, *sigma: float) -> NoiseSpec:
        """Return white noise of a constant level, one for each channel."""
        each = np.array(sigma, np.float64)
        axes = (..., None, None)
        return cls(each, np.zeros((len(each), 1)), each[:, None], np.eye(len(each))[axes])

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> NoiseSpec:
        """Read a file that `save` wrote.

        Parameters
        ----------
        path : str or path
            File with the extension ``.npz``. Files from others are safe to load: no code in them
            is run.

        Returns
        -------
        NoiseSpec
            The noise, equal to the one that was saved.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is damaged, or not a file of this kind and version.
        """
        from fastrestore._noise.spec_file import load

        return load(path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write this noise to a file.

        An existing file is replaced when the new one is complete.

        Parameters
        ----------
        path : str or path
            File with the extension ``.npz``. It contains the arrays by name, and the other
            attributes with a version number as JSON in the array ``header``.

        Raises
        ------
        OSError
            If the file cannot be written.
        ValueError
            If `path` has another extension.
        """
        from fastrestore._noise.spec_file import save

        save(self, path)

    @classmethod
    def pool(cls, specs: Iterable[NoiseSpec]) -> NoiseSpec:
        """Return the mean noise of several images of one source, such as one camera setting.

        At each brightness the variance is the weighted mean of those images that contain it. An
        image has less weight near the ends of its own range, where few of its pixels are. Spectra
        are averaged. The level covers the brightness of all images together.

        Parameters
        ----------
        specs : iterable of NoiseSpec
            Noise of images with equal numbers of channels and axes, in the same units, with the
            same `strength`.

        Returns
        -------
        NoiseSpec
            Their mean. `distribution` is kept if all have one of the same kind.

        Raises
        ------
        TypeError, ValueError
            If there is no noise, or the noise of different kinds of images.

        Examples
        --------
        >>> import fastrestore
        >>> white = fastrestore.NoiseSpec.white
        >>> fastrestore.NoiseSpec.pool([white(3.0), white(4.0), white(5.0)]).sigma.round(3)
        array([4.082])
        """
        from fastrestore._noise.spec_pool import pooled

        return pooled(specs)

    @property
    def model(self) -> str:
        """Simplest model that describes the noise, as in `estimate_noise`."""
        varies = self.levels.shape[1] > 1 or self.distribution is not None
        is_white = self.spectrum.size == len(self.sigma) ** 2 and np.array_equal(
            self.correlation, np.eye(len(self.sigma))
        )
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

    def at(self, brightness: Any) -> FloatArray:
        """Return the standard deviation of the noise where the clean image has a brightness.

        Parameters
        ----------
        brightness : float or array
            Values of the clean image.

        Returns
        -------
        array, (C,) followed by the shape of `brightness`
            Standard deviation for each channel.
        """
        values = validate.reals("brightness", brightness, "finite values of the image")
        curves = zip(self.brightness, self.levels, strict=True)
        return np.array([np.interp(values, knots, levels) for knots, levels in curves])

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

    def plot(self) -> Figure:
        """Draw level by brightness, spectrum and covariance of the channels.

        Returns
        -------
        matplotlib.figure.Figure
            The figure, to be shown by ``matplotlib.pyplot.show()`` or saved by its ``savefig``.

        Raises
        ------
        ImportError
            If matplotlib is not installed: ``pip install "fastrestore[plot]"``.
        """
        from fastrestore._noise.spec_plot import plot

        return plot(self)

    def __mul__(self, factor: float) -> NoiseSpec:
        """Return noise whose level is multiplied by a factor."""
        by = validate.not_negative("the factor of a NoiseSpec", factor)
        return replace(
            self, sigma=by * self.sigma, levels=by * self.levels, strength=by * self.strength
        )

    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        """Whether all attributes are equal."""
        if not isinstance(other, NoiseSpec):
            return NotImplemented
        same = (self.distribution, self.strength) == (other.distribution, other.strength)
        return same and all(np.array_equal(getattr(self, n), getattr(other, n)) for n in ARRAYS)

    def __hash__(self) -> int:
        """Return the same number for equal objects."""
        return hash((self.spectrum.shape, *self.sigma.tolist(), self.strength))

    def __repr__(self) -> str:
        """Describe the noise in a few lines."""
        from fastrestore._noise.spec_text import description

        return description(self)
