"""Graphs: the stages of an image or a volume as layers of Dask arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import dask
import numpy as np

from fastrestore._arrays import interop
from fastrestore._chunked import arrays, halos, stages
from fastrestore._chunked.cuts import Cuts
from fastrestore._chunked.facts import Facts, Settings, facts_of
from fastrestore._chunked.maps import Noise
from fastrestore._chunked.stages import Task
from fastrestore._chunked.survey import Survey, assembled, surveyed
from fastrestore.backends import host
from fastrestore.backends.protocol import Which


class Given(NamedTuple):
    """The Dask arrays of a call, as planes (C, *spatial) with equal chunks."""

    planes: Any
    pilot: Any = None
    level: Any = None  # map of the noise


def restored(settings: Settings, given: Given, noise: Any) -> Any:
    """Return the restored planes, lazily; `noise` is a `Noise`, which may be delayed."""
    facts = _facts(settings, given, noise)
    stages_of_call = settings.request.stages(settings.piloted)
    estimate = given.pilot
    for which in stages_of_call:
        is_last = which == stages_of_call[-1]
        estimate = _stage(settings, given._replace(pilot=estimate), facts, which, is_last)
    return estimate


def _facts(settings: Settings, given: Given, noise: Any) -> Any:
    """Return the node of the graph with the `Facts` of the image."""
    planes = given.planes
    seen = arrays.again(planes)
    count, *spatial = settings.shape
    strides = host.stride((count * spatial[0], *spatial[1:])), host.stride(tuple(spatial))
    if not arrays.on_host(planes):
        samples = [arrays.strided(seen, apart) for apart in strides]
        return dask.delayed(facts_of)(settings, noise, None, samples)
    known = isinstance(noise, Noise)  # a node would be one more dependency of each chunk
    model = (_model if known else dask.delayed(_model))(noise, settings.request.strength)
    survey = surveyed(settings.name, seen, model, settings.searched, strides)
    pilot = None if given.pilot is None else surveyed("pilot", arrays.again(given.pilot))
    return dask.delayed(_facts_of)(settings, noise, survey, pilot)


def _facts_of(settings: Settings, noise: Noise, survey: Survey, pilot: Survey | None) -> Facts:
    """Derive what all chunks share from a survey with samples; the pilot has been checked."""
    del pilot
    all_, plane = map(assembled, survey.samples)
    return facts_of(settings, noise, survey._replace(samples=()), (all_, plane))


def _model(noise: Noise, strength: float) -> Any:
    """Return the model by which the planes are stabilized, or None."""
    return noise.planes.model if noise.planes.sigmas.any() and strength else None


def _stage(settings: Settings, given: Given, facts: Any, which: Which, is_last: bool) -> Any:
    """Return the layer of a stage: the estimates of all chunks."""
    planes = given.planes
    cuts = Cuts.of(planes.chunks[1:], settings.depths())
    task = Task(
        which, is_last,
        piloted=given.pilot is not None, is_image=settings.piloted, mapped=given.level is not None,
    )  # fmt: skip
    dtype = interop.result_dtype(planes.dtype) if is_last else np.dtype(np.float32)
    read = [each for each in given if each is not None]
    meta = arrays.like(planes, dtype, planes.ndim)
    return halos.mapped(f"{settings.name}-{which}", stages.run, read, cuts, facts, task, meta=meta)
