"""What filters a tile, once or again."""

from __future__ import annotations

from typing import NamedTuple

from fastrestore._arrays.types import Channels, Image
from fastrestore._collaborative.block_matches import Matching
from fastrestore._collaborative.masking import Holes
from fastrestore._collaborative.refilter import remaining
from fastrestore._collaborative.request import Request
from fastrestore._collaborative.stage import Context, make_stage
from fastrestore._collaborative.uncertainty import Uncertainty
from fastrestore._noise.planes import PlaneNoise
from fastrestore._noise.psd import split
from fastrestore.backends.protocol import Execution, Stage, Which


class Passes(NamedTuple):
    """The transformed channels of a tile, and the means to run stages on them."""

    noisy: Channels
    guide: Image | None  # to match blocks on
    context: Context
    request: Request
    execution: Execution
    holes: Holes | None
    matching: Matching | None
    uncertainty: Uncertainty | None = None


def repetition(
    passes: Passes, estimate: Channels, which: Which
) -> tuple[Channels, Channels | None, Stage]:
    """Return what filters an estimate with the signal in its residual: images and a stage."""
    backend, profile, context = passes.request.backend, passes.request.profile, passes.context
    first = backend.fetch(estimate)
    residual = backend.fetch(passes.noisy) - first
    sought = profile
    if passes.holes is not None:
        residual, threshold = passes.holes.residual(residual, profile.residual)
        sought = profile.replace(residual=threshold)
    rest, powers = remaining(residual, context.statistics.noise, sought, passes.execution.workers)
    levels, spectra = split(powers)
    noise = PlaneNoise(levels, None, spectra)
    matched = context.statistics.matched  # noise of the guide, if there is one
    if passes.guide is None:
        matched = noise.mixed(context.weights[None])
    stronger = profile.replace(threshold=profile.threshold_residual, wiener=profile.wiener_residual)
    stage = make_stage(stronger, which, context.statistics._replace(noise=noise, matched=matched))
    rest += first
    guided = estimate if which == "final" else None
    return backend.put(rest), guided, stage
