"""Estimation of the level of white noise from one image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastrestore._arrays import interop, validate
from fastrestore._arrays.types import FloatArray

PATCH = 7
# Chance lowers the smallest eigenvalue of noise, at most by (1 - sqrt(unknowns / patches))**2
# (Marchenko and Pastur); texture raises it. This share of the root was best on training images.
CHANCE = 0.3
ROUNDS = 8  # of selecting flat patches by the estimate, and estimating from them
CONFIDENCE = 1 - 1e-6  # probability that a patch of noise alone is selected
FEWEST = 1500  # patches; with fewer, the estimate is biased low, more in each round
MOST = 2**18  # patches are enough; a larger image is sampled on a regular grid


def estimate_sigma(image: Any, channel_axis: int | None = None) -> Any:
    """Estimate the standard deviation of white Gaussian noise from one image.

    Parameters
    ----------
    image : array, shape (M, N), or three axes with `channel_axis`
        Noisy image of any integer or float type.
    channel_axis : int, optional
        Axis of colors or other channels, whose noise is estimated separately.

    Returns
    -------
    float, or numpy array of shape (C,) with `channel_axis`
        Standard deviation, in the units of the image. It is 0 for a constant image.

    Raises
    ------
    TypeError, ValueError
        As for `bm3d`.

    Notes
    -----
    Clean patches lie near a subspace of low dimension, so the smallest eigenvalue of the covariance
    of noisy patches is the variance of the noise [1]_. It is computed from flat patches, which are
    selected by the energy of their gradients; the energy of pure noise nearly has a Gamma
    distribution (section III of [1]_). Correlated noise is underestimated, and the noise of an
    image without structure is underestimated by about 4 %. Images too small for patches are
    estimated from the differences of neighboring pixels.

    References
    ----------
    .. [1] X. Liu, M. Tanaka, M. Okutomi, "Single-image noise level estimation for blind
       denoising", IEEE Trans. Image Process. 22(12), 2013.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> clean = np.add.outer(np.arange(128.0), np.arange(128.0))
    >>> noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)
    >>> abs(fastrestore.estimate_sigma(noisy) - 10) < 0.5
    True
    """
    values = interop.to_host(interop.recognize("image", image)[0])
    planes = validate.channels("image", values, channel_axis)
    estimates = sigmas(planes)
    return float(estimates[0]) if channel_axis is None else estimates


def sigmas(planes: NDArray[Any], valid: NDArray[Any] | None = None) -> FloatArray:
    """Estimate the noise of each channel of (C, M, N), from pixels where `valid` is True.

    `valid` broadcasts to the planes. Invalid pixels may have any value, NaN included.
    """
    masks = [None] * len(planes) if valid is None else np.broadcast_to(valid, planes.shape)
    each = zip(planes, masks, strict=True)
    return np.array([_sigma(np.asarray(plane, np.float64), mask) for plane, mask in each])


def mean_sigma(planes: Any, valid: NDArray[Any] | None = None) -> float:
    """Return the root mean square of the noise levels of the channels of (C, M, N)."""
    return float(np.sqrt(np.square(sigmas(interop.to_host(planes), valid)).mean()))


def _sigma(image: FloatArray, valid: NDArray[Any] | None) -> float:
    """Estimate the noise of one channel, scaled to about 1 so that squares do not overflow."""
    if valid is not None:
        if not valid.any():
            return 0.0
        image = np.where(valid, image, image[valid].mean())
    scale = float(np.abs(image - image.mean()).max())
    if scale == 0 or not np.isfinite(scale):
        return 0.0
    image = (image - image.mean()) / scale
    if (image.shape[0] - PATCH) * (image.shape[1] - PATCH) < 4 * PATCH**2 or min(
        image.shape
    ) < PATCH:
        return scale * _of_differences(image, valid)
    step = max(1, int(np.ceil(np.sqrt(image.size / MOST))))
    window = (PATCH, PATCH)
    patches = sliding_window_view(image, window)[::step, ::step].reshape(-1, PATCH**2)
    energy = _gradient_energy(image)[::step, ::step].ravel()
    if valid is not None:
        whole = _box(valid, PATCH, PATCH)[::step, ::step].ravel() == PATCH**2
        if whole.sum() < 2 * PATCH**2:
            return scale * _of_differences(image, valid)
        patches, energy = patches[whole], energy[whole]
    return scale * float(np.sqrt(_variance(patches, energy)))


def _variance(patches: FloatArray, energy: FloatArray) -> float:
    """Variance of the noise: from all patches, then repeatedly from the flat ones."""
    from scipy.special import gammaincinv

    # Mean of the gradient energy of noise of variance 1, and its quantile (equation 20)
    mean = PATCH * (PATCH - 2)
    quantile = mean * gammaincinv(PATCH**2 / 2, CONFIDENCE) / (PATCH**2 / 2)
    variance = _least_eigenvalue(patches)
    for _ in range(ROUNDS):
        flat = energy < quantile * variance
        if flat.sum() < FEWEST:
            break
        variance = _least_eigenvalue(patches[flat])
    return variance


def _least_eigenvalue(patches: FloatArray) -> float:
    """Smallest eigenvalue of the covariance of patches, partly corrected for its bias."""
    chance = (1 - CHANCE * math.sqrt(PATCH**2 / len(patches))) ** 2
    return max(0.0, float(np.linalg.eigvalsh(np.cov(patches.T))[0] / chance))


def _gradient_energy(image: FloatArray) -> FloatArray:
    """Sum of squared central differences inside every patch."""
    across = ((image[:, 2:] - image[:, :-2]) / 2) ** 2
    down = ((image[2:] - image[:-2]) / 2) ** 2
    return _box(across, PATCH, PATCH - 2) + _box(down, PATCH - 2, PATCH)


def _box(values: NDArray[Any], height: int, width: int) -> FloatArray:
    """Sums over all windows of a size."""
    rows = sliding_window_view(values, height, axis=0).sum(-1)
    sums: FloatArray = sliding_window_view(rows, width, axis=1).sum(-1)
    return sums


def _of_differences(image: FloatArray, valid: NDArray[Any] | None) -> float:
    """Robust estimate from differences of neighbors, for images too small for patches."""
    known = np.ones(image.shape, bool) if valid is None else valid
    pairs = [known[1:] & known[:-1], known[:, 1:] & known[:, :-1]]
    differences = np.concatenate([np.diff(image, axis=k)[pairs[k]] for k in (0, 1)])
    if differences.size == 0:
        return 0.0
    return float(np.median(np.abs(differences)) / 0.6745 / np.sqrt(2))
