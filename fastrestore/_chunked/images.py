"""BM3D of a Dask array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastrestore._chunked import arrays, graph, options
from fastrestore._chunked.cuts import Reach, reaches
from fastrestore._chunked.facts import Settings
from fastrestore._chunked.maps import Noise, is_map, levels_of, noise_of_levels
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.request import Request, image_geometry
from fastrestore._noise.planes import NoiseArguments

UNSUPPORTED = (
    "guide", "mask", "batch_axis", "max_memory", "matches", "progress", "return_info",
    "uncertainty",
)  # fmt: skip
OPTIONS = (
    "strength", "stage", "data_range", "colorspace", "chroma_strength", "deterministic", "workers",
    "backend",
)  # fmt: skip


def bm3d(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Restore an image lazily, from the arguments of the public function."""
    image, axis = arguments["image"], arguments["channel_axis"]
    arrays.check("image", image)
    options.refuse(function, arguments, *UNSUPPORTED)
    profile = options.tileable(arguments["profile"])
    geometry = image_geometry(image.shape, axis)
    sigma, psd, kernel = (arguments[name] for name in ("sigma", "psd", "noise_kernel"))
    mapped = is_map(sigma, geometry)
    if mapped:  # a number instead, unless the spectrum gives one
        level = 1.0 if psd is None and kernel is None else None
    request = Request.validated(
        geometry,
        arrays.on_host(image),
        NoiseArguments(level if mapped else sigma, psd, kernel, arguments["noise"]),
        profile=profile,
        **{name: arguments[name] for name in OPTIONS},
    )
    if request.noise is None:
        raise ValueError(
            "the noise of a chunked array is not estimated yet; write sigma=, or another argument "
            "for the noise"
        )
    settings = Settings.of("image", request, arguments["backend"], arguments["workers"], "image")
    planes = arrays.as_planes(image, geometry.channel_axis)
    planes = arrays.fitted("image", planes, _reach(profile, request.stages(False)))
    levels, noise = None, Noise(request.noise)
    if mapped:
        levels = levels_of(sigma, geometry, planes)
        noise = noise_of_levels(levels, request.noise.spectrum)
    result = graph.restored(settings, graph.Given(planes, None, levels), noise)
    return arrays.as_image(result, geometry.channel_axis)


def _reach(profile: Profile, stages: tuple[str, ...]) -> tuple[Reach, ...]:
    """Return the largest reach of some stages along each axis."""
    each = [reaches(profile, which, 2) for which in stages]
    return tuple(max(axis, key=lambda reach: reach.depth) for axis in zip(*each, strict=True))
