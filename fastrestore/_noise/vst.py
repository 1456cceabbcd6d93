"""Noise that follows the signal: transforms that make its variance 1, and their exact inverses."""

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
    """Noise that depends on the signal: any object with these methods."""

    def forward(self, values: NDArray[Any]) -> FloatArray:
        """Stabilise: noise has a standard deviation of about 1 afterwards."""
        ...

    def inverse(self, stabilised: NDArray[Any]) -> FloatArray:
        """Return the mean of the noise-free signal whose stabilised mean this is."""
        ...

    def extent(self, data_range: float) -> float:
        """Range of the stabilised image, from that of the image."""
        ...


@dataclass(frozen=True, slots=True)
class PoissonGaussian:
    """Photons and read-out: ``z = gain * Poisson(x) + offset + sigma * Normal``.

    Its variance is ``gain * (mean - offset) + sigma**2``.

    Parameters
    ----------
    gain : float
        Image units for one photon (or electron), above 0. 1 for counts.
    sigma : float, default 0
        Standard deviation of the signal-independent part, in the units of the image.
    offset : float, default 0
        Black level: what no photon gives.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a number, or not in its range.

    Notes
    -----
    The transform is the generalised Anscombe transform. Its inverse is exact and unbiased [1]_: the
    mean of the transformed noisy value, which is computed here for every brightness, is
    looked up backwards; for bright pixels the closed form of [1]_ takes over.

    References
    ----------
    .. [1] M. Mäkitalo, A. Foi, "Optimal inversion of the generalized Anscombe transformation for
       Poisson-Gaussian noise", IEEE Trans. Image Process. 22(1), 2013.

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
        """Refuse what is not a noise model."""
        if self.gain == 0:
            raise ValueError(
                f"gain must be a number above 0, got {self.gain!r}; noise that does not grow with "
                "the signal is told by sigma="
            )
        validate.positive("gain", self.gain)
        validate.not_negative("sigma", self.sigma)
        validate.number("offset", self.offset)

    def forward(self, values: NDArray[Any]) -> FloatArray:
        """Generalised Anscombe transform."""
        counts = (interop.to_float64(values) - self.offset) / self.gain
        return _anscombe(counts, self._spread)

    def inverse(self, stabilised: NDArray[Any]) -> FloatArray:
        """Exact unbiased inverse of `forward`; never under the offset."""
        transformed, xp = interop.to_float64(stabilised), interop.namespace(stabilised)
        counts, means = _poisson_means(self._spread)
        dim = xp.interp(transformed, xp.asarray(means), xp.asarray(counts))
        bright = np.maximum(transformed, means[-1])
        closed = bright**2 / 4 + math.sqrt(1.5) / 4 / bright - 11 / 8 / bright**2
        closed += 5 / 8 * math.sqrt(1.5) / bright**3 - 1 / 8 - self._spread**2
        found = xp.where(transformed < means[-1], dim, closed)
        result: FloatArray = self.gain * found + self.offset
        return result

    def extent(self, data_range: float) -> float:
        """Range of the stabilised image, from that of the image."""
        return float(np.ptp(self.forward(np.array([0, data_range]) + self.offset)))

    @property
    def _spread(self) -> float:
        return self.sigma / self.gain


@dataclass(frozen=True, slots=True)
class Rician:
    """Magnitude of a complex signal with Gaussian noise in both parts, as MR images have.

    Parameters
    ----------
    sigma : float
        Standard deviation in each part, in the units of the image, above 0.

    Notes
    -----
    Stabilised by ``sqrt(max(0, (z / sigma)**2 - 1/2))``, which makes the variance 1 where the
    signal is strong and leaves it under 1 in the dark. The inverse is exact and unbiased: the mean
    of the transformed noisy value is computed for every brightness and looked up backwards, the
    method of [1]_.

    References
    ----------
    .. [1] A. Foi, "Noise estimation and removal in MR imaging: the variance-stabilization
       approach", IEEE Int. Symp. Biomedical Imaging, 2011.
    """

    sigma: float

    def __post_init__(self) -> None:
        """Refuse what is not a noise level."""
        validate.positive("sigma", self.sigma)

    def forward(self, values: NDArray[Any]) -> FloatArray:
        """Stabilise."""
        squares = (interop.to_float64(values) / self.sigma) ** 2
        stabilised: FloatArray = np.sqrt(np.maximum(0, squares - 0.5))
        return stabilised

    def inverse(self, stabilised: NDArray[Any]) -> FloatArray:
        """Exact unbiased inverse of `forward`; never negative."""
        transformed, xp = interop.to_float64(stabilised), interop.namespace(stabilised)
        signal, means = _rician_means()
        strong = np.maximum(transformed, means[-1])
        far = (strong + np.sqrt(strong**2 - 1)) / 2  # there the mean is x + 1 / (4 x)
        near = xp.interp(transformed, xp.asarray(means), xp.asarray(signal))
        found = xp.where(transformed < means[-1], near, far)
        result: FloatArray = self.sigma * found
        return result

    def extent(self, data_range: float) -> float:
        """Range of the stabilised image, from that of the image."""
        return float(np.ptp(self.forward(np.array([0, data_range]))))


def _anscombe(counts: FloatArray, spread: float) -> FloatArray:
    transformed: FloatArray = 2 * np.sqrt(np.maximum(0, counts + 3 / 8 + spread**2))
    return transformed


def _poisson_means(spread: float) -> tuple[FloatArray, FloatArray]:
    """Counts x and the mean of the transform of Poisson(x) + spread * Normal."""
    from scipy.stats import poisson

    counts = np.concatenate([np.linspace(0, 4, 400, endpoint=False), np.linspace(4, 100, 400)])
    photons = np.arange(230)  # more than 100 can give
    if spread:
        normal = np.linspace(-8, 8, 2001)
        density = np.exp(-(normal**2) / 2)
        density /= density.sum()
        transformed = _anscombe(photons[:, None] + spread * normal, spread) @ density
    else:
        transformed = _anscombe(photons.astype(np.float64), 0.0)
    return counts, poisson.pmf(photons, counts[:, None]) @ transformed


def _rician_means() -> tuple[FloatArray, FloatArray]:
    """Signals and the mean of the transform of their noisy magnitudes, both for sigma 1."""
    from scipy.special import i0e

    signal = np.linspace(0, 16, 801)
    noisy = np.linspace(0, 26, 5201)
    signals, values = signal[:, None], noisy[None]
    density = values * np.exp(-((values - signals) ** 2) / 2) * i0e(values * signals)
    means = density @ np.sqrt(np.maximum(0, noisy**2 - 0.5)) / density.sum(1)
    return signal, means


def estimate_poisson_gaussian(image: Any) -> tuple[float, float]:
    """Estimate gain and signal-independent noise of a gray image.

    Parameters
    ----------
    image : array, shape (M, N)
        Noisy image, unclipped, its black level at 0 (take away an offset first).

    Returns
    -------
    gain, sigma : float
        So that the variance of the noise is ``gain * mean + sigma**2``. Gain is 0 if the noise does
        not grow with the signal.

    Raises
    ------
    TypeError, ValueError
        For images that `bm3d` refuses, too, and those under 32 pixels wide or high.

    Notes
    -----
    In the manner of [1]_: pixels are put in classes of equal local mean, the noise of each class
    is measured by the median of second differences where the image is smooth, and a straight line
    is fitted to the variances, each weighted by its precision.

    References
    ----------
    .. [1] A. Foi, M. Trimeche, V. Katkovnik, K. Egiazarian, "Practical Poissonian-Gaussian noise
       modeling and fitting for single-image raw-data", IEEE Trans. Image Process. 17(10), 2008.
    """
    values = interop.to_host(interop.recognize("image", image)[0])
    plane = validate.channels("image", values, None)[0].astype(np.float64)
    if min(plane.shape) < 32:
        raise ValueError(f"image must be 32 pixels wide and high or more, got {plane.shape}")
    means, variances, counts = _level_variances(plane)
    weights = np.ones(len(means))
    for _ in range(10):
        design = np.stack([means, np.ones(len(means))], axis=1)
        root = np.sqrt(weights)[:, None]
        gain, constant = np.linalg.lstsq(design * root, variances * root[:, 0], rcond=None)[0]
        if gain <= 0:
            gain, constant = 0.0, float(np.average(variances, weights=weights))
        elif constant < 0:  # nothing but photons
            gain, constant = float((weights * means) @ variances / ((weights * means) @ means)), 0.0
        fit = np.maximum(gain * means + constant, 1e-12 * (variances.max() or 1))
        residual = np.abs(variances / fit - 1) * np.sqrt(counts / 5)
        weights = counts / fit**2 / np.maximum(1, residual)  # Huber: textured classes count less
    return float(gain), math.sqrt(max(0.0, float(constant)))


def _level_variances(plane: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, noise variance and number of pixels of classes of equal local mean."""
    from scipy.ndimage import convolve, gaussian_gradient_magnitude, uniform_filter

    detail = convolve(plane, np.outer([1, -2, 1], [1, -2, 1]) / 6.0)
    smooth = uniform_filter(plane, 7)
    slope = gaussian_gradient_magnitude(plane, 2.0)
    order = np.argsort(smooth, axis=None)
    found = []
    for part in np.array_split(order, max(8, min(64, order.size // 512))):
        calm = part[slope.ravel()[part] <= np.median(slope.ravel()[part])]
        noise = np.median(np.abs(detail.ravel()[calm])) / 0.67449
        found.append((smooth.ravel()[calm].mean(), noise**2, len(calm)))
    means, variances, counts = np.array(found).T
    return means, variances, counts
