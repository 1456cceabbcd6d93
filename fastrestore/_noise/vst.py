"""Signal-dependent noise: transforms that stabilize its variance, and their exact inverses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, validate
from fastrestore._arrays.types import FloatArray


@runtime_checkable
class NoiseModel(Protocol):
    """Model of signal-dependent noise: any object with these methods."""

    def forward(self, values: NDArray[Any]) -> FloatArray:
        """Stabilize: the noise then has a standard deviation of about 1."""
        ...

    def inverse(self, stabilized: NDArray[Any]) -> FloatArray:
        """Return the signal for which the stabilized values have this mean."""
        ...

    def extent(self, data_range: float) -> float:
        """Range of the stabilized image, from that of the image."""
        ...


def forward(model: NoiseModel, values: Any) -> Any:
    """Stabilize an image; raise unless the model returns finite values for all pixels."""
    return _applied("forward", model, values)


def inverse(model: NoiseModel, stabilized: Any) -> Any:
    """Return an image from its stabilized form; raise unless the model returns all pixels."""
    return _applied("inverse", model, stabilized)


def extent(model: NoiseModel, data_range: float) -> float:
    """Return the range of a stabilized image; raise unless the model returns a number."""
    return validate.not_negative("the result of noise.extent", model.extent(data_range))


def _applied(method: str, model: NoiseModel, values: Any) -> Any:
    """Call a method of a model with an image that it must not change."""
    given = values
    if interop.on_host(values):
        given = values.view()
        given.flags.writeable = False
    name = f"the result of noise.{method}"
    with np.errstate(all="ignore"):  # values are checked instead
        result, _ = interop.recognize(name, getattr(model, method)(given))
    validate.same_shape(name, result, values.shape, "its argument")
    validate.check_finite(f"{name}, for noise={validate.quoted(model)},", result)
    return result


@dataclass(frozen=True, slots=True)
class PoissonGaussian:
    """Poisson-Gaussian noise: ``gain * Poisson(x) + offset + Normal(0, sigma**2)``.

    Photon noise and read-out noise of a sensor. The variance is
    ``gain * (mean - offset) + sigma**2``.

    Parameters
    ----------
    gain : float
        Image units per photon (or electron), above 0. It is 1 for counts.
    sigma : float, default 0
        Standard deviation of the signal-independent part, in the units of the image.
    offset : float, default 0
        Black level: the value without any photon.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a number, or not in its range.

    See Also
    --------
    estimate_poisson_gaussian : Estimate gain, sigma and offset from one image.
    Rician : The noise of magnitude images.
    NoiseSpec : Noise that is measured or estimated.

    Notes
    -----
    The image is stabilized by the generalized Anscombe transform. The inverse is exact and unbiased
    [1]_: it interpolates a table of the mean of the transformed noisy values for each signal. For
    large signals the closed form of [1]_ is used.

    Images and videos with less than about 5 photons in a typical pixel, and volumes with less than
    half as many, are restored in several passes, based on [2]_. The first one filters sums of
    several pixels, which have more photons. Each of the others filters a combination of the noisy
    image and the estimate before, on squares of half the size. A `pilot` replaces all of them.

    References
    ----------
    .. [1] M. Mäkitalo, A. Foi, "Optimal inversion of the generalized Anscombe transformation for
       Poisson-Gaussian noise", IEEE Trans. Image Process. 22(1), 2013.
    .. [2] L. Azzari, A. Foi, "Variance stabilization for noisy+estimate combination in iterative
       Poisson denoising", IEEE Signal Process. Lett. 23(8), 2016.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> clean = np.add.outer(np.arange(64.0), np.arange(64.0)) / 8
    >>> counts = np.random.default_rng(0).poisson(clean)
    >>> restored = fastrestore.bm3d(counts, noise=fastrestore.PoissonGaussian(gain=1))
    >>> float(np.abs(restored - clean).mean()) < 0.5
    True
    """

    gain: float
    sigma: float = 0.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        """Validate the parameters."""
        if validate.number("gain", self.gain) == 0:
            raise ValueError(
                f"gain must be a number above 0, got {validate.quoted(self.gain)}; for "
                "signal-independent noise use sigma= instead of noise="
            )
        validate.positive("gain", self.gain)
        validate.not_negative("sigma", self.sigma)
        validate.number("offset", self.offset)

    def forward(self, values: NDArray[Any]) -> FloatArray:
        """Apply the generalized Anscombe transform."""
        counts = (interop.to_float64(values) - self.offset) / self.gain
        return _anscombe(counts, self._spread)

    def inverse(self, stabilized: NDArray[Any]) -> FloatArray:
        """Apply the exact unbiased inverse of `forward`; at least the offset."""
        transformed, xp = interop.to_float64(stabilized), interop.namespace(stabilized)
        _check_magnitude(transformed)
        counts, means = _poisson_means(self._spread)
        tabulated = xp.interp(transformed, xp.asarray(means), xp.asarray(counts))
        bright = np.maximum(transformed, means[-1])
        closed = bright**2 / 4 + math.sqrt(1.5) / 4 / bright - 11 / 8 / bright**2
        closed += 5 / 8 * math.sqrt(1.5) / bright**3 - 1 / 8 - self._spread**2
        signal = xp.where(transformed < means[-1], tabulated, closed)
        result: FloatArray = self.gain * signal + self.offset
        return result

    def extent(self, data_range: float) -> float:
        """Range of the stabilized image, from that of the image."""
        span = validate.positive("data_range", data_range)
        return float(np.ptp(self.forward(np.array([0, span]) + self.offset)))

    def variance(self, image: Any, *, channel_axis: int | None = None) -> FloatArray:
        """Variance at each pixel of an image, whose values are the brightness; see `NoiseSpec`."""
        mean = interop.to_float64(interop.to_host(image))
        variance: FloatArray = self.gain * np.maximum(0, mean - self.offset) + self.sigma**2
        return variance

    def sample(
        self, image: Any, *, channel_axis: int | None = None, rng: int | np.random.Generator = 0
    ) -> FloatArray:
        """Noise drawn for an image, whose values are the brightness; see `NoiseSpec`."""
        random, mean = np.random.default_rng(rng), interop.to_float64(interop.to_host(image))
        signal: FloatArray = np.maximum(0, mean - self.offset)
        noise = self.gain * random.poisson(signal / self.gain) - signal
        noise += self.sigma * random.standard_normal(mean.shape)
        return noise

    @property
    def _spread(self) -> float:
        return self.sigma / self.gain


@dataclass(frozen=True, slots=True)
class Rician:
    """Rician noise: magnitude of a complex signal with Gaussian noise, as in MR images.

    The magnitude is larger than the signal on average, most where the signal is weak. This bias is
    removed, too.

    Parameters
    ----------
    sigma : float
        Standard deviation of each part of the complex noise, in the units of the image, above 0.

    Raises
    ------
    TypeError, ValueError
        If `sigma` is not a number above 0.

    See Also
    --------
    bm4d : Remove noise from a volume; its `noise` may be Rician.
    PoissonGaussian : The noise of counts.

    Notes
    -----
    The image is stabilized by ``sqrt(max(0, (z / sigma)**2 - 1/2))``. The variance becomes 1 where
    the signal is strong, and less than 1 where it is weak. The inverse is exact and unbiased, by
    the method of [1]_: it interpolates a table of the mean of the transformed noisy values for each
    signal.

    References
    ----------
    .. [1] A. Foi, "Noise estimation and removal in MR imaging: the variance-stabilization
       approach", IEEE Int. Symp. Biomedical Imaging, 2011.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> clean = np.add.outer(np.arange(64.0), np.arange(64.0))
    >>> real, imaginary = np.random.default_rng(0).normal(0, 5, (2, 64, 64))
    >>> noisy = np.hypot(clean + real, imaginary)
    >>> restored = fastrestore.bm3d(noisy, noise=fastrestore.Rician(sigma=5))
    >>> float(np.abs(restored - clean).mean()) < 1
    True
    """

    sigma: float

    def __post_init__(self) -> None:
        """Validate sigma."""
        validate.positive("sigma", self.sigma)

    def forward(self, values: NDArray[Any]) -> FloatArray:
        """Stabilize the variance."""
        squares = (interop.to_float64(values) / self.sigma) ** 2
        stabilized: FloatArray = np.sqrt(np.maximum(0, squares - 0.5))
        return stabilized

    def inverse(self, stabilized: NDArray[Any]) -> FloatArray:
        """Apply the exact unbiased inverse of `forward`; at least 0."""
        transformed, xp = interop.to_float64(stabilized), interop.namespace(stabilized)
        _check_magnitude(transformed)
        signal, means = _rician_means()
        strong = np.maximum(transformed, means[-1])
        far = (strong + np.sqrt(strong**2 - 1)) / 2  # the mean there is x + 1 / (4 x)
        near = xp.interp(transformed, xp.asarray(means), xp.asarray(signal))
        result: FloatArray = self.sigma * xp.where(transformed < means[-1], near, far)
        return result

    def extent(self, data_range: float) -> float:
        """Range of the stabilized image, from that of the image."""
        span = validate.positive("data_range", data_range)
        return float(np.ptp(self.forward(np.array([0, span]))))


def _check_magnitude(stabilized: FloatArray) -> None:
    """Raise if powers of the values would overflow."""
    if interop.on_host(stabilized) and (stabilized > validate.LARGEST).any():
        raise ValueError(
            f"stabilized must be at most {validate.LARGEST:g}, got {stabilized.max():g}"
        )


def _anscombe(counts: FloatArray, spread: float) -> FloatArray:
    transformed: FloatArray = 2 * np.sqrt(np.maximum(0, counts + 3 / 8 + spread**2))
    return transformed


def _poisson_means(spread: float) -> tuple[FloatArray, FloatArray]:
    """Counts x and the mean of the transform of Poisson(x) + spread * Normal."""
    from scipy.stats import poisson

    counts = np.concatenate([np.linspace(0, 4, 400, endpoint=False), np.linspace(4, 100, 400)])
    photons = np.arange(230)  # enough for a mean of 100
    if spread:
        normal = np.linspace(-8, 8, 2001)
        density = np.exp(-(normal**2) / 2)
        density /= density.sum()
        transformed = _anscombe(photons[:, None] + spread * normal, spread) @ density
    else:
        transformed = _anscombe(photons.astype(np.float64), 0.0)
    return counts, poisson.pmf(photons, counts[:, None]) @ transformed


def _rician_means() -> tuple[FloatArray, FloatArray]:
    """Signals and the mean of the transform of their noisy magnitudes, for sigma 1."""
    from scipy.special import i0e

    signal = np.linspace(0, 16, 801)
    noisy = np.linspace(0, 26, 5201)
    signals, values = signal[:, None], noisy[None]
    density = values * np.exp(-((values - signals) ** 2) / 2) * i0e(values * signals)
    means = density @ np.sqrt(np.maximum(0, noisy**2 - 0.5)) / density.sum(1)
    return signal, means
