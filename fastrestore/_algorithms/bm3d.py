"""BM3D: denoising of images by block matching and collaborative filtering."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._algorithms.batches import restore_batch
from fastrestore._algorithms.info import Info
from fastrestore._algorithms.restored import Restored
from fastrestore._algorithms.signals import restore_signals
from fastrestore._arrays import interop, threads, validate
from fastrestore._arrays.keywords import OTHER_SPELLINGS, without
from fastrestore._arrays.masks import Mask
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._chunked import entry
from fastrestore._collaborative.block_matches import BlockMatches, Matching
from fastrestore._collaborative.pipeline import restore
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.request import Inputs, Request, image_geometry
from fastrestore._collaborative.uncertainty import Uncertainty
from fastrestore._noise.planes import NoiseArguments, Source


@without(
    "image",
    time_axis="vbm3d has it, for videos, and bm4d, for volumes over time",
    slice_axis="bm4d has it, for volumes",
    **OTHER_SPELLINGS,
)
def bm3d(
    image: Any,
    sigma: Any = None,
    *,
    psd: Any = None,
    noise_kernel: Any = None,
    noise: Source | None = None,
    strength: float = 1.0,
    profile: str | Profile = "np",
    stage: str = "final",
    pilot: Any = None,
    guide: Any = None,
    mask: Any = None,
    data_range: float | None = None,
    channel_axis: int | None = None,
    batch_axis: int | None = None,
    axis: int | None = None,
    colorspace: str | None = "auto",
    match_channel: int | None = None,
    chroma_strength: float = 1.0,
    max_memory: float | None = None,
    deterministic: bool = False,
    matches: bool | BlockMatches | None = None,
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
    return_info: bool = False,
    uncertainty: bool = False,
) -> Any:
    """Remove noise from an image, or from signals, with BM3D.

    Similar blocks are found in the image and filtered together in a transform domain, twice: the
    first result guides the second filter.

    Parameters
    ----------
    image : array, shape (M, N), or one axis more with `channel_axis` and with `batch_axis`
        Noisy image of any integer or float type and any range. It is not modified. It may be a
        NumPy array, a CuPy array, a PyTorch tensor on the CPU or a CUDA device, or another array
        of the array API standard. Images smaller than a block are allowed.
    sigma : float, or one for each channel, or array, optional
        Standard deviation of the noise, in the units of `image`: 10 % noise is 0.1 on the range
        [0, 1] and 25.5 in 8 bits. With 0 a copy is returned. By default the noise is estimated, see
        `noise`. An array that broadcasts to the shape of `image` is a map of
        the noise level. Channels and pixels with level 0 are copied.
    psd : array, shape (M, N) or shape of `image`, optional
        Power spectrum of correlated noise, ``E|FFT2(noise)|**2``: not normalized, with the zero
        frequency at index (0, 0). White noise has ``sigma**2 * M * N`` everywhere. See
        `psd_from_kernel`, `psd_from_flat_field` and `estimate_psd`.
    noise_kernel : array, shape (m, n), or one for each channel along `channel_axis`, optional
        Kernel of correlated noise: the noise is white noise of variance 1 convolved with this
        kernel. Its variance is the sum of the squares of the kernel, in the squared units of
        `image`.
    noise : NoiseSpec, PoissonGaussian, Rician, object with the same methods, or str, optional
        The noise. A `NoiseSpec` describes level by brightness, spectrum and correlation of the
        channels, see `estimate_noise`. With `PoissonGaussian`, `Rician`, or any object with the
        methods ``forward``, ``inverse`` and ``extent``, the image is transformed so that the noise
        has sigma 1, denoised, and transformed back without bias. "auto" (the default if no noise
        is given), "white", "correlated", "signal-dependent" and "camera" are models whose
        parameters are estimated by `estimate_noise`. "white" is fastest, and suits images whose
        noise is known to be white with a constant level.
    strength : float, default 1
        Factor for the noise level, estimated or given. Larger values smooth more. With 0 the image
        is returned.
    profile : str or Profile, default "np"
        Parameters of the algorithm: "np", "iterative", "refilter", "fast", "lc", "balanced",
        "high", "vn", or a `Profile`. "balanced" takes a third of the time of "np", with about
        0.1 dB less. "iterative" is for correlated noise: it takes about four times the time, and
        gains most where the noise has little power at many frequencies. "refilter" is an older
        method for the same purpose, which gains less.
    stage : {"final", "basic"}
        "basic" stops after hard thresholding, which is faster and usually less accurate.
    pilot : array, shape of `image`, optional
        Estimate of the clean image, in the units of `image`, for Wiener filtering. It replaces the
        basic estimate, and hard thresholding is skipped.
    guide : array, shape (M, N) or shape of `image`, optional
        Aligned image of the same scene that shows its structure more clearly, such as another
        spectral band or a flash photograph. Blocks are matched on the guide in both stages. Its
        range and noise level are estimated, and channels are averaged. Its values are not copied
        to the result.
    mask : array of bool, shape of `image` or one that broadcasts to it, optional
        True where a pixel is valid, unlike in `inpaint`. Invalid pixels may have any value, NaN
        included, and are returned unchanged. They take no part in estimates, in block matching and
        in aggregation, and neither do those of a `pilot`, a `guide` or a map `sigma`. A mask of
        shape (M, N) applies to all channels.
    data_range : float, optional
        Difference between the largest and smallest possible values of the clean image. The
        thresholds of block matching are proportional to it. By default it is the range between the
        1st and 99th percentiles of the noisy image, or of its luminance. Specify it to process
        several images, or parts of one image, consistently.
    channel_axis : int, optional
        Axis of colors or other channels, such as -1 for an RGB image of shape (M, N, 3). Blocks are
        matched once, on the luminance, and all channels are filtered in the same groups.
    batch_axis : int, optional
        Axis along which independent images are stacked, such as 0 for gray images of shape
        (B, M, N). The result is that of one call for each image, in less time if they are small.
        `sigma` may be one number for each image, and `sigma`, `pilot`, `guide` and `mask` may have
        the number of axes of `image`.
    axis : int, optional
        Axis of the samples of a signal, such as 0 for an array of shape (N,): groups consist of
        segments of 64 samples, the profile "signal". All other axes are a batch of independent
        signals, except `channel_axis`, whose channels are filtered in the same groups. `psd` and
        `noise_kernel` then have one axis, and without noise the level of white noise is estimated.
    colorspace : {"auto", "opp", "ycbcr", "pca", None}
        Transform of the channels before filtering: opponent colors or YCbCr for 3 channels, or
        principal components for any number. With None the channels are not transformed, and blocks
        are matched on their mean. "auto" is "opp" for 3 channels and None otherwise; "ycbcr" for 3
        channels with correlated noise that is estimated or a `NoiseSpec`.
    match_channel : int, optional
        Index of the channel that blocks are matched on, if the channels are not transformed. By
        default they are matched on the mean of the channels.
    chroma_strength : float, default 1
        Factor for the noise level of all transformed channels but the first, the luminance. Values
        above 1 smooth colors more.
    max_memory : float, optional
        Limit of the working memory in bytes, without image and result, and without the copy of the
        image that a `mask` requires. A larger image is restored in overlapping tiles, with the same
        result. Smaller tiles take longer, because the overlap is about 200 pixels. Without tiles
        about 50 bytes per pixel are used. On a GPU, tiles are also used if memory runs out.
    deterministic : bool, default False
        If True, results on a GPU are equal bit for bit from run to run; sums take 64 bits instead
        of 32. Results on the CPU are always deterministic. CPU and GPU differ by rounding.
    matches : bool or BlockMatches, optional
        With True, blocks that were matched are returned in ``info.matches``, which needs
        `return_info`. With such a `BlockMatches` of another image of this shape, blocks are not
        matched again: related images are filtered in the same groups, in less time. On the CPU
        only, and not with `max_memory`.
    workers : int, optional
        Number of threads. By default, or with -1, all processors available to this process. The
        result does not depend on it.
    backend : {"auto", "numba", "numpy", "cupy"} or "cupy:1", optional
        Backend to run on, see `use_backend` and `show_backends`. By default an image on a GPU is
        restored there. With "cupy:1", an image on the host is restored on GPU 1.
    progress : bool or callable, default False
        If True, show a progress bar. A callable is called with ``(done, total)`` in the thread of
        the caller.
    return_info : bool, default False
        If True, also return an `Info` with the parameters that were estimated and used. Notebooks
        show the pair as pictures before and after, and of what was removed.
    uncertainty : bool, default False
        If True, ``info.std`` is a map of the standard deviation of the error that is left in each
        pixel, bias included. In photographs the error of about 95 % of the pixels is within twice
        this value. It needs `return_info`, and the call takes about twice as long. It is
        available on the CPU, after both stages, with a `strength` of 1 and without `max_memory`.

    Returns
    -------
    array, shape of `image`
        Estimate of the clean image: the same kind of array, on the same device, not clipped. Floats
        keep their type, integers give float32 in the same units. For an array of Dask the result
        is one, too, and is computed later.
    Info
        Only with `return_info`. With `batch_axis`, a tuple of them, one for each image.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or `image` is a masked array, boolean or complex.
    ValueError
        If an argument has an invalid value: for example a wrong number of axes, NaN where `mask` is
        not False, a negative `sigma`, or an asymmetric `psd`. Also if the noise is specified more
        than once, or a valid pixel has a value that float32 cannot represent beside the others,
        such as a fill value of 1e20.
    BackendUnavailableError
        If the requested backend, or the one for an image on a GPU, cannot run here.
    MemoryError
        If `max_memory`, or the memory of the GPU, is too small for the smallest tile.

    Warns
    -----
    UserWarning
        If `sigma` exceeds the range of the image, or the noise of `psd` or `noise_kernel` is
        negligible. Both suggest wrong units.

    See Also
    --------
    denoise : Choose between BM3D and networks, and restore stacks with named axes.
    vbm3d : Remove noise from a video.
    bm4d : Remove noise from a volume.
    BM3DPlan : Restore many images of one shape.
    estimate_noise : Estimate the noise of an image.

    Notes
    -----
    Specify the noise once, by `sigma`, `psd`, `noise_kernel` or `noise`, with one exception. A map
    `sigma` together with `psd` or `noise_kernel` is correlated noise whose level varies: the
    spectrum gives the shape, and the map gives the level. The profiles "iterative" and "refilter"
    do not support maps.

    Both stages follow [1]_, and section VI of it for color. The variance of every group coefficient
    is exact [2]_, because it includes the noise that blocks of a group share: white noise if they
    overlap, and correlated noise at larger distances too. Distances between blocks are corrected
    for correlated noise, and the default thresholds depend on its spectrum. `Profile` lists the
    parameters that differ from the papers, with reasons. Computation is in float32. For numbers a
    and b, up to rounding, ``bm3d(a * x + b, a * s) = a * bm3d(x, s) + b``. This is exact if b is 0
    and a is a power of 2.

    Correlated noise that is estimated, or given as a `NoiseSpec`, is filtered with its spectrum,
    its level at the local brightness, and the correlation of the channels. With the profile "np",
    blocks of the final stage are then 12 pixels high and wide. If much of the noise has wavelengths
    beyond the blocks, means of 2x2 pixels are restored as well, again and again, and the low
    frequencies of the result are taken from them.

    Images of few photons, with a `PoissonGaussian`, are restored in several passes, see there.

    A gray image stored in color, with equal channels, is restored as one channel. If the values of
    an image are large relative to its range, a constant is subtracted first for accuracy.

    Invalid pixels are replaced by means of nearby valid pixels, and the basic estimate replaces
    these means in the final stage. A block matches another one only if the same pixels are more
    than two pixels away from all valid ones. Values outside the range from the 1st to the 99th
    percentile by more than 4096 times this range, or 4096 times `sigma` if it is larger, are
    treated as invalid.

    The map of `uncertainty` is predicted from the Wiener gains of the groups, the change by the
    final stage, and the local variance of the result. Its constants are fitted to photographs with
    the profile "np": for drawings and other profiles it is less accurate, and it relies on the
    given noise level. Channels are assumed to have independent errors after the transform of
    colors. If the noise is restored on several scales, the map is that of the finest scale.

    An image on a GPU is restored on the current stream, and the call returns when the work is
    queued. To avoid waiting for the GPU, pixels are not inspected: NaN and fill values spread to
    nearby blocks unless `mask` excludes them, there is no warning about units, equal channels are
    not detected, and images with a large mean lose accuracy. The host waits in the first call,
    which copies tables to the GPU, and if `sigma` is estimated, a `guide` is given, `mask` is on
    the GPU, the color space is "pca", the profile is "iterative" or "refilter", or `noise` is a
    `PoissonGaussian`, because the counts are measured. The level of white noise (``noise="white"``)
    and that of a guide on the GPU are estimated there, and values that are not finite then raise an
    error. Other models of `estimate_noise`, "auto" included, and the profile "iterative" copy the
    image to the host. To restore many images of one shape, use `BM3DPlan` or `batch_axis`.

    References
    ----------
    .. [1] K. Dabov, A. Foi, V. Katkovnik, K. Egiazarian, "Image denoising by sparse 3-D
       transform-domain collaborative filtering", IEEE Trans. Image Process. 16(8), 2007.
    .. [2] Y. Mäkinen, L. Azzari, A. Foi, "Collaborative filtering of correlated noise", IEEE
       Trans. Image Process. 29, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> clean = np.add.outer(np.arange(64.0), np.arange(64.0))
    >>> noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)
    >>> restored = fastrestore.bm3d(noisy, sigma=10)
    >>> fastrestore.metrics.psnr(clean, restored, data_range=127) > 35
    True

    Horizontal streaks, as from a scanner: white noise, summed over nine pixels.

    >>> line = np.full((1, 9), 5.0)
    >>> white = np.random.default_rng(0).standard_normal((64, 72))
    >>> noisy = clean + sum(5 * white[:, k : k + 64] for k in range(9))
    >>> restored = fastrestore.bm3d(noisy, noise_kernel=line)
    >>> fastrestore.metrics.psnr(clean, restored, data_range=127) > 27
    True

    An image with missing values:

    >>> noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)
    >>> noisy[20:40, 30:50] = np.nan
    >>> restored = fastrestore.bm3d(noisy, sigma=10, mask=np.isfinite(noisy))
    >>> bool(np.isnan(restored[20:40, 30:50]).all()), int(np.isnan(restored).sum())
    (True, 400)

    A signal:

    >>> steps = np.repeat([0.0, 50.0, 20.0], 200)
    >>> noisy = steps + np.random.default_rng(0).normal(0, 10, steps.shape)
    >>> restored = fastrestore.bm3d(noisy, sigma=10, axis=0)
    >>> fastrestore.metrics.psnr(steps, restored, data_range=50) > 24
    True

    How large the error may be:

    >>> noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)
    >>> restored, info = fastrestore.bm3d(noisy, 10, return_info=True, uncertainty=True)
    >>> bool((np.abs(restored - clean) <= 2 * info.std).mean() > 0.9)
    True
    """
    if entry.is_chunked(image):
        return entry.restored(bm3d, locals())
    if axis is not None:
        return restore_signals(bm3d, locals())
    if batch_axis is not None:
        return restore_batch(bm3d, locals())
    values, convert_back = interop.recognize("image", image)
    matching = None
    if matches is not None and matches is not False:
        matching = Matching.of(matches, return_info, max_memory)
    error = None if uncertainty is False else Uncertainty.of(uncertainty, return_info)
    request = Request.validated(
        image_geometry(values.shape, channel_axis),
        interop.on_host(values),
        NoiseArguments(sigma, psd, noise_kernel, noise),
        strength=strength,
        profile=profile,
        stage=stage,
        mask=mask,
        data_range=data_range,
        colorspace=colorspace,
        chroma_strength=chroma_strength,
        max_memory=max_memory,
        deterministic=deterministic,
        workers=workers,
        backend=backend,
        matching=matching,
        uncertainty=error,
    )
    if match_channel is not None:
        request = request.matched_on(match_channel)
    if error is not None:
        error.check(request, pilot)
    valid = None if request.mask is None else request.mask.valid
    inputs = Inputs(
        values,
        validate.pilot(pilot, values, channel_axis, stage, valid),
        _guide(guide, values, channel_axis, valid),
        matching=matching,
        uncertainty=error,
    )
    bar = nullcontext() if progress is False else reporting(progress, "bm3d")
    unknown = request.noise is None  # until its image has been looked at, which takes a while
    pool = threads.limited_to(request.execution.workers) if unknown else nullcontext()
    with bar as report, interop.use_device_of(values), pool:
        result = restore(request.reporting(report), inputs)
    restored = convert_back(result.image)
    if not return_info:
        return restored
    info = Info.of(request, result, sigma, matching)
    if error is not None:
        info = replace(info, std=convert_back(error.std))
    return Restored(restored, info, image, channel_axis)


def _guide(
    guide: Any,
    image: Any,
    channel_axis: int | None,
    valid: NDArray[np.bool_] | None = None,
) -> Any:
    """Return the guide image as (M, N), or None; see `channels`."""
    if guide is None:
        return None
    values, shape = interop.recognize("guide", guide)[0], image.shape
    if not (interop.on_host(values) or interop.on_host(image)):
        interop.check_same_device("guide", values, image)
    axis = None if channel_axis is None else channel_axis % len(shape)
    plane = tuple(size for k, size in enumerate(shape) if k != axis)
    if values.shape == plane:
        every = None if valid is None else Mask(valid).common().valid
        return validate.channels("guide", values, None, every)[0]
    if values.shape != shape:
        raise ValueError(
            f"guide has shape {values.shape}; it must be {plane} or that of the image, {shape}"
        )
    planes = validate.channels("guide", values, channel_axis, valid)
    return planes.mean(0, dtype=np.float64)
