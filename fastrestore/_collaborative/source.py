"""Noise that depends on the image: estimated, or given as a `NoiseSpec`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastrestore._arrays import interop
from fastrestore._arrays.masks import Mask
from fastrestore._collaborative.profile import CORRELATED, PROFILES
from fastrestore._collaborative.request import Request
from fastrestore._noise import vst
from fastrestore._noise.applied import plane_noise
from fastrestore._noise.blind import noise_of
from fastrestore._noise.choice import Choice
from fastrestore._noise.planes import PlaneNoise

# Bytes of working memory of one tile, if the caller sets no limit: a color photograph of 24
# megapixels then takes less than 3 GB in all, and smaller tiles would take longer.
MEMORY = 1.2e9
CHANNELS = 4  # most of an image that is divided without being asked for


def applied(request: Request, planes: Any, mask: Mask | None) -> tuple[PlaneNoise, Choice]:
    """Return the noise of the planes of an image: that of a `NoiseSpec`, or estimated."""
    choice = Choice(request.source, "the noise was given")  # type: ignore[arg-type]
    if isinstance(request.source, str):
        if mask is not None:
            mask.check_neighbors()
        choice = noise_of(planes, None if mask is None else mask.valid, request.source)
    if request.profile.whole():  # needs noise of one level
        choice = choice._replace(spec=choice.spec.constant())
    if choice.spec.levels.shape[1] > 1:  # the level at each pixel is found on the host
        planes = interop.to_host(planes)
    return plane_noise(choice.spec, planes, mask), choice


def adapted(request: Request, noise: PlaneNoise) -> Request:
    """Replace defaults of a request by those for noise that is estimated or a `NoiseSpec`."""
    if noise.model is not None and request.data_range is not None:
        request = replace(request, data_range=vst.extent(noise.model, request.data_range))
    may_divide = request.execution.memory is None and not request.profile.whole()
    if request.max_memory is None and may_divide and request.geometry.channels <= CHANNELS:
        request = replace(request, max_memory=MEMORY)
    if noise.spectrum is None or request.ndim == 3:
        return request
    profile, space = request.profile, request.colorspace
    if profile is PROFILES["np"]:
        profile = CORRELATED
    if space == "opp" and request.natural_colors:
        space = "ycbcr"
    return replace(request, profile=profile, colorspace=space)
