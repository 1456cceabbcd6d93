"""Super-resolution of arrays: gray, color and alpha channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastrestore._arrays import interop, outliers, ranges, validate
from fastrestore._arrays.progress import reporting
from fastrestore.nets import call
from fastrestore.nets.batch import Axes, batched, unbatched
from fastrestore.nets.call import Context, Options, Request
from fastrestore.nets.files import names
from fastrestore.nets.network import Network
from fastrestore.nets.run import run_network
from fastrestore.nets.units import Units, units

# Images without a value above 1 / DARKEST of the white of their type have another range
DARKEST = 16


def enlarge(image: Any, scale: Any, model: Any, options: Options) -> Any:
    """Apply a network that makes an image larger, and reduce its result to `scale`."""
    return applied(requested(model, scale, options), image)


def restored(image: Any, model: Any, options: Options) -> Any:
    """Apply a network that does not change the size of an image."""
    net, name = _usable(model)
    if net.scale != 1:
        raise ValueError(
            f"model={name!r} makes images {net.scale} times larger; use super_resolve, or a model "
            "of scale 1"
        )
    return applied(Request(net, name, options), image)


def applied(request: Request, image: Any) -> Any:
    """Apply a network without an input for sigma to every image of a batch."""
    net, name, options, _ = request
    values, to_caller = interop.recognize("image", image)
    axes = Axes(options.channel_axis, options.batch_axis)
    batch = batched(values, axes)
    outliers.check("image", values, ranges.extent(options.data_range) or 0.0, outliers.REPLACE)
    check_channels(batch.shape[1], net, name)
    with reporting(options.progress, name) as report, interop.use_device_of(values):
        results = []
        for planes in batch:
            part = Enlarger.prepared(request, planes, lambda share: report(share / len(batch)))
            made = run_network(part.net, part.seen(planes), None, part.context.execution)
            results.append(part.larger(made, planes))
        stacked = interop.namespace(results[0]).stack(results)
        return to_caller(interop.place_like(unbatched(stacked, values, axes), values))


def requested(model: Any, scale: Any, options: Options) -> Request:
    """Return a network whose scale is `scale` or the next larger one, for results of `scale`."""
    factor = validate.number("scale", scale, least=1)
    net, name = _usable(_with_scale(model, factor))
    if factor > net.scale:
        result, advice = "of the same size", "scale=1"
        if net.scale > 1:
            result = f"{net.scale} times larger"
            advice = f"scale={net.scale}, or a number from 1 to {net.scale}"
        raise ValueError(f"model={name!r} makes images {result}; scale is {scale}; write {advice}")
    return Request(net, name, options, factor)


def size_of(shape: Sequence[int], scale: float) -> tuple[int, int]:
    """Return the numbers of rows and columns of an enlarged image."""
    rows, columns = (round(n * scale) for n in shape[-2:])
    return rows, columns


def _usable(model: Any) -> tuple[Network, str]:
    """Return a network and its name for messages; raise if it has other inputs than an image."""
    net, name = call.named("model", model)
    call.refuse_mask(net, f"model={name!r}")
    if net.takes_sigma:
        raise ValueError(f"model={name!r} needs the noise level; use denoise")
    return net, name


def _with_scale(model: Any, scale: float) -> Any:
    """Return the name of the built-in weights for a scale, or the file or network as it is."""
    start = f"{model}-x"
    offered = sorted(int(name.removeprefix(start)) for name in names() if name.startswith(start))
    if not offered:
        return model
    for factor in offered:
        if factor >= scale:
            return f"{start}{factor}"
    raise ValueError(f"model={model!r} is for scales from 1 to {offered[-1]}, got scale={scale:g}")


def check_channels(count: int, net: Network, name: str) -> None:
    """Raise if the network does not support an image with this number of channels."""
    if count not in (1, 2, 3, 4):
        raise ValueError(f"image has {count} channels; it must have 1 or 3, or one more for alpha")
    if count > 2 and net.channels == 1:
        raise ValueError(f"model={name!r} is for gray images, and this image has colors")


@dataclass(frozen=True, slots=True, eq=False)
class Enlarger:
    """A network that is ready for images (C, M, N) of one kind."""

    net: Network
    units: Units
    context: Context
    scale: float

    @classmethod
    def prepared(cls, request: Request, planes: Any, report: Callable[[float], None]) -> Enlarger:
        """Choose the units and the device for an image."""
        context = call.prepared(request, planes, report)
        net, colors = call.on_device(request.net, context.device), colors_of(planes)
        scale = net.scale if request.scale is None else request.scale
        return cls(net, usual_units(colors, context.data_range), context, scale)

    def seen(self, planes: Any) -> Tensor:
        """Return the input of the network (1, C, M, N): gray as three equal colors."""
        colors = colors_of(planes)
        repeats = self.net.channels // len(colors)
        if len(colors) < len(planes):
            colors = _filled(colors, planes[-1])
        repeated = interop.namespace(planes).repeat(colors, repeats, 0)
        return call.tensor(self.units.normalized(repeated), self.context.device)[None]

    def larger(self, made: Tensor, planes: Any) -> Any:
        """Return the result (C, s M, s N) in the units of the image: gray as the mean of colors."""
        size = size_of(planes.shape, self.scale)
        count, result = len(colors_of(planes)), call.array(_resampled(made, size)[0], planes)
        if self.net.channels > count:
            result = result.mean(0, keepdims=True)
        larger = list(self.units.denormalized(result, planes.dtype))
        if count < len(planes):
            larger.append(_interpolated(planes[-1], size, self.context.device))
        return interop.namespace(larger[0]).stack(larger)


def colors_of(planes: Any) -> Any:
    """Return the colors of an image with 1 to 4 channels; the second or fourth is alpha."""
    return planes if len(planes) in (1, 3) else planes[:-1]


def usual_range(colors: Any, dtype: np.dtype[Any] | None = None) -> float | None:
    """Return the range that is usual for the type; None if it has to be measured.

    `dtype` is the type, by default that of the values.
    """
    dtype = colors.dtype if dtype is None else dtype
    if dtype == np.uint8:
        return 255.0
    if dtype.kind != "f" and dtype != np.uint16:
        return None
    white = 1.0 if dtype.kind == "f" else 65535.0
    low, high = float(colors.min()), float(colors.max())
    used = high > white / DARKEST or low == high == 0  # videos may begin with black
    return white if low >= 0 and high <= white and used else None


def usual_units(colors: Any, data_range: float | None) -> Units:
    """Return the units of the image: of the given or usual range, or from minimum to maximum.

    There is no noise to be averaged out. A constant image is mapped to 0.5.
    """
    data_range = data_range or usual_range(colors)
    if data_range is not None:
        return units(colors, data_range, 0.0)
    low, high = float(colors.min()), float(colors.max())
    return Units(low, high - low) if high > low else Units(low - 0.5, 1.0)


def _filled(colors: Any, alpha: Any) -> Any:
    """Replace the colors of transparent pixels by those of the nearest pixel that is not."""
    hidden = alpha == 0
    if not bool(hidden.any()) or bool(hidden.all()):
        return colors
    distance = interop.ndimage(alpha).distance_transform_edt
    nearest = distance(hidden, return_distances=False, return_indices=True)
    return colors[:, nearest[0], nearest[1]]


def _interpolated(alpha: Any, size: tuple[int, int], device: torch.device) -> Any:
    """Enlarge alpha by bicubic interpolation, clipped to its range."""
    dtype = interop.result_dtype(alpha.dtype)
    if alpha.shape == size:
        return alpha.astype(dtype)
    low, high = float(alpha.min()), float(alpha.max())
    larger = _resampled(call.tensor(alpha, device)[None, None], size)
    return call.array(larger[0, 0].clamp(low, high), alpha).astype(dtype)


def _resampled(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate by cubic convolution, with a wider kernel where an image becomes smaller."""
    if image.shape[-2:] == size:
        return image
    return torch.nn.functional.interpolate(image, size=size, mode="bicubic", antialias=True)
