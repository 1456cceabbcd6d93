"""Networks as functions of arrays, with the conventions of `bm3d`."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from fastrestore._arrays import interop, outliers, ranges, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._noise.estimate import mean_sigma
from fastrestore._noise.mosaic import mosaic
from fastrestore.backends.select import preferred
from fastrestore.errors import BackendUnavailableError
from fastrestore.nets.batch import Axes, batched, contiguous, count_channels, sigmas, unbatched
from fastrestore.nets.files import load, names
from fastrestore.nets.network import Network
from fastrestore.nets.registry import KINDS
from fastrestore.nets.run import LARGEST, USUAL, Execution, cached_copy, check_device, run_network
from fastrestore.nets.units import Units, units

ROUNDING = 1e-6  # relative tolerance at the bounds of sigma
LEAST_TILE = 16
COLORS = {1: "gray", 3: "color"}  # in the names of weights, by the number of channels
PRECISIONS = ("auto", "float32", "float16")


class Options(NamedTuple):
    """Arguments of `apply` of the same names, before validation."""

    channel_axis: int | None = None
    batch_axis: int | None = None
    data_range: float | None = None
    tile: int | str | None = "auto"
    device: str | None = None
    precision: str = "auto"
    progress: Progress = False
    strength: float = 1.0  # factor for the noise level


class Request(NamedTuple):
    """A network, its name for messages, and the options of the call."""

    net: Network
    name: str
    options: Options
    scale: float | None = None  # factor for rows and columns, by default that of the network


class Context(NamedTuple):
    """What the images of a call share."""

    data_range: float | None
    device: torch.device
    execution: Execution
    name: str  # of the network, for messages
    strength: float = 1.0  # factor for the noise level


def apply(
    net: Network,
    image: Any,
    sigma: Any = None,
    *,
    channel_axis: int | None = None,
    batch_axis: int | None = None,
    data_range: float | None = None,
    tile: int | str | None = "auto",
    device: str | None = None,
    precision: str = "auto",
    progress: Progress = False,
) -> Any:
    """Restore an image, or a batch of images, by a network.

    Images are scaled to the range of the network, and back, and large ones are restored in tiles.

    Parameters
    ----------
    net : Network
        Result of `load`, or a network of `fastrestore.nets`, such as a `DnCNN`.
    image : array, shape (M, N), or with channels and a batch along their axes
        Degraded image of any integer or float type, on the host or on a GPU.
    sigma : float or array, optional
        Standard deviation of the noise, in the units of `image`: a number, one for each image of a
        batch, or a map of shape (M, N). By default `estimate_sigma` estimates it for networks with
        an input for sigma.
    channel_axis, batch_axis : int, optional
        Axes of the colors and of the images of a batch.
    data_range : float, optional
        Range of the clean image, such as 255, with black at 0. By default the range is measured,
        and the darkest level is taken as black. Required for a network without an input for sigma
        whose file does not specify the noise levels it was trained for.
    tile : int, "auto" or None, default "auto"
        Side of the tiles in pixels; None processes the image as a whole. Results differ by
        rounding only, if ``net.tiling`` is "exact". "auto" uses tiles for images of more than 2
        megapixels, and for any image when memory runs out, but not if ``net.tiling`` is "whole".
    device : str, optional
        "cpu", "cuda" or "cuda:1". By default the GPU that holds the image; for an image on the
        host, a GPU if PyTorch finds one.
    precision : {"auto", "float32", "float16"}
        "auto" is float16 on a GPU, with float32 for tiles in which float16 overflows. Networks
        that do not support float16 run in float32.
    progress : bool or callable, default False
        As for `bm3d`.

    Returns
    -------
    array, shape of `image`
        The same kind of array, on the same device; floats keep their type, integers give float32.
        A network for super-resolution multiplies the rows and columns by ``net.scale``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, the channels of the image are not those of the network, the
        image contains NaN, or the network was not trained for this noise level.
    BackendUnavailableError
        If `device` is not available.
    MemoryError
        If memory does not suffice for the smallest tiles, or for the whole image if ``net.tiling``
        is "whole".

    See Also
    --------
    load : Load a network.
    fastrestore.denoise : Remove noise by name of a method.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore import nets
    >>> noisy = np.random.default_rng(0).normal(100, 25, (40, 50))
    >>> restored = nets.apply(nets.load("unet-gray"), noisy, 25)
    >>> restored.shape, bool(restored.std() < 10)
    ((40, 50), True)
    """
    options = Options(
        channel_axis=channel_axis, batch_axis=batch_axis, data_range=data_range, tile=tile,
        device=device, precision=precision, progress=progress,
    )  # fmt: skip
    return denoised(Request(net, getattr(net, "name", ""), options), image, sigma)


def select_weights(kind: str, weights: Any, image: Any, options: Options) -> Request:
    """Return the given network of a kind, or the built-in one for the channels of the image."""
    expected = KINDS[kind]
    if weights is None:
        axes = Axes(options.channel_axis, options.batch_axis)
        count = count_channels(interop.recognize("image", image)[0].shape, axes)
        weights = f"{kind}-{COLORS.get(count, count)}"
        if weights not in names():
            advice = f"write weights= with a file of `fastrestore train {kind}`, or use bm3d"
            if count not in COLORS:
                advice = "use bm3d, which restores any number of channels"
            raise ValueError(
                f"there is no built-in {kind} for images of {count} channels; {advice}"
            )
    net, name = named("weights", weights)
    if not isinstance(net, expected):
        raise ValueError(
            f"weights={name!r} is a {net.name}, not a {expected.__name__}; for any network, write "
            f"method=fastrestore.nets.load({name!r}) without weights="
        )
    return Request(net, name, options)


def named(argument: str, value: Any) -> tuple[Network, str]:
    """Return a network from an argument that is one, its name or its file; and its name."""
    if isinstance(value, Network):
        return value, value.name
    if isinstance(value, (str, os.PathLike)):
        return load(value), os.fspath(value)
    raise TypeError(
        f"{argument} must be a name, a file or a network of fastrestore.nets, got "
        f"{validate.quoted(value)}"
    )


def denoised(request: Request, image: Any, sigma: Any) -> Any:
    """Restore every image of a batch by a network."""

    def restore(planes: Any, level: Any, context: Context) -> Any:
        return restored(request.net, planes, level, context)

    return each_image(request, image, sigma, restore)


def each_image(
    request: Request, image: Any, sigma: Any, restore: Callable[[Any, Any, Context], Any]
) -> Any:
    """Validate the arguments, restore every image of a batch, and return the caller's array type.

    `restore` takes an image (C, M, N) and its noise level: a number, a map or None.
    """
    net, name, options, _ = request
    if not isinstance(net, Network):
        advice = f"; load it: fastrestore.nets.load({net!r})" if isinstance(net, str) else ""
        raise TypeError(
            f"net must be a network of fastrestore.nets, got {validate.quoted(net)}{advice}"
        )
    refuse_mask(net, name)
    values, to_caller = interop.recognize("image", image)
    axes = Axes(options.channel_axis, options.batch_axis)
    batch = batched(values, axes)
    if batch.shape[1] != net.channels:
        advice = "restore them one by one" if net.channels == 1 else "write channel_axis="
        raise ValueError(
            f"{name} is for images of {net.channels} channels, and this image has "
            f"{batch.shape[1]}; {advice}"
        )
    levels = sigmas(sigma, batch, axes)
    known = max((float(np.max(level)) for level in levels if level is not None), default=0.0)
    outliers.check("image", values, known, outliers.REPLACE)
    with reporting(options.progress, name) as report, interop.use_device_of(values):
        context = prepared(request, batch, lambda share: report(share / len(batch)))
        results = [restore(*pair, context) for pair in zip(batch, levels, strict=True)]
        stacked = interop.namespace(results[0]).stack(results)
        return to_caller(interop.place_like(unbatched(stacked, values, axes), values))


def refuse_mask(net: Network, name: str) -> None:
    """Raise for a network that needs a mask."""
    if net.takes_mask:
        raise ValueError(f"{name} fills in missing pixels; use inpaint(image, mask, model=)")


def prepared(request: Request, planes: Any, report: Callable[[float], None]) -> Context:
    """Validate the options that say how and where a network runs on images (..., M, N)."""
    options, net = request.options, request.net
    validate.choice("precision", options.precision, PRECISIONS)
    device = _device(options.device, planes)
    half = options.precision == "float16" or (options.precision == "auto" and device.type == "cuda")
    tile = _tile(options.tile, planes.shape[-2:], net)
    execution = Execution(tile, half and net.supports_half, report)
    extent = ranges.extent(options.data_range)
    return Context(extent, device, execution, request.name, options.strength)


def restored(net: Network, planes: Any, level: Any, context: Context) -> Any:
    """Restore one image (C, M, N); level is a number, a map or None."""
    if level is None and (net.takes_sigma or net.sigmas is not None):
        level = mean_sigma(*mosaic(interop.to_host(planes), None))
    if level is not None:
        level = level * context.strength
    highest = 0.0 if level is None else float(np.max(level))
    if level is not None and highest == 0:
        return planes.astype(interop.result_dtype(planes.dtype))
    if interop.on_host(planes):
        ranges.warn_of_units(highest, planes, context.data_range)
    scale = units_for(planes, highest, net, context)
    relative = scale.relative(level) if net.takes_sigma else None
    result = forward(net, scale.normalized(planes), relative, context)
    out = scale.denormalized(result, planes.dtype)
    if np.ndim(level) == 2 and (level == 0).any() and interop.on_host(planes):
        np.copyto(out, planes, where=level == 0, casting="unsafe")  # pixels without noise
    return out


def forward(net: Network, planes: Any, level: Any, context: Context) -> Any:
    """Run a network on an array (C, M, N) from 0 to 1, and return its output as an array.

    `level` is a number, a map (M, N), or maps (K, M, N) or (K, 1, 1).
    """
    sigma = None
    if level is not None:
        maps = np.atleast_2d(np.asarray(level))
        sigma = tensor(maps, context.device)[None].reshape(1, -1, *maps.shape[-2:])
    seen = tensor(planes, context.device)[None]
    result = run_network(on_device(net, context.device), seen, sigma, context.execution)
    return array(result[0], planes)


def units_for(planes: Any, sigma: float, net: Network, context: Context) -> Units:
    """Choose units in which the network supports sigma; raise if there are none."""
    data_range, name = context.data_range, context.name
    if net.sigmas is None and not net.takes_sigma and data_range is None:
        raise ValueError(range_needed(name))
    if net.sigmas is None or sigma == 0:
        return units(planes, data_range, 0.0)
    low, high = net.sigmas
    scale = units(planes, data_range, sigma / high)
    if data_range is None:
        return scale if low == 0 else scale._replace(extent=min(scale.extent, sigma / low))
    if not low * (1 - ROUNDING) <= sigma / data_range <= high * (1 + ROUNDING):
        raise ValueError(
            f"sigma={sigma:g} is {255 * sigma / data_range:.4g}/255 of data_range={data_range:g}, "
            f"and {name} is trained for {255 * low:g}/255 to {255 * high:g}/255; bm3d takes any"
        )
    return scale


def range_needed(name: str) -> str:
    """Return the message for a network that was trained for unknown noise levels."""
    return (
        f"{name} does not specify the noise levels it was trained for, so the range of the "
        "image matters: write data_range=, 255 for photographs of 8 bits, 1 for those up to 1"
    )


def _tile(tile: Any, shape: tuple[int, int], net: Network) -> int | None:
    """Check the side of the tiles."""
    if isinstance(tile, str) and tile == "auto":
        small = shape[0] * shape[1] <= LARGEST
        return None if small or net.tiling == "whole" else USUAL
    if tile is None:
        return None
    try:
        return validate.integer("tile", tile, least=LEAST_TILE)
    except (TypeError, ValueError):
        raise ValueError(
            f"tile must be {LEAST_TILE} pixels or more, 'auto' or None, got {validate.quoted(tile)}"
        ) from None


def _device(device: Any, values: Any) -> torch.device:
    """Choose the device on which the network runs."""
    if device is None:
        if not interop.on_host(values):
            return _shared_device(values.device.id)
        on_gpu = torch.cuda.is_available() and (preferred() or "auto").partition(":")[0] in (
            "auto",
            "cupy",
        )
        return torch.device("cuda" if on_gpu else "cpu")
    return check_device(device)


def _shared_device(number: int) -> torch.device:
    """Return a GPU of CuPy as one of PyTorch; raise if PyTorch does not find it."""
    if number >= torch.cuda.device_count():
        raise BackendUnavailableError(
            f"the image is on GPU {number}, but PyTorch {torch.__version__} finds "
            f"{torch.cuda.device_count()} GPUs: install a build of PyTorch for CUDA, or run the "
            "network on the CPU with device='cpu'"
        )
    return torch.device("cuda", number)


def on_device(net: Network, device: torch.device) -> Network:
    """Return the network on a device in evaluation mode; the caller's network is not changed."""
    if next(net.parameters()).device == device and not net.training:
        return net
    return cached_copy(net, device, lambda: copy.deepcopy(net).eval().to(device))


def tensor(values: Any, device: torch.device) -> torch.Tensor:
    """Convert an array of NumPy or CuPy to a float32 tensor on a device."""
    plain = contiguous(values.astype(np.float32))
    if device.type == "cpu":
        plain = interop.to_host(plain)
    share = torch.from_numpy if interop.on_host(plain) else torch.utils.dlpack.from_dlpack
    return share(plain).to(device)


def array(tensor: torch.Tensor, like: Any) -> Any:
    """Convert a tensor to an array of the library of `like`."""
    if interop.on_host(like) or tensor.device.type == "cpu":
        return interop.place_like(tensor.cpu().numpy(), like)
    return interop.namespace(like).from_dlpack(tensor.contiguous())
