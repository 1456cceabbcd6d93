"""Denoising by a network that the caller gives."""

from __future__ import annotations

from typing import Any

from fastrestore._algorithms.masked import Axes, with_mask
from fastrestore._arrays import interop, validate
from fastrestore.nets.call import Options, Request, denoised, named, range_needed, refuse_mask
from fastrestore.nets.enlarge import applied, usual_range


def denoised_by(method: Any, image: Any, sigma: Any, mask: Any, options: Options) -> Any:
    """Denoise by a network, its name or its file."""
    net, name = named("method", method)
    name = f"method={name!r}"
    refuse_mask(net, name)
    if net.scale != 1:
        raise ValueError(f"{name} makes images {net.scale} times larger; use super_resolve")
    axes, request = Axes(options.channel_axis, options.batch_axis), Request(net, name, options)
    if net.takes_sigma or net.sigmas is not None:
        return with_mask(
            image, mask, sigma, axes, lambda image, level: denoised(request, image, level)
        )
    _check_unused(name, sigma=sigma, strength=None if options.strength == 1 else options.strength)
    if options.data_range is None:
        request = request._replace(options=options._replace(data_range=_range(image, name)))
    return with_mask(image, mask, 0.0, axes, lambda image, _: applied(request, image))


def _check_unused(name: str, **options: Any) -> None:
    """Raise if an option is given that needs an input for the noise level."""
    for option, value in options.items():
        if value is not None:
            raise ValueError(
                f"{option}={validate.quoted(value)} is not used by {name}, which has no input for "
                "the noise level; leave it out"
            )


def _range(image: Any, name: str) -> float:
    """Return the range of the type; noise hides any other."""
    values, _ = interop.recognize("image", image)
    if values.dtype.kind == "f":  # invalid pixels may be NaN
        values = values[interop.namespace(values).isfinite(values)]
    extent = usual_range(values) if values.size else None
    if extent is None:
        raise ValueError(range_needed(name))
    return extent
