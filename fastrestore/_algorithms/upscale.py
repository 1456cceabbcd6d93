"""Super-resolution and blind restoration of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastrestore._arrays import interop, outliers, ranges, resources, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._arrays.streams import on_stream_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from fastrestore.nets import Network


@on_stream_of("image")
def super_resolve(
    image: Any,
    scale: float = 4,
    *,
    model: str | os.PathLike[str] | Network = "srresnet",
    psf: Any = None,
    sigma: float = 0.0,
    denoiser: Callable[[Any, float], Any] | str | None = None,
    channel_axis: int | None = None,
    data_range: float | None = None,
    tile: int | str | None = "auto",
    device: str | None = None,
    precision: str = "auto",
    progress: Progress = False,
) -> Any:
    """Increase the resolution of an image.

    Networks add plausible detail. With ``model="pnp"`` the result agrees with the data for a known
    blur.

    Parameters
    ----------
    image : array, shape (M, N), or with channels along `channel_axis`
        Image of any integer or float type: gray, RGB, or one of them with alpha (2 or 4 channels).
    scale : float, default 4
        Factor for the numbers of rows and columns, such as 2.5. A network supports all numbers from
        1 to the factor it was trained for, which is 4 for the built-in ones: if `scale` is smaller,
        the result of the network is reduced by cubic convolution with antialiasing. "pnp"
        supports whole numbers from 1 to 10000.
    model : {"srresnet", "srgan", "pnp"}, path or Network
        "srresnet" is a network that minimizes the mean error: high PSNR, soft images. "srgan"
        generates details, which may be wrong [1]_: faces look older, and text gets specks. A file
        of weights or a network of `fastrestore.nets` can be given instead. Both were trained on
        images without noise and compression, and turn artifacts of JPEG into edges; "srgan" more
        so. "pnp" inverts a known blur followed by
        decimation with a denoiser as prior, and does not need PyTorch. It calls `inverse.pnp` with
        ``inverse.Decimation(psf, scale, "reflect")``: the first pixels of `image` and of the result
        coincide, and the border is reflected.
    psf : array, shape (m, n), optional
        For "pnp": point spread function in pixels of the result, as for `deblur`.
    sigma : float, default 0
        For "pnp": standard deviation of the noise, in the units of `image`.
    denoiser : callable or str, optional
        For "pnp": as for `deblur`.
    channel_axis : int, optional
        Axis of the colors. By default the image is gray.
    data_range : float, optional
        Value of white, with black at 0. By default networks use 255 for uint8, 65535 for uint16
        and 1 for floats, if the values lie within that range and the maximum is above 1/16 of it;
        otherwise the range from the minimum to the maximum. Use ``data_range=4095`` for 12-bit data
        in uint16. For "pnp", as for `fastrestore.inverse.pnp`.
    tile, device, precision : optional
        For networks: as for `fastrestore.nets.apply`.
    progress : bool or callable, default False
        As for `bm3d`.

    Returns
    -------
    array
        The same kind of array, with ``round(M * scale)`` rows and ``round(N * scale)`` columns.
        Floats keep their type, integers give float32. Alpha is enlarged by bicubic interpolation.
        Transparent pixels get the colors of the nearest opaque pixels first.

    Raises
    ------
    ValueError
        If the model is for another scale, the number of channels is not 1 to 4, or an option is
        given that the model does not use.
    ImportError
        If the model is a network and PyTorch is not installed.
    MemoryError
        If the result of "pnp" needs more memory than the process can have.
    TypeError, BackendUnavailableError, MemoryError
        As for `fastrestore.nets.apply`.

    See Also
    --------
    super_resolve_video : Increase the resolution of a video.
    restore : Restore an image without enlarging it.
    nets.load : Load a network for `model`.

    References
    ----------
    .. [1] C. Ledig et al., "Photo-realistic single image super-resolution using a generative
       adversarial network", CVPR 2017.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> small = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    >>> fastrestore.super_resolve(small, 4, channel_axis=-1).shape
    (80, 120, 3)
    >>> fastrestore.super_resolve(small, 2.5, channel_axis=-1).shape
    (50, 75, 3)
    """
    if isinstance(model, str) and model == "pnp":
        for name, value, usual in (
            ("tile", tile, "auto"), ("device", device, None), ("precision", precision, "auto")
        ):  # fmt: skip
            if not (value is None or isinstance(value, str)) or value != usual:
                raise ValueError(
                    f"{name}={validate.quoted(value)} is for networks, not for model='pnp'"
                )
        return _by_pnp(
            image, scale, psf, sigma=sigma, denoiser=denoiser, channel_axis=channel_axis,
            data_range=data_range, progress=progress,
        )  # fmt: skip
    noisy = None if validate.not_negative("sigma", sigma) == 0 else sigma
    for name, given in {"psf": psf, "sigma": noisy, "denoiser": denoiser}.items():
        if given is not None:
            raise ValueError(
                f"{name}={validate.quoted(given)} is for model='pnp', not for "
                f"model={validate.quoted(model)}"
            )
    options = {"channel_axis": channel_axis, "data_range": data_range, "tile": tile,
               "device": device, "precision": precision, "progress": progress}  # fmt: skip
    return _by_network(image, scale, model, options)


def restore(
    image: Any,
    *,
    model: str | os.PathLike[str] | Network,
    channel_axis: int | None = None,
    data_range: float | None = None,
    tile: int | str | None = "auto",
    device: str | None = None,
    precision: str = "auto",
    progress: Progress = False,
) -> Any:
    """Restore an image with unknown blur, noise and compression artifacts.

    A network does all at once, from no model of the degradation.

    Parameters
    ----------
    image : array, shape (M, N), or three axes with `channel_axis`
        As for `super_resolve`.
    model : {"restore-gan-experimental"}, path or Network
        Name or file of the weights, or a network of `fastrestore.nets`, of scale 1. There is no
        default; see Notes.
    channel_axis, data_range, tile, device, precision, progress : optional
        As for `super_resolve`.

    Returns
    -------
    array, shape of `image`
        The same kind of array. Floats keep their type, integers give float32. Alpha is not changed.

    Raises
    ------
    TypeError, ValueError, ImportError, BackendUnavailableError, MemoryError
        As for `super_resolve`.

    See Also
    --------
    deblur : Remove a known blur.
    denoise : Remove noise only.
    super_resolve : Increase the resolution.

    Notes
    -----
    "restore-gan-experimental" is an experiment. It improves photographs with all of strong blur,
    noise and compression, as in its training. It damages others: photographs without degradation,
    with the noise of cameras, or with JPEG of usual quality are worse after than before. It
    sharpens all edges, adds a pattern to dark areas, and destroys faces of 60 pixels or less.
    `denoise` removes noise, and `deblur` a known blur, without these effects.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    >>> model = "restore-gan-experimental"
    >>> fastrestore.restore(image, model=model, channel_axis=-1).shape
    (20, 30, 3)
    """
    from fastrestore.nets import need_torch

    need_torch()
    from fastrestore.nets.call import Options
    from fastrestore.nets.enlarge import restored

    options = Options(channel_axis=channel_axis, data_range=data_range, tile=tile, device=device,
                      precision=precision, progress=progress)  # fmt: skip
    return restored(image, model, options)


def _by_pnp(
    image: Any,
    scale: Any,
    psf: Any,
    *,
    sigma: Any,
    denoiser: Any,
    channel_axis: int | None,
    data_range: float | None,
    progress: Progress,
) -> Any:
    """Invert the blur and the subsampling by the iterations of `fastrestore.inverse.pnp`."""
    from fastrestore.inverse.operators import BYTES, MOST_FACTOR, Decimation
    from fastrestore.inverse.plug_and_play import default_settings, restore_planes

    if psf is None:
        raise ValueError(
            "model='pnp' needs psf, the blur before subsampling, in pixels of the large image"
        )
    factor = validate.integer("scale", scale, least=1, most=MOST_FACTOR)
    forward = Decimation(psf, factor, "reflect")
    array, restore = interop.recognize("image", image)
    planes = validate.channels("image", array, channel_axis).astype(np.float64)
    resources.check_memory(BYTES * planes[0].size * factor**2, "scale", factor)
    with reporting(progress, "super_resolve") as report_progress, interop.use_device_of(array):
        extent = ranges.range_of(data_range, planes)
        level = validate.not_negative("sigma", sigma)
        outliers.check("image", array, level, outliers.REPLACE)
        settings = default_settings(ranges.sigma(level, extent), extent, denoiser)
        result = restore_planes(planes, [forward] * len(planes), settings, report_progress)
        return restore(interop.planes_to_image(result, array, channel_axis))


def _by_network(image: Any, scale: Any, model: Any, options: dict[str, Any]) -> Any:
    """Apply a network; PyTorch is imported here."""
    from fastrestore.nets import need_torch

    need_torch()
    from fastrestore.nets.call import Options
    from fastrestore.nets.enlarge import enlarge

    return enlarge(image, scale, model, Options(**options))
