"""Denoising of images by any method of the library."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastrestore._algorithms.axes import along_axes
from fastrestore._algorithms.bm3d import bm3d
from fastrestore._algorithms.masked import Axes, with_mask
from fastrestore._algorithms.restored import Restored
from fastrestore._algorithms.tuning import tuned
from fastrestore._arrays import validate
from fastrestore._arrays.keywords import without
from fastrestore._arrays.progress import Progress
from fastrestore._chunked import entry
from fastrestore._collaborative.profile import MOST
from fastrestore.backends.select import on_device

if TYPE_CHECKING:
    from fastrestore._algorithms.info import Info
    from fastrestore._collaborative.profile import Profile
    from fastrestore._noise.planes import Source
    from fastrestore.nets import Network

CLASSICAL, LEARNED = ("auto", "bm3d"), ("dncnn", "unet", "hybrid")
METHODS = CLASSICAL + LEARNED
NETWORK = "a network"  # in messages, a network that is given as the method
FILES = (".safetensors", ".pth", ".pt", ".ckpt")
# Options of some methods only: their defaults, and these methods
PARTIAL: dict[str, tuple[Any, tuple[str, ...]]] = {
    "profile": (None, (*CLASSICAL, "hybrid")),
    "workers": (None, (*CLASSICAL, "hybrid")),
    "backend": (None, (*CLASSICAL, "hybrid")),
    "noise": (None, (*CLASSICAL, "hybrid")),
    "strength": (1.0, (*CLASSICAL, "unet", "hybrid", NETWORK)),
    "return_info": (False, (*CLASSICAL, "hybrid")),
    "tune": (False, CLASSICAL),
    "weights": (None, LEARNED),
    "batch_axis": (None, (*METHODS, NETWORK)),
    "tile": ("auto", (*LEARNED, NETWORK)),
    "device": (None, (*METHODS, NETWORK)),
    "precision": ("auto", (*LEARNED, NETWORK)),
}


@along_axes  # which takes `axes` and `kind`
@without(
    "image",
    noise_kernel="bm3d has it, and methods with networks are trained for white Gaussian noise",
    psd="bm3d has it, and methods with networks are trained for white Gaussian noise",
    uncertainty="bm3d has it",
    axis="bm3d has it, for signals; denoise has axes=, such as axes='ZCYX'",
)
def denoise(
    image: Any,
    sigma: Any = None,
    *,
    noise: Source | None = None,
    strength: float = 1.0,
    method: str | os.PathLike[str] | Network = "auto",
    axes: str | None = None,
    kind: str = "planes",
    profile: str | Profile | None = None,
    weights: str | os.PathLike[str] | Network | None = None,
    channel_axis: int | None = None,
    batch_axis: int | None = None,
    mask: Any = None,
    data_range: float | None = None,
    tile: int | str | None = "auto",
    device: str | None = None,
    precision: str = "auto",
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
    tune: bool = False,
    return_info: bool = False,
) -> Any:
    """Remove noise from an image with BM3D, a network, or both, or from a stack of images.

    It chooses the method by `method`, and the function for each part of a stack by `axes` and
    `kind`.

    Parameters
    ----------
    image : array, shape (M, N), or with channels along `channel_axis`, or with `axes`
        Noisy image of any integer or float type.
    sigma : float or array, optional
        Standard deviation of the noise, in the units of `image`, or a map of it. By default it is
        estimated. BM3D also accepts one value for each channel, and networks one for each image of
        a batch.
    noise : NoiseSpec, PoissonGaussian, Rician, object with the same methods, or str, optional
        The noise, for "bm3d" and "hybrid": see `bm3d`. Other networks assume white Gaussian noise.
    strength : float, default 1
        Factor for the noise level, estimated or given. Larger values smooth more. With 0 the image
        is returned. "dncnn" has no input for the level.
    method : {"auto", "bm3d", "dncnn", "unet", "hybrid"}, path or Network
        "auto" is "bm3d", which needs neither training nor PyTorch. "hybrid" is "bm3d", whose result
        a small network corrects [3]_; see Notes for the noise. "unet" [2]_ is a network
        trained on photographs with white Gaussian noise, built in for gray images; on some images
        it is worse than "bm3d": see Notes. "dncnn" [1]_ needs `weights`. A network from
        `fastrestore.nets.load`, or its file, is used for the noise it was trained for; see Notes.
    axes : str, optional
        A letter for each axis of a stack, in the order of its shape, such as "TZCYX": Y and X are
        rows and columns, Z slices, T frames, and S the samples of a pixel, such as red, green and
        blue, which are restored together. Along C, the channels of a microscope, and along all
        other axes, images are restored one by one. `sigma` and `mask` can be arrays that broadcast
        to the shape of the stack.
    kind : {"planes", "film", "volume"}
        With `axes`: "planes" restores each image by itself, by any `method`. "film" restores the
        frames along T together by `vbm3d`, "volume" the slices along Z by `bm4d`. Noise that is not
        given is estimated for each image, film or volume.
    profile : str or Profile, optional
        Parameters of the algorithm, for "bm3d" and "hybrid": see `bm3d`. The default is "np".
    weights : str, path or Network, optional
        Weights for the networks: a name from `fastrestore.nets.names`, a file, or a `DnCNN`, `UNet`
        or `Refine`, as `method` says. By default the built-in weights for gray or color images.
    channel_axis : int, optional
        Axis of the colors. By default the image is gray.
    batch_axis : int, optional
        Axis along which independent images of one size are stacked, see `bm3d`.
    mask : array of bool, shape of `image` or one that broadcasts to it, optional
        True where a pixel is valid, as for `bm3d`. Networks filter an image in which means of
        nearby valid pixels replace the invalid ones.
    data_range : float, optional
        Range of the clean image, such as 255. By default it is measured.
    tile : int, "auto" or None, default "auto"
        Side of the tiles in pixels, for networks; see `fastrestore.nets.apply`.
    device : str, optional
        Where the method runs: "cpu", "cuda" or "cuda:1". By default it is the device of an image on
        a GPU. Other images are restored on a GPU if PyTorch finds one, and by "bm3d" where
        `backend` says. With "hybrid" it is the device of the network.
    precision : {"auto", "float32", "float16"}
        Precision of networks; see `fastrestore.nets.apply`.
    workers, backend : optional
        For "bm3d" and "hybrid": number of threads and backend, as for `bm3d`.
    progress : bool or callable, default False
        As for `bm3d`.
    tune : bool, default False
        If True, choose the strength from 0.7 to 1.4, and the profile unless it is given, for
        "bm3d": those with the least error of the noisy image itself, as `metrics.sure` estimates
        it. It is called for the whole image or, if it is large, for parts of
        it; see Notes.
    return_info : bool, default False
        If True, also return an `Info`, for "bm3d" and "hybrid": see `bm3d`. With `tune` it contains
        the chosen strength and profile, and the estimated error of each choice. With `axes`, return
        a tuple of them, one for each image, film or volume, and so with `batch_axis`, for "bm3d".

    Returns
    -------
    array, shape of `image`
        Estimate of the clean image: the same kind of array. Floats keep their type, integers give
        float32. For an array of Dask the result is one, too, and is computed later.
    Info
        Only with `return_info`.

    Raises
    ------
    ValueError
        If `method` is unknown, or an option is given that the method does not use.
    TypeError, BackendUnavailableError, MemoryError
        As for `bm3d` and `fastrestore.nets.apply`.
    ImportError
        If the method is a network and PyTorch is not installed.

    See Also
    --------
    bm3d : More options: correlated noise, color spaces, a guide image.
    vbm3d, bm4d : More options for films and volumes.

    Notes
    -----
    "dncnn" has no input for the noise level. `sigma` is only used to check that the network was
    trained for this level.

    A network without an input for the noise level, whose file does not record the noise it was
    trained for either, accepts neither `sigma` nor `strength`. Colors and alpha are processed as by
    `restore`: a network for RGB restores gray images, too, and alpha is not changed. White is 255
    for uint8, 65535 for uint16 and 1 for floats; if values lie outside this range, `data_range` is
    required.

    The built-in weights of "unet" were trained briefly. On the test sets BSD68 and Set12 the mean
    PSNR is higher than that of "bm3d" at sigma 15, 25 and 50 of 255, but on images with repeated
    texture, such as cloth, it is lower. The guide and the model cards have the figures.

    "hybrid" takes `sigma` and `noise` as "bm3d" does, and corrects no pixel by more than the
    standard deviation of its noise. The result is that of "bm3d" if the network was not trained for
    the noise, if the noise is stronger than the contrast of the image, or if correlated noise was
    estimated ("camera"), which the network does not improve; `Info.reason` says so. A color image
    with equal channels is restored as gray, unless `weights` or a model of the noise is given.

    `tune` compares strengths in steps of 0.1, from coarse to fine, and for correlated noise the
    profiles "np", "vn" and "iterative". For white noise "np" is kept: the other profiles differ
    from it by less than one image can show. The default is kept, too, unless another choice is
    better by more than can be due to chance. `tune` cannot correct a wrong noise level, on which
    the estimate of the error depends. If correlated noise is estimated, its level is not precise
    enough, and only profiles are compared; give it by ``noise=`` to compare strengths, too. Of
    images with more than 512x512 pixels, four squares of 256x256 are compared, one in each quarter.
    Results do not vary from call to call.

    References
    ----------
    .. [1] K. Zhang, W. Zuo, Y. Chen, D. Meng, L. Zhang, "Beyond a Gaussian denoiser: residual
       learning of deep CNN for image denoising", IEEE Trans. Image Process. 26(7), 2017.
    .. [2] K. Zhang, Y. Li, W. Zuo, L. Zhang, L. Van Gool, R. Timofte, "Plug-and-play image
       restoration with deep denoiser prior", IEEE Trans. Pattern Anal. Mach. Intell. 44(10), 2022.
    .. [3] Y. Guo, A. Davy, G. Facciolo, J.-M. Morel, Q. Jin, "Fast, nonlocal and neural: a
       lightweight high quality solution to image denoising", IEEE Signal Process. Lett. 28, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> clean = np.add.outer(np.arange(64.0), np.arange(64.0))
    >>> noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)
    >>> restored = fastrestore.denoise(noisy, sigma=10, method="bm3d")
    >>> fastrestore.metrics.psnr(clean, restored, data_range=126) > 30
    True

    A z-stack of two channels, as slices by themselves and as two volumes:

    >>> stack = np.broadcast_to(noisy, (8, 2, 64, 64))
    >>> fastrestore.denoise(stack, sigma=10, axes="ZCYX").shape
    (8, 2, 64, 64)
    >>> fastrestore.denoise(stack, sigma=10, axes="ZCYX", kind="volume").shape
    (8, 2, 64, 64)
    """
    arguments = locals()
    given = {"profile": profile, "workers": workers, "backend": backend, "weights": weights,
             "batch_axis": batch_axis, "tile": tile, "device": device,
             "precision": precision, "noise": noise, "strength": strength,
             "tune": tune, "return_info": return_info}  # fmt: skip
    network = _is_network(method)
    _check_options(NETWORK if network else validate.choice("method", method, METHODS), given)
    shared: dict[str, Any] = {
        "channel_axis": channel_axis,
        "data_range": data_range,
        "progress": progress,
    }
    if method in CLASSICAL:
        place = backend if device is None else on_device(device, backend)
        used: dict[str, Any] = {"workers": workers, "backend": place, "noise": noise}
        if validate.flag("tune", tune):
            _check_strength(strength)
            if entry.is_chunked(image):
                raise ValueError(
                    "tune=True is not supported for a chunked array; call it for a part of the "
                    "image, and give the chosen strength and profile"
                )
            if batch_axis is not None:
                raise ValueError(f"tune=True is for one image; leave out batch_axis={batch_axis!r}")
            tuned_result = tuned(image, sigma, mask, {"profile": profile, **used, **shared})
            return tuned_result if return_info else tuned_result[0]
        used |= {"strength": strength, "return_info": return_info}
        used["profile"] = "np" if profile is None else profile
        return bm3d(image, sigma, mask=mask, batch_axis=batch_axis, **used, **shared)
    from fastrestore.nets import need_torch

    need_torch()
    if entry.is_chunked(image):
        return entry.restored(denoise, arguments)
    from fastrestore.nets.call import Options, denoised, select_weights

    factor = validate.number("strength", strength, least=0, most=MOST)
    options = Options(batch_axis=batch_axis, tile=tile, device=device, precision=precision,
                      strength=factor, **shared)  # fmt: skip
    if network:
        from fastrestore._algorithms.learned import denoised_by

        return denoised_by(method, image, sigma, mask, options)
    kind = "refine" if method == "hybrid" else str(method)
    request = select_weights(kind, weights, image, options)
    layout = Axes(channel_axis, batch_axis)
    if method != "hybrid":
        return with_mask(image, mask, sigma, layout, lambda *pair: denoised(request, *pair))
    from fastrestore._algorithms.hybrid import described, hybrid

    _check_info(return_info, batch_axis)
    sigma, noise = described(image, sigma, noise, mask, layout)
    used = {"workers": workers, "backend": backend, "noise": noise}
    used["profile"] = "np" if profile is None else profile
    infos: list[Info] = []

    def restore(whole: Any, level: Any) -> Any:
        # With a mask, `level` is that of white noise unless sigma is given
        given = level if noise is None else sigma
        restored, infos[:] = hybrid(request, whole, given, used, weights is not None)
        return restored

    result = with_mask(image, mask, sigma, layout, restore)
    return Restored(result, infos[0], image, channel_axis) if return_info else result


def _check_info(return_info: Any, batch_axis: int | None) -> None:
    """Raise if an `Info` is requested for a batch."""
    if validate.flag("return_info", return_info) and batch_axis is not None:
        raise ValueError(
            f"return_info=True is for one image; leave out batch_axis={batch_axis!r}, or restore "
            "the images one by one"
        )


def _check_strength(strength: Any) -> None:
    """Raise if a strength is given that would be chosen."""
    if validate.number("strength", strength, least=0, most=MOST) != 1:
        raise ValueError(
            f"tune=True chooses the strength; leave out strength={validate.quoted(strength)}"
        )


def _is_network(method: Any) -> bool:
    """Return whether a method is a network of PyTorch or a file, without importing PyTorch."""
    if isinstance(method, str):
        return method not in METHODS and Path(method).suffix in FILES
    torch = sys.modules.get("torch")
    return isinstance(method, os.PathLike) or (
        torch is not None and isinstance(method, torch.nn.Module)
    )


def _check_options(method: str, given: dict[str, Any]) -> None:
    """Raise if the method does not use one of the given options."""
    for name, value in given.items():
        default, methods = PARTIAL[name]
        is_default = value is default or (isinstance(value, str) and value == default)
        if method not in methods and not is_default:
            known = ", ".join(map(repr, (each for each in methods if each != NETWORK)))
            used = "a network as the method" if method == NETWORK else f"method={method!r}"
            raise ValueError(
                f"{name}={validate.quoted(value)} is not used by {used}, only by {known}"
            )
