"""BM3D: block matching and collaborative filtering of an image, in two stages."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._collaborative.pipeline import Inputs, restore
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.request import Request, image_geometry
from fastrestore._noise.spec import NoiseArguments
from fastrestore._noise.vst import NoiseModel


def bm3d(
    image: Any,
    sigma: Any = None,
    *,
    psd: Any = None,
    noise_kernel: Any = None,
    noise: NoiseModel | None = None,
    profile: str | Profile = "np",
    stage: str = "final",
    pilot: Any = None,
    guide: Any = None,
    data_range: float | None = None,
    channel_axis: int | None = None,
    colorspace: str | None = "auto",
    chroma_strength: float = 1.0,
    max_memory: float | None = None,
    deterministic: bool = False,
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
    return_info: bool = False,
) -> Any:
    """Remove noise from an image by BM3D.

    Parameters
    ----------
    image : array, shape (M, N), or three axes with `channel_axis`
        Noisy image of any integer or float type and any range; it is left as it is. NumPy
        arrays of any byte order and memory layout, CuPy arrays, torch tensors on the CPU or a CUDA
        device and other arrays of the array API standard are taken. Images smaller than a block
        work.
    sigma : float, or one for each channel, or array, optional
        Standard deviation of the noise, in the units of `image`: for noise of 10 % on an
        image on [0, 1] write 0.1, on the same image in 8 bits 25.5. 0 returns a copy. Without
        it the level is estimated for each channel, see `estimate_sigma`. An array of the shape
        of `image`, or that broadcasts to it, says the level at every pixel; a pixel where it is
        0 stays as it is.
    psd : array, shape (M, N) or that of `image`, optional
        In place of `sigma`, the power spectrum of correlated noise: ``E|FFT2(noise)|**2``, not
        normalised, DC first; that of white noise is ``sigma**2 * M * N`` everywhere. See
        `psd_from_kernel`, `psd_from_flat_field` and `estimate_psd`.
    noise_kernel : array, shape (m, n), or one for each channel along `channel_axis`, optional
        In place of `psd`, the noise is white noise of variance 1 convolved with this kernel, in
        the units of `image`: its variance is the sum of the squares.
    noise : PoissonGaussian or Rician, optional
        In place of `sigma`, noise that follows the signal: the image is transformed so that its
        noise becomes that of sigma 1, denoised, and transformed back without bias.
    profile : str or Profile, default "np"
        The algorithm's parameters: "np", "refilter", "fast", "lc", "high", "vn", or your own
        `Profile`. "refilter" takes twice the time and restores more from correlated noise that
        leaves many frequencies alone.
    stage : {"final", "basic"}
        "basic" stops after hard thresholding: quicker, and usually not as good.
    pilot : array, shape of `image`, optional
        An estimate of the clean image, in the units of `image`. It takes the place of the
        basic estimate and guides the Wiener stage.
    guide : array, shape (M, N) or that of `image`, optional
        Another picture of the same scene, pixel on pixel, that shows its structure better: another
        band, a flash photograph, a modality with less noise. Blocks are matched on it in both
        stages, in its own units; of channels their mean. Its values do not enter the result.
    data_range : float, optional
        Difference between the largest and smallest value that the clean image can have. The
        thresholds of block matching are in proportion to it. Without it the range between the
        1st and 99th percentile of `image` is taken. Give it if results of several images, or of
        parts of one, are to agree.
    channel_axis : int, optional
        The axis of colours or other channels, -1 for an RGB image of shape (M, N, 3). Blocks are
        matched once, on the luminance, and all channels are filtered by the same groups. A
        channel whose sigma is 0 stays as it is.
    colorspace : {"auto", "opp", "ycbcr", "pca", None}
        Transform of the channels before filtering: opponent colours or YCbCr for 3 channels,
        principal components for any number, None for no transform, blocks then being matched on
        the mean of the channels. "auto" is "opp" for 3 channels and None otherwise.
    chroma_strength : float, default 1
        In all transformed channels but the first, the luminance, noise is taken for so many times
        as strong: with more than 1, colours are smoothed more.
    max_memory : float, optional
        Bytes of working memory, beside image and result: a large image is then restored in tiles,
        with the same result. Tiles overlap by some 200 pixels, so smaller ones take longer; an
        image takes some 50 bytes a pixel. On a GPU that runs out of memory this is done without
        being asked.
    deterministic : bool, default False
        True: equal results, bit for bit, from run to run on a GPU too, at the price of sums in
        64 bits. On the CPU that is always so. Between CPU and GPU results differ by rounding.
    workers : int, optional
        Number of threads; all the processors this process may use by default, or with -1. The
        result does not depend on it.
    backend : {"auto", "numba", "numpy", "cupy"}, optional
        Who computes, see `use_backend` and `show_backends`. An image on a GPU stays there unless
        another backend is asked for.
    progress : bool or callable, default False
        True shows a bar; a callable gets ``(done, total)`` now and then, from this thread.
    return_info : bool, default False
        Return also an `Info` of what was estimated and used.

    Returns
    -------
    array, shape of `image`
        The estimate of the clean image: same kind of array, on the same device, not clipped. Float
        types are kept, integers give float32 in the same units.
    Info
        Only with `return_info`.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind: not an array, masked, boolean, complex.
    ValueError
        If it has a wrong value: other axes, empty, NaN or infinite, a negative sigma, an
        unknown name, a pilot of another shape, a spectrum that is negative or not symmetric; if
        the noise is told in two ways.
    BackendUnavailableError
        If the backend asked for, or that of an image on a GPU, cannot run here.
    MemoryError
        If `max_memory`, or the memory of the GPU, is not enough for the smallest tile.

    Warns
    -----
    UserWarning
        If sigma exceeds the whole range of the image, and so must be in other units.

    Notes
    -----
    Both stages are those of [1]_, colour is that of its section VI. The variance of every group
    coefficient is exact [2]_, for all pairs of blocks: they share noise, white noise where they
    overlap, correlated noise farther away. Blocks are matched by what noise does not explain, and
    thresholds follow the spectrum. Numbers that differ from the papers, and why, are in
    `Profile`. Computation is in float32. The result follows a change of
    units, ``bm3d(a * x + b, a * s) = a * bm3d(x, s) + b``, up to rounding; for b = 0 and a power
    of two exactly.

    A gray picture stored in colour, all channels equal, is restored as one channel, because its
    noise is one, too. An image far from 0 for its range is moved there first.

    An image on a GPU is restored there, on the current stream; the call returns when the work is
    queued. Its pixels are not looked at, because the host would have to wait: NaN spreads to blocks
    around it, sigmas in other units go unnoticed, equal channels count as colours, and an image
    far from 0 loses digits. The host does wait for the first call, which brings tables to the GPU,
    to estimate sigma, for a `guide`, for ``colorspace="pca"`` and for a profile that filters again.
    `BM3DPlan` restores many images of one shape with one allocation each after the first.

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

    Noise in lines, as of a scanner: white noise that was averaged over nine pixels.

    >>> line = np.full((1, 9), 5.0)
    >>> white = np.random.default_rng(0).standard_normal((64, 72))
    >>> noisy = clean + sum(5 * white[:, k : k + 64] for k in range(9))
    >>> restored = fastrestore.bm3d(noisy, noise_kernel=line)
    >>> fastrestore.metrics.psnr(clean, restored, data_range=127) > 27
    True
    """
    values, give_back = interop.recognize("image", image)
    request = Request.validated(
        image_geometry(values.shape, channel_axis),
        interop.on_host(values),
        NoiseArguments(sigma, psd, noise_kernel, noise),
        profile=profile,
        stage=stage,
        data_range=data_range,
        colorspace=colorspace,
        chroma_strength=chroma_strength,
        max_memory=max_memory,
        deterministic=deterministic,
        workers=workers,
        backend=backend,
    )
    inputs = Inputs(
        values,
        validate.pilot(pilot, values, channel_axis, stage),
        validate.guide(guide, values.shape, channel_axis),
    )
    bar = nullcontext() if progress is False else reporting(progress, "bm3d")
    with bar as report, interop.use_device_of(values):
        result = restore(request.reporting(report), inputs)
    restored = give_back(result.image)
    if not return_info:
        return restored
    used = float(result.noise.sigmas[0]) if channel_axis is None else result.noise.sigmas
    if result.noise.map is not None:
        used = np.asarray(sigma)
    return restored, Info(used, request.noise is None, noise, request.profile, request.backend.NAME)


@dataclass(frozen=True, slots=True)
class Info:
    """What `bm3d` estimated and used.

    Attributes
    ----------
    sigma : float or array
        Standard deviation of the noise: a number, one for each channel, or a map; 1 with a noise
        model, whose transform makes it so.
    estimated : bool
        Whether sigma was estimated.
    noise : PoissonGaussian or Rician or None
        The noise model.
    profile : Profile
        The parameters of the algorithm.
    backend : str
        Who computed.
    """

    sigma: float | NDArray[Any]
    estimated: bool
    noise: NoiseModel | None
    profile: Profile
    backend: str
