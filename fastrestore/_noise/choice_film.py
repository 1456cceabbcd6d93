"""Choice of the simplest model of the noise that the frames of a video support."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._noise.choice import Choice, choose
from fastrestore._noise.estimate import sigmas


class Film(NamedTuple):
    """Frames (C, M, N) of a scene on the host, and where each is valid (None: everywhere)."""

    frames: list[NDArray[Any]]
    masks: list[NDArray[np.bool_] | None]


def choose_in_film(film: Film, model: str) -> Choice:
    """Estimate the noise of a scene with a model, or with the simplest that fits."""
    return choose(film.frames[0], film.masks[0], model)


def followed(before: Choice, now: Choice) -> Choice:
    """Return the noise of a scene from its estimate and that of the scene before."""
    return now


def has_white_noise(film: Film) -> bool:
    """Whether a frame has white noise; faster than `choose_in_film`."""
    return any(sigmas(*each).any() for each in zip(film.frames, film.masks, strict=True))
