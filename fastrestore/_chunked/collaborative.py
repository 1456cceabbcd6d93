"""BM3D and BM4D of Dask arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import dask
import dask.array as da
import numpy as np

from fastrestore._arrays import interop, validate
from fastrestore._chunked import arrays, graph, options
from fastrestore._chunked.facts import Settings
from fastrestore._chunked.maps import Noise, is_map, map_of, noise_of_levels
from fastrestore._chunked.noise import estimated
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.request import Geometry, Request, image_geometry
from fastrestore._noise.planes import NoiseArguments

UNSUPPORTED = ("mask", "matches", "progress", "return_info")
OF_IMAGES = ("guide", "batch_axis", "axis", "max_memory", "uncertainty")
OPTIONS = ("strength", "stage", "data_range", "workers", "backend")
COLORS = ("colorspace", "chroma_strength", "deterministic")


def bm3d(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Restore an image lazily, from the arguments of the public function."""
    image = arguments["image"]
    arrays.check("image", image)
    options.refuse(function, arguments, *UNSUPPORTED, *OF_IMAGES)
    geometry = image_geometry(image.shape, arguments["channel_axis"])
    profile = options.tileable(arguments["profile"])
    request = _request(geometry, profile, arguments, {name: arguments[name] for name in COLORS})
    if request.colorspace == "pca":
        raise ValueError(
            "colorspace='pca' is not supported for a chunked array, because its axes are those of "
            "all pixels: write colorspace='opp' for three channels, or None"
        )
    if arguments["match_channel"] is not None:
        request = request.matched_on(arguments["match_channel"])
    return _restored(function, "image", geometry, request, arguments)


def bm4d(
    function: Callable[..., Any], arguments: dict[str, Any], geometry: Geometry, profile: Profile
) -> Any:
    """Restore a volume lazily, from the arguments of the public function."""
    arrays.check("volume", arguments["volume"])
    options.refuse(function, arguments, *UNSUPPORTED)
    options.tileable(profile)
    matched = validate.index("match_channel", arguments["match_channel"], geometry.channels)
    plain = geometry._replace(slice_axis=1)
    request = _request(plain, profile, arguments, {"capability": "volume"})
    noise = request.noise
    request = replace(
        request,
        geometry=geometry,
        weights=np.eye(geometry.channels)[matched],
        noise=None if noise is None else noise.with_axis_first(geometry.slice_axis),
    )
    return _restored(function, "volume", geometry, request, arguments)


def _request(
    geometry: Geometry, profile: Profile, arguments: dict[str, Any], others: dict[str, Any]
) -> Request:
    """Validate a call; a map of sigma is validated later."""
    given = NoiseArguments(*(arguments.get(name) for name in NoiseArguments._fields))
    if is_map(given.sigma, geometry):  # a number instead, unless the spectrum gives one
        alone = given.psd is None and given.noise_kernel is None
        given = given._replace(sigma=1.0 if alone else None)
    return Request.validated(
        geometry,
        arrays.on_host(next(iter(arguments.values()))),
        given,
        profile=profile,
        **{name: arguments[name] for name in OPTIONS},
        **others,
    )


def _restored(
    function: Callable[..., Any],
    name: str,
    geometry: Geometry,
    request: Request,
    arguments: dict[str, Any],
) -> Any:
    """Return the restored array, with the axes of the one that is given."""
    settings = Settings.of(name, request, arguments["backend"], arguments["workers"])
    axes = geometry.channel_axis, geometry.slice_axis
    pilot = arguments["pilot"]
    searched: tuple[int, ...] = ()
    if geometry.ndim == 3 and pilot is None:
        searched = (1, 2, 3) if arguments["slice_axis"] is None else (1,)
    settings = replace(settings, piloted=pilot is not None, searched=searched)
    if settings.is_small():  # smaller than a block
        return _whole(function, name, arguments)
    planes = arrays.fitted(name, arrays.as_planes(arguments[name], *axes), settings.depths())
    if pilot is not None:
        validate.check_pilot_stage(request.stage)
        pilot = arrays.as_planes(arrays.matching("pilot", pilot, arguments[name]), *axes)
        pilot = pilot.rechunk(planes.chunks)
    levels, noise = _noise(name, request, planes, arguments["sigma"])
    result = graph.restored(settings, graph.Given(planes, pilot, levels), noise)
    return arrays.as_image(result, *axes)


def _noise(name: str, request: Request, planes: Any, sigma: Any) -> tuple[Any, Any]:
    """Return the map of sigma as planes, or None, and the `Noise` of the image, or its node."""
    if request.noise is None:
        return None, estimated(name, planes, request.source)
    if not is_map(sigma, request.geometry):
        return None, Noise(request.noise)
    levels = map_of(sigma, request.geometry, planes)
    return levels, noise_of_levels(levels, request.noise.spectrum)


def _whole(function: Callable[..., Any], name: str, arguments: dict[str, Any]) -> Any:
    """Restore an image that is smaller than a block in one task."""
    image = arguments[name]
    result = dask.delayed(function)(**arguments)
    dtype = interop.result_dtype(image.dtype)
    meta = arrays.like(image, dtype, image.ndim)
    return da.from_delayed(result, image.shape, meta=meta).rechunk(image.chunks)
