"""One door for all methods that remove noise, and those of them that are networks."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastrestore._algorithms import bm3d
from fastrestore._arrays.progress import Progress

if TYPE_CHECKING:
    import os

    from fastrestore.nets import Network

METHODS = ("auto", "bm3d", "dncnn", "unet", "hybrid")


def denoise(image: Any, sigma: Any = None, *, method: str = "auto", **options: Any) -> Any:
    """Remove noise from an image, by the method that is named.

    Parameters
    ----------
    image : array, shape (M, N), or with channels where ``channel_axis=`` says
        Noisy image of any integer or float type.
    sigma : float or array, optional
        Standard deviation of the noise, in the units of the image; without it, it is estimated.
    method : {"auto", "bm3d", "dncnn", "unet", "hybrid"}
        "auto" is "bm3d", which needs no training and takes any noise. "unet" and "dncnn" are
        networks trained on photographs with white noise. "hybrid" mixes "bm3d" and "unet", each
        where it is the better one.
    **options
        What the function of that method takes: see `bm3d`, `dncnn`, `unet_denoise`; "hybrid" takes
        those of `unet_denoise`.

    Returns
    -------
    array, shape of `image`
        The same kind of array; floats keep their type, integers give float32.

    Raises
    ------
    ValueError
        If there is no such method; else as the functions do.
    TypeError
        If the method has no such option.
    ImportError
        If it is a network and PyTorch is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> clean = np.add.outer(np.arange(64.0), np.arange(64.0))
    >>> noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)
    >>> restored = fastrestore.denoise(noisy, sigma=10, method="bm3d")
    >>> fastrestore.metrics.psnr(clean, restored, data_range=126) > 30
    True
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(map(repr, METHODS))}, got {method!r}")
    functions: dict[str, Callable[..., Any]] = {
        "auto": bm3d.bm3d, "bm3d": bm3d.bm3d, "dncnn": dncnn, "unet": unet_denoise,
    }  # fmt: skip
    function: Callable[..., Any] = functions.get(method, unet_denoise)
    known = [name for name in inspect.signature(function).parameters if name not in _FIRST]
    for name in options:
        if name not in known:
            raise TypeError(f"method={method!r} takes no {name}; it takes {', '.join(known)}")
    if method == "hybrid":
        function = _hybrid
    return function(image, sigma, **options)


_FIRST = ("image", "sigma")


def dncnn(
    image: Any,
    sigma: Any = None,
    *,
    weights: str | os.PathLike[str] | Network | None = None,
    channel_axis: int | None = None,
    batch_axis: int | None = None,
    data_range: float | None = None,
    tile: int | str | None = "auto",
    device: str | None = None,
    precision: str = "auto",
    progress: Progress = False,
) -> Any:
    """Remove white noise by DnCNN [1]_, which sees itself how much there is.

    Parameters
    ----------
    image, sigma, channel_axis, batch_axis, data_range, tile, device, precision, progress
        As for `fastrestore.nets.apply`. The network is not told sigma; from it is known whether the
        network was trained for so much.
    weights : str, path or Network, optional
        A name of `fastrestore.nets.names`, a file, or a `DnCNN`. By default "dncnn-gray" or
        "dncnn-color", whichever suits the image.

    Returns
    -------
    array, shape of `image`
        The same kind of array, in the same place; floats keep their type, integers give float32.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    TypeError, ValueError, BackendUnavailableError, MemoryError
        As `fastrestore.nets.apply` does.

    References
    ----------
    .. [1] K. Zhang, W. Zuo, Y. Chen, D. Meng, L. Zhang, "Beyond a Gaussian denoiser: residual
       learning of deep CNN for image denoising", IEEE Trans. Image Process. 26(7), 2017.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> noisy = np.random.default_rng(0).normal(100, 25, (40, 50))
    >>> fastrestore.dncnn(noisy).shape  # doctest: +SKIP
    (40, 50)
    """
    told = (channel_axis, batch_axis, data_range, tile, device, precision, progress)
    return _by_network("dncnn", weights, image, sigma, told)


def unet_denoise(
    image: Any,
    sigma: Any = None,
    *,
    weights: str | os.PathLike[str] | Network | None = None,
    channel_axis: int | None = None,
    batch_axis: int | None = None,
    data_range: float | None = None,
    tile: int | str | None = "auto",
    device: str | None = None,
    precision: str = "auto",
    progress: Progress = False,
) -> Any:
    """Remove white noise by a residual U-Net [1]_ that is told sigma.

    Parameters
    ----------
    image, sigma, channel_axis, batch_axis, data_range, tile, device, precision, progress
        As for `fastrestore.nets.apply`. Sigma may be a map; without it, it is estimated.
    weights : str, path or Network, optional
        A name of `fastrestore.nets.names`, a file, or a `UNet`. By default "unet-gray" or
        "unet-color", whichever suits the image.

    Returns
    -------
    array, shape of `image`
        The same kind of array, in the same place; floats keep their type, integers give float32.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    TypeError, ValueError, BackendUnavailableError, MemoryError
        As `fastrestore.nets.apply` does.

    References
    ----------
    .. [1] K. Zhang, Y. Li, W. Zuo, L. Zhang, L. Van Gool, R. Timofte, "Plug-and-play image
       restoration with deep denoiser prior", IEEE Trans. Pattern Anal. Mach. Intell. 44(10), 2022.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> noisy = np.random.default_rng(0).normal(100, 25, (40, 50))
    >>> fastrestore.unet_denoise(noisy, sigma=25).shape  # doctest: +SKIP
    (40, 50)
    """
    told = (channel_axis, batch_axis, data_range, tile, device, precision, progress)
    return _by_network("unet", weights, image, sigma, told)


def _by_network(kind: str, weights: Any, image: Any, sigma: Any, told: tuple[Any, ...]) -> Any:
    """Import the networks, now that one is asked for."""
    from fastrestore.nets import need_torch

    need_torch()
    from fastrestore.nets.call import Options, by_name

    return by_name(kind, weights, image, sigma, Options(*told))


def _hybrid(image: Any, sigma: Any, **options: Any) -> Any:
    """Mix `bm3d` and the U-Net."""
    from fastrestore.nets import need_torch

    need_torch()
    from fastrestore._algorithms.hybrid import hybrid

    return hybrid(image, sigma, **options)
