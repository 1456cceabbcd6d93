"""Networks for Dask arrays: each chunk with an overlap as wide as the receptive field."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import dask
import numpy as np
import torch

from fastrestore._arrays import interop, ranges, validate
from fastrestore._chunked import arrays, halos, options, versions
from fastrestore._chunked.cuts import Cuts, Reach
from fastrestore._chunked.halos import Near
from fastrestore._chunked.maps import is_map, map_of
from fastrestore._chunked.noise import squares_in
from fastrestore._chunked.survey import Survey, surveyed
from fastrestore._collaborative.profile import MOST
from fastrestore._collaborative.request import image_geometry
from fastrestore._noise.estimate import mean_sigma
from fastrestore._noise.mosaic import joined, stacked
from fastrestore.nets.call import (
    Options,
    Request,
    forward,
    named,
    prepared,
    refuse_mask,
    select_weights,
    units_for,
)
from fastrestore.nets.units import Units

UNSUPPORTED = ("mask", "batch_axis", "progress", "return_info", "tune")


class Scale(NamedTuple):
    """Noise level and units of a whole image."""

    level: float | None  # None: it is a map
    units: Units | None  # None: there is no noise
    version: str = versions.own()


def denoise(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Denoise an image lazily by a network, from the arguments of the public function."""
    image, axis = arguments["image"], arguments["channel_axis"]
    arrays.check("image", image)
    options.refuse(function, arguments, *UNSUPPORTED)
    geometry = image_geometry(image.shape, axis)
    request = _request(image, arguments)
    planes = arrays.as_planes(image, geometry.channel_axis)
    if len(planes) != request.net.channels:
        raise ValueError(
            f"{request.name} is for images of {request.net.channels} channels, and this image has "
            f"{len(planes)}"
        )
    reach = (Reach(request.net.radius, request.net.grid),) * 2
    planes = arrays.fitted("image", planes, tuple(each.depth for each in reach))
    cuts = Cuts.of(planes.chunks[1:], tuple(each.depth for each in reach))
    sigma, levels = arguments["sigma"], None
    if is_map(sigma, geometry._replace(channel_axis=None, shape=planes.shape[1:])):
        plane = geometry._replace(channel_axis=None, shape=planes.shape[1:])
        levels = map_of(sigma, plane, planes)[:1]
    elif sigma is not None:
        sigma = validate.not_negative("sigma", sigma)
    shared = dask.delayed(request)
    scale = _scale(planes, shared, sigma, levels)
    dtype = interop.result_dtype(image.dtype)
    read = [each for each in (planes, levels) if each is not None]
    meta = arrays.like(planes, dtype, 3)
    result = halos.mapped("network", _restored, read, cuts, shared, scale, reach, meta=meta)
    return arrays.as_image(result, geometry.channel_axis)


def _request(image: Any, arguments: dict[str, Any]) -> Request:
    """Return the network and its options."""
    method = arguments["method"]
    if method == "hybrid":
        raise ValueError(
            "method='hybrid' is not supported for a chunked array: write method='bm3d' or 'unet'"
        )
    factor = validate.number("strength", arguments["strength"], least=0, most=MOST)
    taken = {
        name: arguments[name]
        for name in ("channel_axis", "data_range", "tile", "device", "precision")
    }
    given = Options(**taken, strength=factor)
    if isinstance(method, str) and method in ("dncnn", "unet"):
        shape = np.broadcast_to(np.zeros((), image.dtype), image.shape)
        return select_weights(method, arguments["weights"], shape, given)
    net, name = named("method", method)
    name = f"method={name!r}"
    refuse_mask(net, name)
    if net.scale != 1 or not (net.takes_sigma or net.sigmas is not None):
        raise ValueError(
            f"{name} is not supported for a chunked array: only networks for a known level of the "
            "noise, of the size of the image"
        )
    return Request(net, name, given)


def _scale(planes: Any, request: Any, sigma: Any, levels: Any) -> Any:
    """Return the node of the graph with the `Scale`."""
    seen = arrays.again(planes)
    survey = surveyed("image", seen) if arrays.on_host(planes) else None
    highest = None if levels is None else surveyed("sigma", arrays.again(levels))
    return dask.delayed(_scale_of)(request, squares_in(seen), survey, sigma, highest)


def _scale_of(
    request: Request, squares: list[list[Any]], survey: Survey | None, sigma: Any, map_: Any
) -> Scale:
    """Derive what all chunks share."""
    rows = [[interop.to_host(square) for square in row] for row in squares]
    level = sigma if map_ is None else float(map_.high.max())
    level = mean_sigma(*joined(rows)) if level is None else level
    level *= request.options.strength
    if level == 0:
        return Scale(0.0, None)
    planes = stacked(rows)
    context = prepared(request, planes, _silent)
    if survey is not None:
        ranges.warn_of_extent(level, survey.extent(), planes.size, context.data_range)
    units = units_for(planes, level, request.net, context)
    return Scale(level if map_ is None else None, units)


def _silent(share: float) -> None:
    """Report no progress."""


def _restored(nears: list[Near], request: Request, scale: Scale, reach: tuple[Reach, ...]) -> Any:
    """Restore a chunk (C, M, N), which is joined with its neighbors."""
    versions.check(scale.version)
    planes, *rest = (near.joined(reach) for near in nears)
    place = nears[0].place(reach)
    inner = (slice(None), *place.inner)
    if scale.units is None:
        return planes[inner].astype(interop.result_dtype(planes.dtype))
    level = scale.level if not rest else interop.to_host(rest[0][0]) * request.options.strength
    context = prepared(request, planes, _silent)
    relative = scale.units.relative(level) if request.net.takes_sigma else None
    with _one_thread():
        result = forward(request.net, scale.units.normalized(planes), relative, context)
    out = scale.units.denormalized(result, planes.dtype)
    if rest and interop.on_host(planes):
        np.copyto(out, planes, where=level == 0, casting="unsafe")  # pixels without noise
    return interop.namespace(out).ascontiguousarray(out[inner])


class _Threads:
    """Number of threads of PyTorch, which is 1 while tasks run at the same time."""

    lock = threading.Lock()
    tasks = 0
    usual = 1


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let PyTorch use one thread, as other chunks are restored at the same time."""
    with _Threads.lock:
        if not _Threads.tasks:
            _Threads.usual = torch.get_num_threads()
        _Threads.tasks += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _Threads.lock:
            _Threads.tasks -= 1
            if not _Threads.tasks:
                torch.set_num_threads(_Threads.usual)
