"""Choice of the simplest model of the noise that a volume supports."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import validate
from fastrestore._arrays.types import FloatArray
from fastrestore._noise.choice import Choice
from fastrestore._noise.counts import counts_noise_of_stack
from fastrestore._noise.estimate import sigmas
from fastrestore._noise.rician import rician_noise
from fastrestore._noise.spec import NoiseSpec

DISTRIBUTIONS = (
    (rician_noise, "the background has a Rayleigh distribution"),
    (counts_noise_of_stack, "the variance of the noise rises linearly with the brightness"),
)
SLICES = 9  # of a volume, from which the noise level is estimated


def choose_in_volume(planes: NDArray[Any], valid: NDArray[np.bool_] | None, model: str) -> Choice:
    """Estimate the noise of a volume (C, P, M, N) with a model, or with the simplest that fits."""
    if model in ("auto", "signal-dependent"):
        for estimate, reason in DISTRIBUTIONS:
            found = estimate(planes, valid)
            if found is not None:
                return Choice(found, reason)
    if model == "signal-dependent":
        found = counts_noise_of_stack(planes, valid, required=True)
        if found is not None:
            return Choice(found, f"the model {model!r} was requested")
    if model not in ("auto", "white"):
        validate.warn(
            f"noise={model!r} was not found in this volume, and white noise is assumed instead; "
            "the spectrum of the noise of a volume is not estimated, specify it by psd="
        )
    levels = median_sigmas(planes, valid)
    axes = (..., *[None] * (planes.ndim - 1))
    spec = NoiseSpec(levels, np.zeros((len(levels), 1)), levels[:, None], np.eye(len(levels))[axes])
    return Choice(spec, "noise is assumed to be white")


def median_sigmas(planes: NDArray[Any], valid: NDArray[np.bool_] | None) -> FloatArray:
    """Return the median noise level of several slices, for each channel."""
    known = np.ones((1, *[1] * (planes.ndim - 1)), bool) if valid is None else valid
    known = np.broadcast_to(known, (len(known), *planes.shape[1:]))
    counts = np.array([_varying(planes[:, k], known[:, k]) for k in range(planes.shape[1])])
    usable = np.flatnonzero(2 * counts >= counts.max())
    some = usable[np.unique(np.linspace(0, len(usable) - 1, SLICES).round().astype(int))]
    each = [sigmas(planes[:, k], None if valid is None else known[:, k]) for k in some]
    middle: FloatArray = np.median(each, axis=0)
    return middle


def _varying(planes: Any, valid: NDArray[Any]) -> int:
    """Count the valid pixels of a slice (C, M, N) that differ from a neighbor in the same row."""
    both = valid[..., 1:] & valid[..., :-1]
    return int(np.count_nonzero((planes[..., 1:] != planes[..., :-1]) & both))
