"""Networks that make images larger, or mend what was done to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastrestore._arrays.progress import Progress

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from fastrestore.nets import Network


def super_resolve(
    image: Any,
    scale: int = 4,
    *,
    model: str | os.PathLike[str] | Network = "srgan",
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
    """Make an image larger, by a network, or by a known blur and a denoiser.

    Parameters
    ----------
    image : array, shape (M, N), or with channels where `channel_axis` says
        Image of any integer or float type: gray, RGB, or either with alpha (2 or 4 channels).
    scale : int, default 4
        How many times larger along each side: what the model is for; any for "pnp".
    model : {"srgan", "srresnet", "pnp"}, path or Network
        "srresnet" gives what is right on average (highest PSNR, soft); "srgan" gives details that
        look right, and may be made up [1]_. Or a file, or a network of `fastrestore.nets`. "pnp"
        undoes a known blur, of which each `scale`-th pixel is left, the first one being the first
        pixel of the large image, beyond whose border lies its mirrored image: `inverse.pnp` with
        ``inverse.Decimation(psf, scale, "reflect")``. It needs no PyTorch.
    psf : array, shape (m, n), optional
        For "pnp": the blur, in pixels of the large image, as for `deblur`.
    sigma : float, default 0
        For "pnp": standard deviation of the noise, in the units of the image.
    denoiser : callable or str, optional
        For "pnp", as for `deblur`.
    channel_axis : int, optional
        Where the channels are.
    data_range : float, optional
        White, black being 0. Without it networks take white for 255 of uint8; for 65535 of uint16
        and 1 of floats, as long as no value is below 0 or above white, and the greatest is above a
        sixteenth of it. Else the range is measured: from the least value to the greatest. Data of
        12 bits in uint16 want ``data_range=4095``. For "pnp" as for `fastrestore.inverse.pnp`.
    tile, device, precision, progress
        As for `fastrestore.nets.apply`; the first three are for networks alone.

    Returns
    -------
    array
        Of the same kind, `scale` times as large along each side; floats keep their type, integers
        give float32. Alpha is interpolated by a bicubic filter, and colours next to transparent
        pixels come from opaque ones.

    Raises
    ------
    ValueError
        If the model is for another scale, or the image has other channels than gray, RGB or alpha.
    ImportError
        If PyTorch is not installed.
    TypeError, BackendUnavailableError, MemoryError
        As `fastrestore.nets.apply` does.

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
    """
    if isinstance(model, str) and model == "pnp":
        from fastrestore.inverse.enlarge import enlarged

        for name, value, usual in (
            ("tile", tile, "auto"), ("device", device, None), ("precision", precision, "auto")
        ):  # fmt: skip
            if value != usual:
                raise ValueError(f"{name}={value!r} is for networks, not for model='pnp'")
        return enlarged(image, scale, psf, sigma, denoiser, channel_axis, data_range, progress)
    if psf is not None or denoiser is not None or sigma:
        raise ValueError(f"psf, sigma and denoiser are for model='pnp', not for model={model!r}")
    from fastrestore.nets import need_torch

    need_torch()
    from fastrestore.nets.enlarge import Options, enlarge

    told = Options(channel_axis, data_range, tile, device, precision, progress)
    return enlarge(image, scale, model, told)


def restore(
    image: Any,
    *,
    model: str | os.PathLike[str] | Network = "restore-gan",
    channel_axis: int | None = None,
    data_range: float | None = None,
    tile: int | str | None = "auto",
    device: str | None = None,
    precision: str = "auto",
    progress: Progress = False,
) -> Any:
    """Mend an image that was blurred, noisy and compressed, nobody knows how much.

    Parameters
    ----------
    image, channel_axis, data_range, tile, device, precision, progress
        As for `super_resolve`.
    model : {"restore-gan"}, path or Network
        What to mend it with: a network whose result is as large as the image.

    Returns
    -------
    array, shape of `image`
        The same kind of array; floats keep their type, integers give float32. Alpha stays.

    Raises
    ------
    TypeError, ValueError, ImportError, BackendUnavailableError, MemoryError
        As `super_resolve` does.

    Notes
    -----
    Details may be made up. Where there is noise of known sigma and nothing else, `denoise` is
    better.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    >>> fastrestore.restore(image, channel_axis=-1).shape
    (20, 30, 3)
    """
    from fastrestore.nets import need_torch

    need_torch()
    from fastrestore.nets.enlarge import Options, enlarge

    told = Options(channel_axis, data_range, tile, device, precision, progress)
    return enlarge(image, 1, model, told)
