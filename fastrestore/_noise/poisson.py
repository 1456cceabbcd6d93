"""Estimation of Poisson-Gaussian noise from one image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import validate
from fastrestore._arrays.types import FloatArray
from fastrestore._noise.blocks import Blocks
from fastrestore._noise.counts import fitted
from fastrestore._noise.inputs import checked_image

LEAST = 32  # pixels, width and height
FEWEST = 512  # pixels in a class of similar brightness
REACH = 8  # pixels, of the widest filter
# A fit is poor if its variances have a larger typical relative error, or if a line without limits
# is 0 at more than this share of the greatest mean, by more than its standard error times SURE
POOR, DARK, SURE = 0.4, 0.04, 5.0


def estimate_poisson_gaussian(
    image: Any, channel_axis: int | None = None, *, offset: float = 0.0, mask: Any = None
) -> tuple[Any, Any]:
    """Estimate the parameters of Poisson-Gaussian noise from one image.

    The variance of the noise is measured at different brightness, and a straight line is fitted to
    it.

    Parameters
    ----------
    image : array, shape (M, N), or three axes with `channel_axis`
        Noisy image of any integer or float type, not clipped, at least 32 pixels wide and high.
    channel_axis : int, optional
        Axis of colors or other channels, whose noise is estimated separately.
    offset : float, default 0
        Black level: the value without any photon, in the units of the image.
    mask : array of bool, optional
        True where a pixel is valid. It broadcasts to the shape of `image`, or of one channel.
        Other pixels, which may be NaN, take no part. By default all pixels are valid.

    Returns
    -------
    gain : float, or numpy array of shape (C,) with `channel_axis`
        Ratio of a value of the image to the count that it stands for: the variance of the noise is
        ``gain * (mean - offset) + sigma**2``. It is 0 if the noise does not depend on the signal.
    sigma : float, or numpy array of shape (C,) with `channel_axis`
        Standard deviation of the noise at a mean of `offset`, in the units of the image.

    Raises
    ------
    TypeError, ValueError
        As for `bm3d`, and if the image is smaller than 32 x 32 pixels, or has too few valid pixels.

    Warns
    -----
    UserWarning
        If the model does not fit the noise, as with a wrong `offset`, or in an image that is
        clipped or processed.

    See Also
    --------
    PoissonGaussian : The model that is returned.
    estimate_noise : Estimate level, spectrum and correlation.

    Notes
    -----
    Based on [1]_. Blocks of 8x8 pixels are divided into classes of similar mean. The noise of each
    class is measured by the high frequencies of flat blocks. A straight line is fitted to the
    variances, weighted by their precision. If the noise is not that of photons, as in processed
    images, it is measured by the median of second differences of pixels. Areas without noise take
    no part.

    Both parameters are determined only if the image has dark and bright areas. From an image of one
    gray level, one of them is often estimated as 0, and the model fits this level only.

    References
    ----------
    .. [1] A. Foi, M. Trimeche, V. Katkovnik, K. Egiazarian, "Practical Poissonian-Gaussian noise
       modeling and fitting for single-image raw-data", IEEE Trans. Image Process. 17(10), 2008.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> clean = np.add.outer(np.arange(128.0), np.arange(128.0))
    >>> noisy = 100 + 2 * np.random.default_rng(0).poisson(clean / 2)
    >>> gain, sigma = fastrestore.estimate_poisson_gaussian(noisy, offset=100)
    >>> 1.8 < gain < 2.2
    True
    """
    planes, valid = checked_image(image, channel_axis, mask)
    black = validate.number("offset", offset)
    if min(planes.shape[1:]) < LEAST:
        raise ValueError(
            f"image must be {LEAST} pixels wide and high or more, got {planes.shape[1:]}"
        )
    valid = np.broadcast_to(True if valid is None else valid, planes.shape)
    fits = [_fitted(plane, known, black) for plane, known in zip(planes, valid, strict=True)]
    for each in fits:
        _warn_of_misfit(each, black)
    if channel_axis is None:
        return fits[0].gain, fits[0].sigma
    return np.array([fit.gain for fit in fits]), np.array([fit.sigma for fit in fits])


@dataclass(frozen=True, slots=True)
class _Fit:
    """Parameters of one channel, and how well they agree with its variances."""

    gain: float = 0.0
    sigma: float = 0.0
    error: float = 0.0  # median of the relative errors of the variances
    dark: float = 0.0  # mean at which a line without limits is 0, if that is surely above 0


def _fitted(plane: NDArray[Any], valid: NDArray[Any], offset: float) -> _Fit:
    """Fit the model to one channel."""
    known = plane[valid].astype(np.float64)
    image = np.full(plane.shape, np.median(known))
    image[valid] = known
    classes = _of_blocks(image - offset, valid) or _level_variances(image - offset, valid)
    if classes is None:
        return _Fit()
    means, variances, counts = classes
    weights = np.ones(len(means))
    for _ in range(10):
        gain, constant = _line(means, variances, weights)
        fit = np.maximum(gain * means + constant, 1e-12 * (variances.max() or 1))
        residual = np.abs(variances / fit - 1) * np.sqrt(counts / 5)
        weights = counts / fit**2 / np.maximum(1, residual)  # Huber: less for textured classes
    error = float(np.median(np.abs(variances / fit - 1)))
    dark = _dark(means, variances, counts) if constant == 0 else 0.0
    return _Fit(gain, math.sqrt(max(0.0, constant)), error, dark)


def _dark(means: FloatArray, variances: FloatArray, counts: FloatArray) -> float:
    """Mean at which a line fitted without limits is 0, or 0 if it may be there."""
    design = np.stack([means, np.ones(len(means))], axis=1)
    weights = np.ones(len(means))
    for _ in range(10):
        root = np.sqrt(weights)
        line = np.linalg.lstsq(design * root[:, None], variances * root, rcond=None)[0]
        fit: FloatArray = np.maximum(design @ line, 0.05 * float(np.median(variances)))
        residual = np.abs(variances / fit - 1) * np.sqrt(counts / 5)
        weights = counts / 5 / fit**2 / np.maximum(1, residual)
    gain, constant = (float(value) for value in line)
    misfit = max(1.0, float(weights @ (variances - design @ line) ** 2) / (len(means) - 2))
    spread = math.sqrt(misfit * np.linalg.pinv((design * weights[:, None]).T @ design)[1, 1])
    dark = -constant / gain if gain > 0 and constant < -SURE * spread else 0.0
    return dark if dark > DARK * means.max() else 0.0


def _warn_of_misfit(fit: _Fit, offset: float) -> None:
    """Warn if the model does not describe the noise."""
    model = f"gain={fit.gain:.3g}, sigma={fit.sigma:.3g} and offset={offset:g}"
    if fit.dark:
        validate.warn(
            f"{model} do not fit the noise: its variance is 0 at about {offset + fit.dark:.3g}, "
            "which suggests that value as offset=, the black level of the camera"
        )
    elif fit.error > POOR:
        validate.warn(
            f"{model} do not fit the noise: its variance differs by {100 * fit.error:.0f} % at a "
            "typical brightness; check offset=, the black level of the camera, and that the image "
            "is neither clipped nor processed"
        )


def _line(means: FloatArray, variances: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Slope and constant, not negative, of a line fitted to variances."""
    design = np.stack([means, np.ones(len(means))], axis=1)
    root = np.sqrt(weights)[:, None]
    gain, constant = np.linalg.lstsq(design * root, variances * root[:, 0], rcond=None)[0]
    if gain <= 0:
        return 0.0, float(np.average(variances, weights=weights))
    if constant < 0:  # photon noise only
        ahead = np.maximum(means, 0)
        scale = float((weights * ahead) @ means)
        return float((weights * ahead) @ variances) / scale if scale > 0 else 0.0, 0.0
    return float(gain), float(constant)


def _of_blocks(
    plane: FloatArray, valid: NDArray[Any]
) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Return the same as `_level_variances` from flat blocks, or None if too few are flat."""
    fit = fitted(Blocks.of(plane, None if valid.all() else valid))
    if fit is None or not fit.supports_counts():
        return None
    classes = fit.classes
    return classes.mean, classes.variance, 5 / classes.error**2


def _level_variances(
    plane: FloatArray, valid: NDArray[Any]
) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Mean, noise variance and number of pixels of classes of similar local mean.

    None if the image has no noise.
    """
    from scipy.ndimage import (
        convolve,
        gaussian_gradient_magnitude,
        maximum_filter,
        minimum_filter,
        uniform_filter,
    )

    detail = convolve(plane, np.outer([1, -2, 1], [1, -2, 1]) / 6.0)
    smooth = uniform_filter(plane, 7)
    slope = gaussian_gradient_magnitude(plane, 2.0)
    used = np.ones(plane.shape, bool)
    if not valid.all():
        used = minimum_filter(valid, 2 * REACH + 1, mode="nearest")
        if np.count_nonzero(used) < FEWEST:
            raise ValueError(
                f"mask leaves {np.count_nonzero(used)} pixels whose neighbors within {REACH} "
                f"pixels are valid; {FEWEST} are needed"
            )
    noiseless = maximum_filter(np.abs(detail), 7) <= 1e-9 * np.ptp(plane)
    if noiseless.any():
        used &= ~maximum_filter(noiseless, 2 * REACH + 1)
        if np.count_nonzero(used) < FEWEST:
            return None
    detail, smooth, slope = np.abs(detail[used]), smooth[used], slope[used]
    classes = []
    for part in np.array_split(np.argsort(smooth), max(8, min(64, smooth.size // FEWEST))):
        calm = part[slope[part] <= np.median(slope[part])]
        noise = np.median(detail[calm]) / 0.67449
        classes.append((smooth[calm].mean(), noise**2, len(calm)))
    means, variances, counts = np.array(classes).T
    return means, variances, counts
