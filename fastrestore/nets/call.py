"""Networks as functions of arrays, with the conventions of `bm3d`."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from fastrestore._arrays import interop, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._noise import estimate
from fastrestore.backends.select import preferred
from fastrestore.nets.batch import Axes, batched, contiguous, sigmas, unbatched
from fastrestore.nets.files import load, names
from fastrestore.nets.network import Network
from fastrestore.nets.registry import KINDS
from fastrestore.nets.run import Way, applied, automatic, checked_device, kept
from fastrestore.nets.units import Units, units

CLOSE = 1e-6  # of a bound of sigma: rounding
PRECISIONS = ("auto", "float32", "float16")


class Options(NamedTuple):
    """Arguments of `apply` of the same names, as users write them."""

    channel_axis: int | None = None
    batch_axis: int | None = None
    data_range: float | None = None
    tile: int | str | None = "auto"
    device: str | None = None
    precision: str = "auto"
    progress: Progress = False


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
    """Restore an image, or a batch of them, by any network.

    Parameters
    ----------
    net : Network
        What `load` returns, or any network of `fastrestore.nets`, such as a `DnCNN`.
    image : array, shape (M, N), with channels and batch where their axes are
        Degraded image of any integer or float type, on the host or on a GPU.
    sigma : float or array, optional
        Standard deviation of the noise, in the units of the image: a number, one for each image of
        a batch, or a map (M, N). Without it a network that has to be told sigma gets what
        `estimate_sigma` finds.
    channel_axis, batch_axis : int, optional
        Where colours and images of a batch are.
    data_range : float, optional
        Range of the clean image, such as 255, black being 0. Without it the range is measured, and
        the darkest part taken for black. A network that is not told sigma, from a file that does
        not say for how much noise it is, needs it.
    tile : int, "auto" or None, default "auto"
        Side of tiles in pixels; None for one piece. The result differs by rounding.
        Images of more than 2 megapixels are cut by "auto", and any when memory runs out.
    device : str, optional
        "cpu", "cuda" or "cuda:1". By default that of the image if it is on a GPU; else a GPU if
        PyTorch finds one.
    precision : {"auto", "float32", "float16"}
        By "auto" float16 on a GPU, and float32 wherever something overflows in it.
    progress : bool or callable, default False
        As for `bm3d`.

    Returns
    -------
    array, shape of `image`
        With a network that enlarges, rows and columns are `net.scale` times as many. The same kind
        of array, in the same place; floats keep their type, integers give float32.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as said, the image has other channels than the network, NaN, or sigma
        is outside of what the network was trained for.
    BackendUnavailableError
        If `device` cannot run here.
    MemoryError
        If the smallest tiles do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore import nets
    >>> noisy = np.random.default_rng(0).normal(100, 25, (40, 50))
    >>> restored = nets.apply(nets.load("unet-gray"), noisy, 25)
    >>> restored.shape, bool(restored.std() < 10)
    ((40, 50), True)
    """
    options = Options(channel_axis, batch_axis, data_range, tile, device, precision, progress)
    return _run(net, image, sigma, options, type(net).__name__)


def by_name(kind: str, weights: Any, image: Any, sigma: Any, options: Options) -> Any:
    """Restore by the weights that suit the image, or by those that are named."""
    net, said = chosen(kind, weights, image, options)
    return _run(net, image, sigma, options, said)


def chosen(kind: str, weights: Any, image: Any, options: Options) -> tuple[Network, str]:
    """Return a network of a kind, and what to call it."""
    wanted = KINDS[kind]
    if weights is None:
        shape = np.shape(image) if not hasattr(image, "shape") else tuple(image.shape)
        axis = options.channel_axis
        count = shape[axis] if isinstance(axis, int) and -len(shape) <= axis < len(shape) else 1
        weights = f"{kind}-{'gray' if count == 1 else 'color'}"
        if weights not in names():
            raise ValueError(
                f"no {kind} for images of {count} channels comes with the library, only "
                f"{', '.join(map(repr, names()))}; give weights= a file, train one with "
                f"`fastrestore train {kind}`, or use bm3d"
            )
    if isinstance(weights, torch.nn.Module):
        net, said = weights, type(weights).__name__
    elif isinstance(weights, (str, os.PathLike)):
        net, said = load(weights), os.fspath(weights)
    else:
        raise TypeError(f"weights must be a name, a file or a network, got {weights!r:.60}")
    if not isinstance(net, wanted):
        raise ValueError(f"weights={said!r} is a {type(net).__name__}, not a {wanted.__name__}")
    return net, said


def _run(net: Network, image: Any, sigma: Any, options: Options, said: str) -> Any:
    """Restore every image of a batch by a network."""

    def one(planes: Any, level: Any, task: Task) -> Any:
        return restored(net, planes, level, task)

    return each(net, image, sigma, options, said, one)


def each(
    net: Network,
    image: Any,
    sigma: Any,
    options: Options,
    said: str,
    one: Callable[[Any, Any, Task], Any],
) -> Any:
    """Check the arguments, restore every image of a batch, and give it back as it came.

    `one` restores (C, M, N), whose noise is a number, a map or None.
    """
    if not isinstance(net, Network):
        advice = f"; load it: fastrestore.nets.load({net!r})" if isinstance(net, str) else ""
        raise TypeError(f"net must be a network of fastrestore.nets, got {net!r:.60}{advice}")
    there, restore = interop.recognize("image", image)
    axes = Axes(options.channel_axis, options.batch_axis)
    batch = batched(there, axes)
    if batch.shape[1] != net.channels:
        raise ValueError(
            f"{said} is for images of {net.channels} channels, this one has {batch.shape[1]}; "
            + ("restore them one by one" if net.channels == 1 else "give it colours, channel_axis=")
        )
    extent = validate.extent(options.data_range)
    told = sigmas(sigma, batch, axes)
    with reporting(options.progress, said) as tick, interop.use_device_of(there):
        way, device = prepared(
            there, batch.shape[-2:], options, lambda share: tick(share / len(batch))
        )
        task = Task(extent, device, way, said)
        results = [one(*pair, task) for pair in zip(batch, told, strict=True)]
        stacked = interop.namespace(results[0]).stack(results)
        return restore(interop.place_like(unbatched(stacked, there, axes), there))


def prepared(
    there: Any, size: tuple[int, int], options: Any, tick: Callable[[float], None]
) -> tuple[Way, torch.device]:
    """Check how and where a network is to run; `options` has tile, device and precision."""
    if options.precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {PRECISIONS}, got {options.precision!r}")
    device = _device(options.device, there)
    half = options.precision == "float16" or (options.precision == "auto" and device.type == "cuda")
    return Way(_tile(options.tile, size), half, tick), device


class Task(NamedTuple):
    """What holds for all images of a call."""

    data_range: float | None
    device: torch.device
    way: Way
    said: str  # what to call the network


def estimated(planes: Any) -> float:
    """Sigma of an image (C, M, N), where nobody told it."""
    found = estimate.sigmas(interop.to_host(planes))
    return float(np.sqrt(np.square(found).mean()))


def restored(net: Network, planes: Any, level: Any, task: Task) -> Any:
    """Restore one image (C, M, N); level is a number, a map or None."""
    if level is None and (net.takes_sigma or net.sigmas is not None):
        level = estimated(planes)
    highest = 0.0 if level is None else float(np.max(level))
    if level is not None and highest == 0:
        return planes.astype(interop.result_dtype(planes.dtype))
    frame = _framed(planes, highest, task, net)
    result = passed(net, planes, level if net.takes_sigma else None, frame, task)
    return _with_exact(in_units(result, frame, planes), planes, level)


def passed(net: Network, planes: Any, level: Any, frame: Units, task: Task) -> Any:
    """Let an image, from 0 to 1 in its units, pass a network; the result is as it comes."""
    seen = tensor(framed(planes, frame), task.device)[None]
    sigma = None
    if level is not None:
        sigma = tensor(np.atleast_2d(np.asarray(level) / frame.extent), task.device)[None, None]
    return array(applied(on_device(net, task.device), seen, sigma, task.way)[0], planes)


def framed(planes: Any, frame: Units) -> Any:
    """An image from 0 to 1 in its units."""
    return (planes - _like(planes, frame.low)) / frame.extent


def in_units(result: Any, frame: Units, planes: Any) -> Any:
    """Bring what a network gave to the units and the type of an image."""
    dtype = interop.result_dtype(planes.dtype)
    if dtype.itemsize < 4:  # float16 would overflow on the way
        return (result * frame.extent + frame.low).astype(dtype)
    out = result.astype(dtype)
    out *= dtype.type(frame.extent)
    out += dtype.type(frame.low)
    return out


def _with_exact(out: Any, planes: Any, level: Any) -> Any:
    """Put back what has no noise."""
    if np.ndim(level) == 2 and (level == 0).any() and interop.on_host(planes):
        np.copyto(out, planes, where=level == 0, casting="unsafe")
    return out


def _like(planes: Any, low: float) -> Any:
    """The number in the type of an image: what is far from 0 keeps its digits."""
    return low if planes.dtype.kind != "f" else planes.dtype.type(low)


def _framed(planes: Any, sigma: float, task: Task, net: Network) -> Units:
    """Units in which sigma is one that the network knows; or say that there are none."""
    data_range, said = task.data_range, task.said
    if net.sigmas is None and not net.takes_sigma and data_range is None:
        raise ValueError(
            f"{said} says nowhere for how much noise it was trained, so the range of the image "
            "matters: write data_range=, 255 for photographs of 8 bits, 1 for those up to 1"
        )
    if net.sigmas is None or sigma == 0:
        return units(planes, data_range, 0.0)
    low, high = net.sigmas
    frame = units(planes, data_range, sigma / high)
    if data_range is None:
        return frame if low == 0 else frame._replace(extent=min(frame.extent, sigma / low))
    if not low * (1 - CLOSE) <= sigma / data_range <= high * (1 + CLOSE):
        raise ValueError(
            f"sigma={sigma:g} is {255 * sigma / data_range:.4g}/255 of data_range={data_range:g}, "
            f"and {said} is trained for {255 * low:g}/255 to {255 * high:g}/255; bm3d takes any"
        )
    return frame


def _tile(tile: Any, shape: tuple[int, int]) -> int | None:
    """Check the side of tiles."""
    if isinstance(tile, str) and tile == "auto":
        return automatic(shape)
    if tile is None:
        return None
    if isinstance(tile, bool) or not isinstance(tile, (int, np.integer)) or tile < 16:
        raise ValueError(f"tile must be 16 pixels or more, 'auto' or None, got {tile!r}")
    return int(tile)


def _device(device: Any, there: Any) -> torch.device:
    """Choose where the network runs."""
    if device is None:
        if not interop.on_host(there):
            return torch.device("cuda", there.device.id)
        on_gpu = torch.cuda.is_available() and preferred() in (None, "auto", "cupy")
        return torch.device("cuda" if on_gpu else "cpu")
    return checked_device(device)


def on_device(net: Network, device: torch.device) -> Network:
    """Return the network on a device, ready to run; the caller's stays as it is."""
    if next(net.parameters()).device == device and not net.training:
        return net
    return kept(net, device, lambda: copy.deepcopy(net).eval().to(device))


def tensor(values: Any, device: torch.device) -> torch.Tensor:
    """An array of NumPy or CuPy as float32 on a device."""
    plain = contiguous(values.astype(np.float32))
    tensor = (
        torch.from_numpy(plain) if interop.on_host(plain) else torch.utils.dlpack.from_dlpack(plain)
    )
    return tensor.to(device)


def array(tensor: torch.Tensor, like: Any) -> Any:
    """A tensor as an array of the kind of `like`."""
    if interop.on_host(like):
        return tensor.cpu().numpy()
    return interop.namespace(like).from_dlpack(tensor.contiguous())
