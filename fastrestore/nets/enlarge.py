"""Larger images: gray, colours and alpha, each as it needs."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastrestore._arrays import interop, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore.nets import call
from fastrestore.nets.files import load, names
from fastrestore.nets.network import Network
from fastrestore.nets.run import applied
from fastrestore.nets.units import Units, units

FAINT = 16  # whose lightest pixel is not above white / 16 is measured: white is another there


class Options(NamedTuple):
    """Arguments of `fastrestore.super_resolve` of the same names, as users write them."""

    channel_axis: int | None
    data_range: float | None
    tile: int | str | None
    device: str | None
    precision: str
    progress: Progress


def enlarge(image: Any, scale: Any, model: Any, told: Options) -> Any:
    """Let an image pass a network that makes it `scale` times larger."""
    net, said = chosen(model, scale)
    there, restore = interop.recognize("image", image)
    planes = validate.channels("image", there, told.channel_axis)
    colours = opaque(len(planes), net, said)
    extent = extent_of(told, planes[:colours])
    with reporting(told.progress, said) as tick, interop.use_device_of(there):
        way, device = call.prepared(there, planes.shape[-2:], told, tick)
        task = call.Task(extent, device, way, said)
        frame = frame_of(planes[:colours], extent)
        net = call.on_device(net, device)
        made = applied(net, shown(planes, colours, net, frame, task), None, way)
        larger = finished(made, planes, colours, net, frame, task)
        return restore(interop.place_like(back(larger, there, told.channel_axis), there))


def extent_of(told: Options, opaque: Any) -> float | None:
    """Range of an image, as far as it is told, or usual for its type; None: to be measured."""
    extent = validate.extent(told.data_range)
    kind = opaque.dtype
    if extent is not None or kind == np.uint8:
        return extent or 255.0
    if kind.kind != "f" and kind != np.uint16:
        return None
    white = 1.0 if kind.kind == "f" else 65535.0
    low, high = float(opaque.min()), float(opaque.max())
    used = high > white / FAINT or low == high == 0  # films may begin with black
    return white if low >= 0 and high <= white and used else None


def chosen(model: Any, scale: Any) -> tuple[Network, str]:
    """Return the network, and what to call it."""
    if isinstance(scale, bool) or not isinstance(scale, (int, np.integer)):
        raise TypeError(f"scale must be a whole number, got {scale!r}")
    if isinstance(model, Network):
        net, said = model, type(model).__name__
    elif isinstance(model, (str, os.PathLike)):
        said = os.fspath(model)
        net = load(_named(said, int(scale)))
    else:
        raise TypeError(f"model must be a name, a file or a network, got {model!r:.60}")
    if net.takes_sigma:
        raise ValueError(f"model={said!r} has to be told the noise; use denoise")
    if net.scale != scale:
        result = "of the same size" if net.scale == 1 else f"{net.scale} times larger"
        cure = f"; write scale={net.scale}"
        raise ValueError(f"model={said!r} makes images {result}; scale is {scale}{cure}")
    return net, said


def _named(model: str, scale: int) -> str:
    """The name of the weights for a scale, or the file."""
    offered = [name for name in names() if name.startswith(f"{model}-x")]
    if scale > 1 and f"{model}-x{scale}" in offered:
        return f"{model}-x{scale}"
    if offered:
        scales = ", ".join(name.removeprefix(f"{model}-x") for name in offered)
        raise ValueError(f"model={model!r} comes for scale {scales}, got scale={scale}")
    return model


def opaque(count: int, net: Network, said: str) -> int:
    """How many of the channels are colours; refuse those that the network does not know."""
    if count not in (1, 2, 3, 4):
        raise ValueError(f"image has {count} channels; it must have 1 or 3, or one more for alpha")
    colours = count if count in (1, 3) else count - 1
    if colours == 3 and net.channels == 1:
        raise ValueError(f"model={said!r} is for gray images, this one has colours")
    return colours


def shown(planes: Any, colours: int, net: Network, frame: Units, task: call.Task) -> Tensor:
    """What a network sees (1, C, M, N): gray as three colours that are equal."""
    opaque = planes[:colours]
    if colours < len(planes):
        opaque = _filled(opaque, planes[-1])
    seen = interop.namespace(planes).repeat(opaque, net.channels // colours, 0)
    return call.tensor(call.framed(seen, frame), task.device)[None]


def finished(
    made: Tensor, planes: Any, colours: int, net: Network, frame: Units, task: call.Task
) -> Any:
    """What comes of it (C, s M, s N), in the units of the image: gray as the mean of colours."""
    result = call.array(made[0], planes)
    if net.channels > colours:
        result = result.mean(0, keepdims=True)
    larger = list(call.in_units(result, frame, planes))
    if colours < len(planes):
        larger.append(_interpolated(planes[-1], net.scale, task.device))
    return interop.namespace(larger[0]).stack(larger)


def frame_of(opaque: Any, data_range: float | None) -> Units:
    """Units of the image: measured from end to end, as there is no noise to be left out.

    An image that is the same all over is gray.
    """
    if data_range is not None:
        return units(opaque, data_range, 0.0)
    low, high = float(opaque.min()), float(opaque.max())
    return Units(low, high - low) if high > low else Units(low - 0.5, 1.0)


def _filled(opaque: Any, alpha: Any) -> Any:
    """Colours where nothing is seen: those of the nearest pixel where something is."""
    hidden = alpha == 0
    if not bool(hidden.any()) or bool(hidden.all()):
        return opaque
    if interop.on_host(alpha):
        from scipy import ndimage
    else:
        from cupyx.scipy import ndimage
    nearest = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
    return opaque[:, nearest[0], nearest[1]]


def _interpolated(alpha: Any, scale: int, device: torch.device) -> Any:
    """Enlarge alpha by the bicubic filter, within the bounds that it has."""
    dtype = interop.result_dtype(alpha.dtype)
    if scale == 1:
        return alpha.astype(dtype)
    low, high = float(alpha.min()), float(alpha.max())
    size = [scale * n for n in alpha.shape]
    larger = torch.nn.functional.interpolate(
        call.tensor(alpha, device)[None, None], size=size, mode="bicubic", antialias=True
    )
    return call.array(larger[0, 0].clamp(low, high), alpha).astype(dtype)


def back(stacked: Any, there: Any, axis: int | None) -> Any:
    """Put the channels where they were."""
    if axis is None:
        return stacked[0]
    moved = interop.move_axis(stacked, 0, axis % there.ndim)
    return interop.namespace(moved).ascontiguousarray(moved)
