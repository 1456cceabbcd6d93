"""Power spectra of correlated noise: validation, conversion and estimation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastrestore._arrays import interop, outliers, resources, validate
from fastrestore._arrays.scenes import distinct
from fastrestore._arrays.types import FloatArray
from fastrestore._noise.inputs import checked_image
from fastrestore._noise.patches import CONSTANT, SIDE, Patches

SYMMETRIC = 1e-4  # largest relative difference of a spectrum from its mirror image
WHITE = 1e-9  # a spectrum of mean 1 that varies by less is constant

BYTES = 40  # of memory for each frequency
MOST_REACH = 2**31  # pixels
WINDOW = 32  # pixels, of `estimate_psd`
MOST = 4096  # windows are enough
FLAT = 0.1  # share of the windows, those with the least structure, that are used
FEW = 0.05  # share of the windows; a drawing has fewer without a constant area
ROUNDS = 5  # of selecting windows by the estimate, and estimating from them


def psd_from_kernel(noise_kernel: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Compute the power spectrum of white noise of variance 1 convolved with a kernel.

    It is scaled for `psd` of `bm3d`.

    Parameters
    ----------
    noise_kernel : array, shape (m, n), or with as many axes as `shape`
        Kernel of the convolution. The variance of the noise is the sum of the squares of the
        kernel, in the squared units of the image.
    shape : tuple of int
        Shape of the noisy image, (M, N), of the volume, (P, M, N), of the volume over time, with
        four axes, or of the signal, (N,). A kernel larger than this is wrapped around.

    Returns
    -------
    numpy array of `shape`, float64
        ``E|FFT(noise)|**2`` for periodic noise, not normalized, with the zero frequency first: the
        `psd` of `bm3d` or `bm4d`.

    Raises
    ------
    TypeError, ValueError
        If the kernel and the shape have different numbers of axes, or the kernel is empty or not
        finite.

    See Also
    --------
    bm3d : Accepts a kernel as ``noise_kernel``, too.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> psd = fastrestore.psd_from_kernel(np.full((1, 4), 5.0), (64, 64))
    >>> round(float(psd.sum()) / psd.size**2)  # the variance
    100
    """
    axes = validate.length(shape)
    size = validate.shape("shape", shape, axes if axes in (1, 3, 4) else 2)
    kernel = _kernels(noise_kernel, None, len(size))[0]
    resources.check_memory(BYTES * math.prod(size), "shape", size)
    return _power(kernel, size) * math.prod(size)


def psd_from_flat_field(
    frames: Any, shape: tuple[int, int] | None = None, *, reach: int | None = None
) -> NDArray[np.float64]:
    """Measure the power spectrum of the noise of a camera or scanner from flat fields.

    It is scaled for `psd` of `bm3d`.

    Parameters
    ----------
    frames : array, shape (K, M, N) or (M, N)
        Images of an evenly lit plane, or dark frames, in the units of the image to be denoised.
        The mean of the frames is subtracted, so shading and fixed patterns do not count as noise.
        From a single frame only the mean value is subtracted. A frame that equals another one has
        the same noise, and is left out.
    shape : (int, int), optional
        Shape of the noisy image. By default that of the frames.
    reach : int, optional
        Distance in pixels from which the noise is assumed to be uncorrelated. It smooths the
        spectrum, which is useful if there are few frames (method of Blackman and Tukey with a
        Parzen window). By default the spectrum is not smoothed.

    Returns
    -------
    numpy array of `shape`, float64
        ``E|FFT2(noise)|**2``, not normalized, with the zero frequency first: the `psd` of `bm3d`.

    Raises
    ------
    TypeError, ValueError
        If the frames have another number of axes, are empty or not finite, or `reach` is less
        than 1.

    See Also
    --------
    estimate_psd : Estimate the spectrum from one noisy image.
    psd_from_kernel : Compute the spectrum from a kernel.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> frames = 100 + np.random.default_rng(0).normal(0, 5, (20, 64, 64))
    >>> psd = fastrestore.psd_from_flat_field(frames)
    >>> abs(float(psd.sum()) / psd.size**2 - 25) < 1  # the variance
    True
    """
    values = interop.to_host(interop.recognize("frames", frames)[0])
    if values.ndim not in (2, 3) or values.size == 0:
        raise ValueError(f"frames must have the shape (K, M, N) or (M, N), got {values.shape}")
    validate.check_finite("frames", values)
    outliers.check("frames", values, 0.0, outliers.REPLACE)
    if reach is not None:
        reach = validate.integer("reach", reach, least=1, most=MOST_REACH)
    planes = values.reshape(-1, 1, *values.shape[-2:])
    stack = np.concatenate(distinct(planes), dtype=np.float64)
    count = len(stack)
    noise = stack - (stack.mean(0) if count > 1 else stack.mean())
    power = np.zeros(stack.shape[1:])
    for frame in noise:
        power += np.abs(np.fft.fft2(frame)) ** 2 / frame.size
    power /= max(1, count - 1)
    wanted = power.shape if shape is None else validate.shape("shape", shape, 2)
    resources.check_memory(BYTES * math.prod(wanted), "shape", wanted)
    if reach is None and wanted == power.shape:
        return power * power.size
    return _smoothed(np.fft.ifft2(power).real, wanted, reach) * math.prod(wanted)


def estimate_psd(
    image: Any, channel_axis: int | None = None, *, mask: Any = None
) -> NDArray[np.float64]:
    """Estimate the power spectrum of stationary noise from one noisy image.

    It is scaled for `psd` of `bm3d`.

    Parameters
    ----------
    image : array, shape (M, N), or three axes with `channel_axis`
        Noisy image of any integer or float type, at least 32 pixels high and wide.
    channel_axis : int, optional
        Axis of colors or other channels, whose spectra are estimated separately.
    mask : array of bool, optional
        True where a pixel is valid. It broadcasts to the shape of `image`, or of one channel.
        Other pixels, which may be NaN, take no part. By default all pixels are valid.

    Returns
    -------
    numpy array, shape of `image`, float64
        ``E|FFT2(noise)|**2``, not normalized, with the zero frequency first: the `psd` of `bm3d`.

    Raises
    ------
    TypeError, ValueError
        As for `bm3d`, and if the image is smaller than 32 x 32 pixels, or no window of this size
        is valid.

    See Also
    --------
    psd_from_kernel, psd_from_flat_field : More accurate, if a kernel or flat fields are available.

    Notes
    -----
    The spectrum is the mean over overlapping windows of 32 x 32 pixels, from the tenth of the
    windows with the least structure. Windows with a constant area or an invalid pixel take no
    part. Its resolution is 1/32 cycles per pixel, so narrow peaks are
    widened. Texture that fills the image counts as noise.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> noise = np.random.default_rng(0).normal(0, 10, (128, 131))
    >>> striped = np.add.outer(np.arange(128.0), np.arange(128.0)) + noise[:, :-3] + noise[:, 3:]
    >>> psd = fastrestore.estimate_psd(striped)
    >>> 0.8 < float(psd.sum()) / psd.size**2 / 200 < 1.2  # the variance
    True
    """
    planes, valid = checked_image(image, channel_axis, mask)
    if min(planes.shape[1:]) < WINDOW:
        raise ValueError(
            f"image must be {WINDOW} pixels high and wide or more, got {planes.shape[1:]}"
        )
    known = np.broadcast_to(True if valid is None else valid, planes.shape)
    psd = np.array([_estimated(plane, each) for plane, each in zip(planes, known, strict=True)])
    return psd[0] if channel_axis is None else np.moveaxis(psd, 0, channel_axis)


def _estimated(plane: NDArray[Any], valid: NDArray[Any]) -> FloatArray:
    """Power spectrum, not normalized, of the noise of one channel."""
    values = plane[valid].astype(np.float64)
    image = np.full(plane.shape, values.mean())
    image[valid] = values
    step = max(
        WINDOW // 4,
        math.isqrt(sliding_window_view(image, (WINDOW, WINDOW))[..., 0, 0].size // MOST),
    )
    noisy = _noisy_windows(image, valid, step)
    if not noisy.any():
        return np.zeros(image.shape)
    taper = np.outer(*2 * [np.hanning(WINDOW + 2)[1:-1]])
    powers = _window_powers(image, taper, step)[noisy]
    power = np.quantile(powers, FLAT, axis=0)
    for _ in range(ROUNDS):
        structure = (powers / np.maximum(power, 1e-12 * power.max())).mean((1, 2))
        flat = structure <= np.quantile(structure, FLAT)
        power = powers[flat].mean(0)
    own = np.fft.ifft2(np.abs(np.fft.fft2(taper)) ** 2).real
    return _smoothed(np.fft.ifft2(power).real / own, image.shape, WINDOW // 2) * image.size


def _noisy_windows(image: FloatArray, valid: NDArray[Any], step: int) -> NDArray[np.bool_]:
    """Which windows have neither an invalid pixel nor a constant area; all False if few have."""
    centered = image - image.mean()
    scale = float(np.abs(centered).max())
    if scale == 0:
        return np.zeros(1, bool)
    measures = Patches.of(centered / scale, None if valid.all() else valid, 1).energies
    empty = (measures.detail <= CONSTANT) | ~measures.whole
    inside = WINDOW - SIDE + 1
    blocks = sliding_window_view(empty, (inside, inside))[::step, ::step]
    noisy: NDArray[np.bool_] = ~blocks.any((2, 3)).ravel()
    if noisy.mean() < FEW and (measures.whole & empty).any():
        noisy[:] = False
    return noisy


def _window_powers(image: FloatArray, taper: FloatArray, step: int) -> FloatArray:
    """Power (K, WINDOW, WINDOW) of tapered windows, after subtraction of a fitted plane."""
    windows = sliding_window_view(image, (WINDOW, WINDOW))
    blocks = windows[::step, ::step].reshape(-1, WINDOW, WINDOW)
    place = np.arange(WINDOW) - (WINDOW - 1) / 2
    slope = place / (place**2).sum() / WINDOW
    down, across = np.einsum("kyx,y->k", blocks, slope), np.einsum("kyx,x->k", blocks, slope)
    plane = blocks.mean((1, 2))[:, None, None] + down[:, None, None] * place[:, None]
    plane = plane + across[:, None, None] * place
    powers: FloatArray = np.abs(np.fft.fft2((blocks - plane) * taper)) ** 2
    return powers


def _smoothed(covariance: FloatArray, shape: tuple[int, ...], reach: int | None) -> FloatArray:
    """Power of noise at the frequencies of a shape from its covariance, (0, 0) first.

    A Parzen window limits the covariance to half its size and keeps the power positive, except for
    rounding.
    """
    out = np.zeros(shape)
    spans, tapers = [], []
    for size, wanted in zip(covariance.shape, shape, strict=True):
        most = (min(size, wanted) - 1) // 2
        lags = np.arange(-most, most + 1)
        far = np.abs(lags) / (most + 1 if reach is None else reach)
        parzen = np.where(far < 0.5, 1 - 6 * far**2 * (1 - far), 2 * np.maximum(1 - far, 0) ** 3)
        spans.append(lags)
        tapers.append(parzen)
    place = np.ix_(*spans)
    out[place] = covariance[place] * np.outer(*tapers)
    power: FloatArray = np.maximum(np.fft.fft2(out).real, 0)
    return power


def _kernels(noise_kernel: Any, channel_axis: int | None, axes: int = 2) -> FloatArray:
    """Validate a kernel, or one for each channel, and return it as (1 or C, m, n)."""
    if isinstance(noise_kernel, (list, tuple)):  # as kernels are often written
        noise_kernel = _table(noise_kernel)
    values = interop.to_host(interop.recognize("noise_kernel", noise_kernel)[0])
    several = channel_axis is not None and values.ndim == 3
    if (values.ndim != axes and not several) or values.size == 0:
        expected = f"{axes} axes" if channel_axis is None else "2 axes, or 3 like the image,"
        raise ValueError(f"noise_kernel must have {expected} and values, got {values.shape}")
    validate.check_finite("noise_kernel", values)
    wide = values.astype(np.float64)
    return np.moveaxis(wide, channel_axis or 0, 0) if several else wide[None]


def _table(rows: Any) -> Any:
    """Return rows of numbers as an array."""
    try:
        return np.asarray(rows)
    except ValueError:
        raise ValueError(
            "noise_kernel must be an array, or rows of numbers of the same length, got "
            f"{validate.quoted(rows)}"
        ) from None


def _power(kernel: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Squared magnitude of the transform; a kernel larger than the shape is wrapped around it."""
    folded = np.zeros(shape)
    places = [np.arange(n) % size for n, size in zip(kernel.shape, shape, strict=True)]
    np.add.at(folded, np.ix_(*places), kernel)
    power: FloatArray = np.abs(np.fft.fftn(folded)) ** 2
    return power


def of_kernel(
    noise_kernel: Any, shape: tuple[int, ...], channel_axis: int | None, reach: int
) -> tuple[FloatArray, FloatArray | None]:
    """Return sigmas and spectrum of white noise convolved with a kernel, as `of_psd`.

    Noise does not wrap around in the spectrum within `reach` pixels, the largest distance of pixels
    in a group.
    """
    kernels = _kernels(noise_kernel, channel_axis)
    count = 1 if channel_axis is None else shape[channel_axis]
    if len(kernels) not in (1, count):
        raise ValueError(f"noise_kernel has {len(kernels)} channels, the image {count}")
    extents = [n for k, n in enumerate(shape) if channel_axis is None or k != channel_axis]
    lengths = zip(kernels.shape[1:], extents, strict=True)
    size = [1 if n == extent == 1 else max(32, n + reach) for n, extent in lengths]
    return _normalized(np.array([_power(kernel, (size[0], size[1])) for kernel in kernels]))


def of_psd(
    psd: Any, shape: tuple[int, ...], channel_axis: int | None, name: str = "psd"
) -> tuple[FloatArray, FloatArray | None]:
    """Return sigmas (1 or C,) and spectrum (1 or C, P, Q) from the power spectrum of an image.

    The spectrum has mean 1; it is None if the noise is white. `name` is that of the argument.
    """
    values = interop.to_host(interop.recognize(name, psd)[0])
    channel = shape
    if channel_axis is not None:
        channel = tuple(np.delete(shape, channel_axis).tolist())
    if values.shape not in (shape, channel):
        expected = f"the shape of the image, {shape}"
        if channel_axis is not None:
            expected = f"the shape of a channel, {channel}, or of the image, {shape}"
        raise ValueError(f"{name} must have {expected}, got {values.shape}")
    validate.check_finite(name, values, power=2)
    if (values < 0).any():
        first = tuple(int(k) for k in np.argwhere(values < 0)[0])
        raise ValueError(f"{name} must not be negative, got {values[first]} at {first}")
    wide = values.astype(np.float64, copy=False)
    powers = wide[None] if values.shape == channel else np.moveaxis(wide, channel_axis or 0, 0)
    mirrored, apart = _asymmetry(powers)
    if apart.any():
        k, *place = (int(n) for n in np.argwhere(apart)[0])
        here, there = tuple(place), tuple(-n for n in place)
        raise ValueError(
            f"{name} must be symmetric, the same at opposite frequencies, as the spectrum of real "
            f"noise is; got {powers[k][here]:g} at {here} and {powers[k][there]:g} at {there}. The "
            f"zero frequency must be at {tuple(0 * n for n in place)}: use numpy.fft.ifftshift"
        )
    mirrored += powers  # in place: new pages of memory take longer than the operations
    mirrored /= 2
    mirrored /= math.prod(channel)
    return _normalized(mirrored)


def _asymmetry(powers: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return (C, ...) with opposite frequencies exchanged, and where the two differ."""
    axes = tuple(range(1, powers.ndim))
    mirrored = np.roll(np.flip(powers, axes), 1, axes)
    apart = powers - mirrored
    np.abs(apart, out=apart)
    limit = SYMMETRIC * (powers + mirrored)
    limit += 1e-12 * powers.max()
    return mirrored, apart > limit


def is_symmetric(powers: FloatArray) -> bool:
    """Whether (C, ...) is symmetric as the power spectrum of real noise is."""
    return not _asymmetry(powers)[1].any()


def _normalized(powers: FloatArray) -> tuple[FloatArray, FloatArray | None]:
    """Split powers (1 or C, P, Q) into sigmas and spectra of mean 1, None for white noise."""
    sigmas, shapes = split(powers)
    if len(shapes) > 1 and np.allclose(shapes, shapes[:1], rtol=WHITE, atol=0):
        shapes = shapes[:1]
    white = bool(np.ptp(shapes) < WHITE)
    return sigmas, None if white else shapes


def split(powers: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Split powers (C, ...) of noise into sigmas (C,) and powers with mean 1."""
    variances = powers.mean(tuple(range(1, powers.ndim)))
    shapes, means = np.ones_like(powers), variances.reshape(-1, *[1] * (powers.ndim - 1))
    np.divide(powers, means, where=means > 0, out=shapes)
    return np.sqrt(variances), shapes
