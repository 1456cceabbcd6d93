"""Estimation of the level of white noise from one image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, threads, validate
from fastrestore._arrays.types import FloatArray
from fastrestore._noise import on_gpu
from fastrestore._noise.inputs import checked_image
from fastrestore._noise.level import LEAST, variance
from fastrestore._noise.patches import SIDE, Patches

SAMPLES = 256  # pixels that usually show that there are more than two values
MOST = 2**18  # patches are enough; a larger image is sampled on a regular grid
LARGE = 2**21  # pixels, from which only squares on a regular grid are looked at
SQUARE, SQUARES = 128, 8  # pixels of a square, and how many there are along each axis
ENOUGH = 0.25  # share of the pixels of these squares that are valid; else all pixels are used


def estimate_sigma(image: Any, channel_axis: int | None = None, *, mask: Any = None) -> Any:
    """Estimate the standard deviation of white Gaussian noise from one image.

    The noise must have the same level everywhere, and no correlation.

    Parameters
    ----------
    image : array, shape (M, N), or three axes with `channel_axis`
        Noisy image of any integer or float type.
    channel_axis : int, optional
        Axis of colors or other channels, whose noise is estimated separately.
    mask : array of bool, optional
        True where a pixel is valid. It broadcasts to the shape of `image`, or of one channel.
        Other pixels, which may be NaN, take no part. By default all pixels are valid.

    Returns
    -------
    float, or numpy array of shape (C,) with `channel_axis`
        Standard deviation, in the units of the image. It is 0 for a constant image, for
        drawings without noise, and for images of two values.

    Raises
    ------
    TypeError, ValueError
        As for `bm3d`.

    See Also
    --------
    estimate_noise : Estimate noise of any kind.
    estimate_poisson_gaussian : Estimate the noise of counts.
    bm3d : Remove the noise.

    Notes
    -----
    Clean patches lie near a subspace of low dimension, so the smallest eigenvalue of the covariance
    of noisy patches is the variance of the noise [1]_. It is computed from flat patches, which are
    selected by the energy of their gradients; the energy of pure noise nearly has a Gamma
    distribution (section III of [1]_).

    Areas without noise (black bars, filled borders, clean ramps) take no part: their second
    differences have far less energy than noise has. A drawing, or text, has such areas and no
    noise; it is recognized by eigenvalues that are not those of white noise, by straight lines
    where noise would have none, and by more lines of equal pixels than independent pixels have.
    Its estimate is 0. The variance lost by clipping at the ends of a range is corrected from the
    local means. Rounding counts as noise: to whole numbers, it adds 1/12 to the variance.

    Fine texture that fills the whole image is taken for noise if the noise is weaker. Correlated
    noise is underestimated, and the noise of an image without structure is underestimated by about
    4 %. Images too small for patches are estimated from the differences of neighboring pixels. The
    result does not depend on the number of threads.

    An image on a GPU is estimated there, with the same result up to rounding, and only sums are
    copied to the host, beside a sample of about 1,000 pixels that shows fill values. An image with
    too few valid patches is copied, and so is one that raises an error, which says where.

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
    planes, valid = checked_image(image, channel_axis, mask, gpu=True)
    with threads.limited_to(validate.usable_processors()):
        estimates = sigmas(planes, valid)
    return float(estimates[0]) if channel_axis is None else estimates


def sigmas(planes: Any, valid: NDArray[Any] | None = None) -> FloatArray:
    """Estimate the noise of each channel of (C, M, N), from pixels where `valid` is True.

    `valid`, on the host, broadcasts to the planes. Invalid pixels may have any value, NaN included.
    """
    masks = [None] * len(planes) if valid is None else np.broadcast_to(valid, planes.shape)
    each = list(zip(planes, masks, strict=True))
    if not interop.on_host(planes):
        with interop.use_device_of(planes):
            return np.array([_sigma_on_gpu(*channel) for channel in each])
    return np.array(threads.in_order(lambda channel: _sigma(*channel), each))


def mean_sigma(planes: Any, valid: NDArray[Any] | None = None) -> float:
    """Return the root mean square of the noise levels of the channels (C, M, N) that vary."""
    levels = sigmas(planes, valid)
    masks = np.broadcast_to(True if valid is None else valid, planes.shape)
    varies = np.array([_varies(*each) for each in zip(planes, masks, strict=True)])
    return float(np.sqrt(np.square(levels[varies]).mean())) if varies.any() else 0.0


def _varies(plane: Any, valid: NDArray[np.bool_]) -> bool:
    """Whether the valid pixels of a channel differ."""
    if not interop.on_host(plane):
        with interop.use_device_of(plane):
            ends = on_gpu.ends_of(plane, None if valid.all() else valid)
        return ends.high > ends.low
    known = plane[valid]
    return bool(known.size > 0 and known.max() > known.min())


def is_bitmap(image: Any, valid: NDArray[Any] | None = None) -> bool:
    """Whether a channel has at most two values, as bitmaps and halftones have, and no noise."""
    if not interop.on_host(image):
        with interop.use_device_of(image):
            pixels = _pixels_on_gpu(image, valid)
        return pixels is None or pixels.between == 0
    known = image if valid is None else image[np.broadcast_to(valid, image.shape)]
    some = known.ravel()[:: max(1, known.size // SAMPLES)]  # nearly all images have more here
    if some.size == 0:
        return True
    if ((some > some.min()) & (some < some.max())).any():
        return False
    return not bool(((known > known.min()) & (known < known.max())).any())


def _sigma(image: FloatArray, valid: NDArray[Any] | None) -> float:
    """Estimate the noise of one channel, scaled to about 1 so that squares do not overflow."""
    if image.size > LARGE and min(image.shape) >= SQUARE:
        squares, known = _sampled(image, valid)
        if known.mean() > ENOUGH:
            image, valid = squares, known
    image = np.asarray(image, np.float64)
    if is_bitmap(image, valid):
        return 0.0
    if valid is not None:
        image = np.where(valid, image, image[valid].mean())
    scale = float(np.abs(image - image.mean()).max())
    if scale == 0 or not np.isfinite(scale):
        return 0.0
    image = (image - image.mean()) / scale
    height, width = (n - SIDE for n in image.shape)
    if min(height, width) < 0 or height * width < LEAST:
        return scale * _of_differences(image, valid)
    step = max(1, math.ceil(math.sqrt(image.size / MOST)))
    patches = Patches.of(image, valid, step)
    if np.count_nonzero(patches.energies.whole) < LEAST:
        return scale * _of_differences(image, valid)
    return scale * math.sqrt(variance(patches))


def _sigma_on_gpu(plane: Any, valid: NDArray[Any] | None) -> float:
    """Estimate the noise of one channel on the current GPU, as `_sigma` does on the host."""
    pixels = _pixels_on_gpu(plane, valid)
    if pixels is None or pixels.between == 0:  # constant, or a bitmap
        return 0.0
    height, width = (n - SIDE for n in pixels.image.shape)
    if min(height, width) >= 0 and height * width >= LEAST:
        step = max(1, math.ceil(math.sqrt(pixels.image.size / MOST)))
        patches = on_gpu.Patches.of(pixels, step)
        areas = patches.areas(0.0, 0.0)
        if areas.noiseless + areas.varying >= LEAST:
            return pixels.ends.scale * math.sqrt(variance(patches))
    return _sigma(interop.to_host(plane), valid)  # too few patches


def _pixels_on_gpu(plane: Any, valid: NDArray[Any] | None) -> on_gpu.Pixels | None:
    """Scale the pixels of one channel, or some of them if there are many; None: it is constant."""
    ends = None
    if plane.size > LARGE and min(plane.shape) >= SQUARE:
        places = [np.full((len(each), SQUARE + 1), -1) for each in _starts(plane.shape)]
        for lines, starts in zip(places, _starts(plane.shape), strict=True):
            lines[:, :SQUARE] = np.add.outer(starts, np.arange(SQUARE))
        ends, image, known = on_gpu.copied(plane, valid, (places[0].ravel(), places[1].ravel()))
    if ends is None or ends.count <= ENOUGH * image.size:
        ends, image, known = on_gpu.copied(plane, valid)
    if not 0 < ends.scale < math.inf:
        return None
    return on_gpu.Pixels.of(ends, image, known)


def _starts(shape: tuple[int, ...]) -> list[NDArray[np.intp]]:
    """Return the first rows and columns of squares on a regular grid."""
    return [np.linspace(0, n - SQUARE, min(SQUARES, n // SQUARE)).astype(int) for n in shape]


def _sampled(image: FloatArray, valid: NDArray[Any] | None) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return squares of an image beside each other, with invalid lines between them."""
    starts = _starts(image.shape)
    shape = [len(each) * (SQUARE + 1) for each in starts]
    squares, known = np.zeros(shape), np.zeros(shape, bool)
    for j, y in enumerate(starts[0]):
        for k, x in enumerate(starts[1]):
            source = slice(y, y + SQUARE), slice(x, x + SQUARE)
            top, left = j * (SQUARE + 1), k * (SQUARE + 1)
            target = slice(top, top + SQUARE), slice(left, left + SQUARE)
            squares[target] = image[source]
            known[target] = True if valid is None else valid[source]
    return squares, known


def _of_differences(image: FloatArray, valid: NDArray[Any] | None) -> float:
    """Robust estimate from differences of neighbors, for images too small for patches."""
    known = np.ones(image.shape, bool) if valid is None else valid
    pairs = [known[1:] & known[:-1], known[:, 1:] & known[:, :-1]]
    differences = np.concatenate([np.diff(image, axis=k)[pairs[k]] for k in (0, 1)])
    if differences.size == 0:
        return 0.0
    return float(np.median(np.abs(differences)) / 0.6745 / np.sqrt(2))
