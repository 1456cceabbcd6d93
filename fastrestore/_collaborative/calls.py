"""Restorations with noise that other algorithms have computed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastrestore._arrays import interop
from fastrestore._collaborative.pipeline import restore
from fastrestore._collaborative.request import Geometry, Inputs, Request
from fastrestore._noise.planes import NoiseArguments


def with_spectrum(
    image: Any, psd: Any, options: dict[str, Any], pilot: Any = None, stage: str = "final"
) -> Any:
    """Restore an image with noise of a computed power spectrum, whose units are not checked."""
    others = {"colorspace": "auto", **options}
    geometry = Geometry(image.shape, others.pop("channel_axis", None))
    noise = NoiseArguments(psd=psd)
    request = Request.validated(geometry, interop.on_host(image), noise, stage=stage, **others)
    planes = None if pilot is None else geometry.planes(pilot)
    return restore(replace(request, check_spectrum=False), Inputs(image, planes)).image
