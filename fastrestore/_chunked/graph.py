"""Graphs: the stages of an image or a volume as layers of Dask arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import dask
import dask.array as da
import numpy as np

from fastrestore._arrays import interop
from fastrestore._chunked import arrays, stages
from fastrestore._chunked.cuts import Cuts, farthest
from fastrestore._chunked.facts import Settings, facts_of
from fastrestore._chunked.maps import Noise
from fastrestore._chunked.stages import Task
from fastrestore._chunked.survey import surveyed
from fastrestore.backends import host
from fastrestore.backends.protocol import Which


class Given(NamedTuple):
    """The Dask arrays of a call, as planes (C, *spatial) with equal chunks."""

    planes: Any
    pilot: Any = None
    level: Any = None  # map of the noise


def restored(settings: Settings, given: Given, noise: Any) -> Any:
    """Return the restored planes, lazily; `noise` is a `Noise`, which may be delayed."""
    facts = _facts(settings, given.planes, noise)
    stages_of_call = settings.request.stages(settings.piloted)
    estimate = given.pilot
    for which in stages_of_call:
        is_last = which == stages_of_call[-1]
        estimate = _stage(settings, given._replace(pilot=estimate), facts, which, is_last)
    return estimate


def _facts(settings: Settings, planes: Any, noise: Any) -> Any:
    """Return the node of the graph with the `Facts` of the image."""
    seen = arrays.again(planes)
    survey = None
    if arrays.on_host(planes):
        model = dask.delayed(_model)(noise, settings.request.strength)
        survey = surveyed(settings.name, seen, model, settings.searched)
    count, *spatial = settings.shape
    strides = host.stride((count * spatial[0], *spatial[1:])), host.stride(tuple(spatial))
    samples = [arrays.strided(seen, apart) for apart in strides]
    return dask.delayed(facts_of)(settings, noise, survey, samples)


def _model(noise: Noise, strength: float) -> Any:
    """Return the model by which the planes are stabilized, or None."""
    return noise.planes.model if noise.planes.sigmas.any() and strength else None


def _stage(settings: Settings, given: Given, facts: Any, which: Which, is_last: bool) -> Any:
    """Return the layer of a stage: the estimates of all chunks."""
    planes = given.planes
    cuts = Cuts.of(planes.chunks[1:], farthest(settings.reaches(which)))
    task = Task(
        which, cuts, is_last,
        piloted=given.pilot is not None, is_image=settings.piloted, mapped=given.level is not None,
    )  # fmt: skip
    dtype = interop.result_dtype(planes.dtype) if is_last else np.dtype(np.float32)
    read = [arrays.overlapped(each, cuts) for each in given if each is not None]
    return da.map_blocks(
        stages.run, *read, facts=facts, task=task, dtype=dtype, chunks=planes.chunks,
        meta=arrays.like(planes, dtype, planes.ndim), token=f"{settings.name}-{which}",
    )  # fmt: skip
