"""Choice of the simplest model of the noise that an image supports."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._noise.camera import camera_noise
from fastrestore._noise.estimate import sigmas
from fastrestore._noise.spec import NoiseSpec

MODELS = ("auto", "white", "correlated", "signal-dependent", "camera")


class Choice(NamedTuple):
    """Noise of an image, and why this model was chosen."""

    spec: NoiseSpec
    reason: str


def choose(planes: NDArray[Any], valid: NDArray[np.bool_] | None, model: str) -> Choice:
    """Estimate the noise of an image (C, M, N) with a model, or with the simplest that fits."""
    if model in ("auto", "white"):
        return Choice(NoiseSpec.white(*sigmas(planes, valid)), "noise is assumed to be white")
    correlated, varying = model != "signal-dependent", model != "correlated"
    spec = camera_noise(planes, valid, correlated=correlated, varying=varying)
    return Choice(spec, f"the model {model!r} was requested")
