"""Measures of the quality of a restored image, with its reference and without."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastrestore._arrays import interop, outliers, validate
from fastrestore._arrays.masks import Mask
from fastrestore._arrays.types import FloatArray

# Step of the divergence, relative to the noise. With 0.02 it depends on single decisions of block
# matching and thresholds, and estimates for BM3D vary by 10 % and more; with 0.1 they are too large
# by up to 10 %. With 0.07 they are too large by 3 % if the noise is not very strong, and for most
# images the least one belongs to the least true error.
STEP = 0.07
STREAM = 2008  # so that probes differ from noise that a caller has drawn with default_rng(seed)
WINDOW_SIGMA, WINDOW_RADIUS = 1.5, 5  # pixels: the window of SSIM
STABLE_MEAN, STABLE_CONTRAST = 0.01, 0.03  # constants of SSIM, relative to the data range
SMOOTHING = 5  # pixels: side of the window whose mean is the brightness that a noise level follows


def psnr(reference: ArrayLike, image: ArrayLike, *, data_range: float) -> float:
    """Compute the peak signal-to-noise ratio (PSNR) in decibels.

    It is ``10 * log10(data_range**2 / mean((image - reference)**2))``, and inf for equal images.

    Parameters
    ----------
    reference, image : array_like
        Two arrays of the same shape, in the same units. They are compared in float64, without
        clipping; for published tables the restored image is usually clipped first. CuPy arrays are
        copied to the host.
    data_range : float
        Range of the reference: 255 for 8-bit images, 1 for the range [0, 1].

    Returns
    -------
    float
        ``10 log10(data_range**2 / mean((reference - image)**2))``; infinite for equal arrays.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ or `data_range` is not a number above 0.

    See Also
    --------
    ssim : Structural similarity, which depends on contrast and structure.
    sure : Mean squared error without a clean image.

    Examples
    --------
    >>> from fastrestore.metrics import psnr
    >>> psnr([0.0, 1.0], [0.1, 0.9], data_range=1.0)
    20.0
    """
    a, b = (np.asarray(interop.to_host(each), np.float64) for each in (reference, image))
    validate.same_shape("image", b, a.shape, "reference")
    peak = validate.positive("data_range", data_range)
    error = float(np.mean((a - b) ** 2))
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)


def ssim(
    reference: ArrayLike,
    image: ArrayLike,
    *,
    data_range: float,
    channel_axis: int | None = None,
) -> float:
    """Compute the structural similarity index (SSIM).

    It compares means, contrasts and correlations in windows: 1 for equal images, less for others.

    Parameters
    ----------
    reference, image : array_like
        Two images or volumes of the same shape, in the same units. They are compared in float64,
        without clipping. CuPy arrays are copied to the host.
    data_range : float
        Range of the reference: 255 for 8-bit images, 1 for the range [0, 1].
    channel_axis : int, optional
        Axis of the channels, whose mean is returned. By default there is one channel.

    Returns
    -------
    float
        Mean over all pixels that are 5 pixels or more away from the border, or over all pixels of
        an image without such pixels; 1 for equal arrays.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, or an argument is invalid.

    See Also
    --------
    psnr : Peak signal-to-noise ratio.

    Notes
    -----
    The parameters are those of [1]_: a Gaussian window of 11 pixels and standard deviation 1.5,
    and the constants 0.01 and 0.03. Color images are compared channel by channel.

    References
    ----------
    .. [1] Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from
       error visibility to structural similarity", IEEE Trans. Image Process. 13(4), 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore.metrics import ssim
    >>> ramp = np.add.outer(np.arange(32.0), np.arange(32.0))
    >>> ssim(ramp, ramp, data_range=62)
    1.0
    """
    a, b = (np.asarray(interop.to_host(each), np.float64) for each in (reference, image))
    validate.same_shape("image", b, a.shape, "reference")
    peak = validate.positive("data_range", data_range)
    if channel_axis is not None:
        channel_axis = validate.axis("channel_axis", channel_axis, a.shape)
    first, second = (interop.channels_first(each, channel_axis) for each in (a, b))
    return float(np.mean([_similarity(*pair, peak) for pair in zip(first, second, strict=True)]))


def _similarity(a: FloatArray, b: FloatArray, peak: float) -> float:
    """Return the structural similarity of one channel."""
    from scipy.ndimage import gaussian_filter

    def local_mean(values: FloatArray) -> FloatArray:
        smooth: FloatArray = gaussian_filter(values, WINDOW_SIGMA, radius=WINDOW_RADIUS)
        return smooth

    means = local_mean(a), local_mean(b)
    variances = (local_mean(x * x) - m * m for x, m in zip((a, b), means, strict=True))
    covariance = local_mean(a * b) - means[0] * means[1]
    c1, c2 = (STABLE_MEAN * peak) ** 2, (STABLE_CONTRAST * peak) ** 2
    index = (2 * means[0] * means[1] + c1) * (2 * covariance + c2)
    index /= (means[0] ** 2 + means[1] ** 2 + c1) * (sum(variances) + c2)
    inner = index[(slice(WINDOW_RADIUS, -WINDOW_RADIUS),) * index.ndim]
    return float((inner if inner.size else index).mean())


def sure(
    restore: Callable[[Any], Any],
    image: Any,
    noise: Any,
    *,
    channel_axis: int | None = None,
    mask: Any = None,
    probes: int = 1,
    seed: int = 0,
) -> float:
    """Estimate the mean squared error of a restored image without a reference.

    Stein's unbiased risk estimate (SURE) by the Monte-Carlo method of [1]_. It compares methods, or
    values of a parameter, on the noisy image itself.

    Parameters
    ----------
    restore : callable
        Function that returns the restored image for a noisy one, of the same shape. It is called
        ``1 + probes`` times, with float64 arrays on the host.
    image : array
        Noisy image, volume or video. It is converted to float64. It must not be clipped by more
        than a small share of its pixels.
    noise : float, array, NoiseSpec or PoissonGaussian
        Noise of `image`: a standard deviation in the units of `image`, one for each channel, or a
        map that broadcasts to the shape of `image`; or an object with the methods ``variance`` and
        ``sample`` of a `NoiseSpec`, which may be correlated and depend on the signal.
    channel_axis : int, optional
        Axis of the channels. By default there is one channel.
    mask : array of bool, shape of `image` or one that broadcasts to it, optional
        True where a pixel is valid. Only valid pixels are changed and measured. `restore` receives
        the others as they are.
    probes : int, default 1
        Number of random changes of the image, each with one more call of `restore`. One suffices
        for images of 256x256 pixels and more.
    seed : int, default 0
        Seed of these changes. Compare results with the same seed only: the random part of their
        error is then nearly the same, and differences are precise.

    Returns
    -------
    float
        Estimate of the mean of ``(restored - clean)**2``, in squared units of `image`. It may be
        below 0 if this is small relative to the variance of the noise.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, or `restore` returns another shape, NaN or infinite values.

    See Also
    --------
    psnr : Peak signal-to-noise ratio, if the clean image is known.

    Notes
    -----
    For noise of the covariance S the estimate is the mean of ``(restored - image)**2``, minus the
    mean variance, plus ``2 b . (restore(image + e b) - restored) / e`` for each pixel. The probe b
    has the covariance S, and its mean square is exactly that of the noise. For methods that are not
    differentiable, such as BM3D with its block matching and thresholds, the step e matters: 0.07.

    If the noise depends on the signal, its variance at each pixel is that for the mean brightness
    of the valid pixels in a window of 5x5. The noise must have mean 0: SURE does not hold for
    Rician noise where the signal is weak.

    References
    ----------
    .. [1] S. Ramani, T. Blu, M. Unser, "Monte-Carlo SURE: a black-box optimization of
       regularization parameters for general denoising algorithms", IEEE Trans. Image Process.
       17(9), 2008.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> clean = np.add.outer(np.arange(256.0), np.arange(256.0))
    >>> noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)
    >>> def restore(image):
    ...     return fastrestore.bm3d(image, sigma=10)
    >>> estimate = fastrestore.metrics.sure(restore, noisy, 10)
    >>> true = np.mean((restore(noisy) - clean) ** 2)
    >>> bool(abs(estimate - true) < 2)  # the variance of the noise is 100
    True
    """
    if not callable(restore):
        raise TypeError(f"restore must be a function of an image, got {validate.quoted(restore)}")
    count = validate.integer("probes", probes, least=1, most=validate.MOST_ITERATIONS)
    rng = np.random.default_rng((STREAM, validate.integer("seed", seed, least=0)))
    values, valid = _checked(image, channel_axis, mask)
    source = noise if _is_noise(noise) else _Given.of(noise, values.shape, channel_axis)
    clean = _brightness(values, valid, channel_axis)
    variance = source.variance(clean, channel_axis=channel_axis)[valid].mean()
    restored = _restored(restore, values, valid)
    estimate = np.square(restored[valid] - values[valid]).mean() - variance
    for _ in range(count if variance > 0 else 0):
        drawn = source.sample(clean, channel_axis=channel_axis, rng=rng)
        power = np.square(drawn[valid]).mean()
        probe = drawn[valid] * np.sqrt(variance / power if power > 0 else 1)
        moved = values.copy()
        moved[valid] += STEP * probe
        change = _restored(restore, moved, valid)[valid] - restored[valid]
        estimate += 2 * (probe * change).mean() / (STEP * count)
    return float(estimate)


@runtime_checkable
class _Noise(Protocol):
    """Noise whose variance is known for each brightness, such as a NoiseSpec."""

    def variance(self, image: Any, *, channel_axis: int | None = None) -> FloatArray:
        """Return the variance at each pixel."""
        ...

    def sample(
        self, image: Any, *, channel_axis: int | None = None, rng: np.random.Generator
    ) -> FloatArray:
        """Draw noise."""
        ...


@dataclass(frozen=True, slots=True)
class _Given:
    """White noise with a given level at each pixel."""

    level: FloatArray

    @classmethod
    def of(cls, level: Any, shape: tuple[int, ...], channel_axis: int | None) -> _Given:
        """Validate a level: a number, one for each channel, or a map."""
        wanted = (
            "a standard deviation of 0 or more, one for each channel, an array that broadcasts to "
            f"{shape}, or an object with the methods variance and sample, such as a NoiseSpec"
        )
        values = validate.numbers("noise", level, wanted)
        if channel_axis is not None and values.shape == (shape[channel_axis],):
            values = np.moveaxis(values.reshape(-1, *[1] * (len(shape) - 1)), 0, channel_axis)
        elif channel_axis is not None and values.ndim == len(shape) - 1:  # one for all channels
            values = np.expand_dims(values, channel_axis)
        try:
            return cls(np.broadcast_to(values, shape))
        except ValueError:
            raise ValueError(f"noise must be {wanted}, got shape {values.shape}") from None

    def variance(self, image: Any, *, channel_axis: int | None = None) -> FloatArray:
        """Return the variance at each pixel."""
        return np.square(self.level)

    def sample(
        self, image: Any, *, channel_axis: int | None = None, rng: np.random.Generator
    ) -> FloatArray:
        """Draw noise."""
        return self.level * rng.standard_normal(self.level.shape)


def _is_noise(noise: Any) -> bool:
    """Return whether an object has the methods of a NoiseSpec."""
    return isinstance(noise, _Noise) and not isinstance(noise, type)


def _checked(
    image: Any, channel_axis: int | None, mask: Any
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return an image on the host as float64, and where it is valid."""
    values = interop.to_float64(interop.to_host(interop.recognize("image", image)[0]))
    if values.size == 0 or values.ndim == 0:
        raise ValueError(f"image must have pixels, its shape is {values.shape}")
    if channel_axis is not None:
        channel_axis = validate.axis("channel_axis", channel_axis, values.shape)
    valid = validate.mask("mask", mask, values.shape, channel_axis)
    whole = np.ones(values.shape, bool)
    if valid is not None:
        interop.channels_first(whole, channel_axis)[...] = valid
    validate.check_finite("image", values, whole, outliers.MASK)
    return values, whole


def _brightness(
    values: FloatArray, valid: NDArray[np.bool_], channel_axis: int | None
) -> FloatArray:
    """Return the mean brightness around each pixel, of valid pixels only."""
    from scipy.ndimage import uniform_filter

    planes, known = (interop.channels_first(each, channel_axis) for each in (values, valid))
    if not known.all():
        planes = Mask(np.array(known)).fill(planes)
    size = [1] * max(1, planes.ndim - 2) + [SMOOTHING] * min(2, planes.ndim - 1)
    smooth = uniform_filter(planes, size, mode="nearest")
    out = np.empty(values.shape)
    interop.channels_first(out, channel_axis)[...] = smooth
    return out


def _restored(
    restore: Callable[[Any], Any], values: FloatArray, valid: NDArray[np.bool_]
) -> FloatArray:
    """Return the result of `restore` in float64; raise unless it is an image like its argument."""
    name = "the result of restore"
    result = interop.to_host(interop.recognize(name, restore(values.copy()))[0])
    validate.same_shape(name, result, values.shape)
    if not np.isfinite(result[valid]).all():
        raise ValueError(f"{name} has values that are NaN or infinite where the image is finite")
    restored: FloatArray = interop.to_float64(result)
    return restored
