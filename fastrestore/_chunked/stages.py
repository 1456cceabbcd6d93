"""Tasks: the stages of BM3D and BM4D for one chunk and its overlap."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np

from fastrestore._arrays import interop
from fastrestore._chunked.cuts import Slices
from fastrestore._chunked.facts import Facts
from fastrestore._chunked.halos import Near
from fastrestore._collaborative.passes import Passes
from fastrestore._collaborative.pipeline import filtered
from fastrestore._collaborative.request import Request
from fastrestore._collaborative.stage import Context, context_of
from fastrestore._noise import vst
from fastrestore.backends.protocol import Channels, Unchanged, Which


class Task(NamedTuple):
    """What is done with each chunk."""

    which: Which
    is_last: bool  # whether the result is in the units of the image
    piloted: bool = False
    is_image: bool = False  # whether the pilot is in the units of the image
    mapped: bool = False


def run(nears: list[Near], facts: Facts, task: Task) -> Any:
    """Return the estimate of a stage for a chunk (C, *spatial), which is joined with its neighbors.

    `nears` are those of the planes, the pilot estimate and the map of the noise, if there are any.
    The result of the basic stage has transformed and scaled channels, unless it is the last.
    """
    if facts.context is None:
        own = nears[0].own
        nothing = interop.namespace(own).zeros((1, *own.shape[1:]), np.float32)
        return unchanged(own, facts) if task.is_last else nothing
    reach = facts.reach(task.which)
    joined = [near.joined(reach) for near in nears]
    return restored(joined, facts, task, nears[0].place(reach).inner)


def restored(joined: list[Any], facts: Facts, task: Task, inner: Slices) -> Any:
    """Return the estimate of a stage for a part of the image, of which `inner` is kept."""
    planes, *rest = joined
    region = Region.of(facts, planes, rest[-1] if task.mapped else None)
    pilot = rest[0] if task.piloted else None
    if task.is_image:
        pilot = region.loaded("pilot", region.prepared(pilot))
    estimate = region.filtered(task.which, pilot)
    if task.is_last:
        return region.stored(estimate, inner, len(planes))
    return interop.namespace(estimate).ascontiguousarray(estimate[_every(inner)])


@dataclass(frozen=True, eq=False)
class Region:
    """The part of an image that a stage reads for a chunk, prepared for the stages."""

    facts: Facts
    planes: Any
    request: Request
    context: Context
    dtypes: tuple[np.dtype[Any], np.dtype[Any]]  # of the image; of its stabilized planes

    @classmethod
    def of(cls, facts: Facts, planes: Any, level: Any) -> Self:
        """Prepare a part of the image (C, *spatial), and of its noise map."""
        on_host = interop.on_host(planes)
        request = facts.settings.ready(facts.request, on_host, int(planes.size))
        dtype, context = planes.dtype, facts.context
        assert context is not None
        level = facts.noise.level(planes, level)
        if level is not None:
            noise = replace(facts.noise.planes, map=level[: facts.channels])
            mapped = context_of(facts.pixels, noise, request)
            context = mapped.with_range(context.statistics.data_range)
        stable = planes if facts.model is None else vst.forward(facts.model, planes)
        prepared = stable[: facts.channels]
        if facts.offset is not None:
            prepared = prepared - facts.offset
        return cls(facts, prepared, request, context, (dtype, stable.dtype))

    def prepared(self, pilot: Any) -> Any:
        """Return a pilot estimate that is given as an image in the units of the planes."""
        if self.facts.model is not None:
            pilot = vst.forward(self.facts.model, pilot)
        pilot = pilot[: self.facts.channels]
        return pilot if self.facts.offset is None else pilot - self.facts.offset.astype(np.float64)

    def loaded(self, name: str, planes: Any) -> Channels:
        """Convert planes to the units and colors of the stages."""
        request = self.request
        brought = request.backend.bring(planes)
        return request.backend.load(name, brought, self.context.units, request.execution)

    def filtered(self, which: Which, pilot: Channels | None) -> Channels:
        """Match blocks and filter their groups."""
        passes = Passes(
            self.loaded("noisy", self.planes), None, self.context, self.request,
            self.request.execution, None, None,
        )  # fmt: skip
        stage = self.context.stage(self.request.profile, which)
        return filtered(passes, passes.noisy, pilot, stage, which)

    def stored(self, estimate: Channels, inner: Slices, channels: int) -> Any:
        """Return a part of an estimate in the units of the image."""
        facts, request, part = self.facts, self.request, _every(inner)
        backend, planes = request.backend, request.backend.bring(self.planes)[part]
        dtype, stable = self.dtypes
        wide = np.promote_types(interop.result_dtype(stable), np.float32)
        out = backend.empty(planes.shape, wide, planes)
        exact, same = self.context.exact, None
        if exact is not None:
            constant = set(exact.shape[1:]) == {1}
            same = Unchanged(exact if constant else exact[part], planes)
        backend.store(estimate[part], self.context.units, same, out, request.execution)
        if facts.offset is not None:
            out = (out + facts.offset.astype(np.float64)).astype(wide)
        if facts.model is not None:
            out = vst.inverse(facts.model, out)
        out = out.astype(interop.result_dtype(dtype), copy=False)
        if len(out) != channels:
            out = interop.namespace(out).repeat(out, channels, 0)
        return interop.place_like(out, self.planes)


def unchanged(planes: Any, facts: Facts) -> Any:
    """Return planes without noise as they are, in the type of a result."""
    dtype = interop.result_dtype(planes.dtype)
    if facts.model is not None:
        planes = vst.inverse(facts.model, vst.forward(facts.model, planes))
    return planes.astype(dtype)


def _every(spatial: Slices) -> Slices:
    """Return slices of all channels."""
    return (slice(None), *spatial)
