"""Estimation of the noise of one image, whatever it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, threads, validate
from fastrestore._noise.choice import MODELS, Choice, choose
from fastrestore._noise.choice_volume import choose_in_volume
from fastrestore._noise.inputs import checked_image
from fastrestore._noise.mosaic import mosaic


def choice_of(image: Any, channel_axis: int | None, mask: Any, model: str) -> Choice:
    """Validate the arguments of `estimate_noise`; return the noise and why it was chosen."""
    wanted = validate.choice("model", model, MODELS)
    planes, valid = checked_image(image, channel_axis, mask, gpu=wanted == "white")
    with threads.limited_to(validate.usable_processors()):
        return noise_of(planes, valid, wanted)


def noise_of(planes: Any, valid: NDArray[np.bool_] | None, model: str) -> Choice:
    """Estimate the noise of an image or a volume (C, *spatial).

    White noise of an image on a GPU is estimated there; else its pixels are copied to the host.
    """
    if planes.ndim != 3 or model != "white":
        planes = interop.to_host(planes)
    if planes.ndim == 5:  # a volume over time: its slices are those of all frames
        planes = planes.reshape(len(planes), -1, *planes.shape[3:])
        valid = None if valid is None else valid.reshape(len(valid), -1, *valid.shape[3:])
    if planes.ndim == 4:
        return choose_in_volume(planes, valid, model)
    with interop.use_device_of(planes):
        return choose(*mosaic(planes, valid), model)
