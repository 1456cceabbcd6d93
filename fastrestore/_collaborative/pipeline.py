"""From a validated request to a result: units, colors, padding, the two stages, and back.

Images have two spatial axes and volumes three. Pixels on a GPU are not inspected here, which would
make the host wait: such steps are skipped, or left to the backend.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fastrestore._arrays import interop, ranges
from fastrestore._arrays.masks import Mask
from fastrestore._arrays.types import Channels, Image
from fastrestore._collaborative import comparison, low_counts, scales, splitting, tape
from fastrestore._collaborative.block_matches import Matching
from fastrestore._collaborative.guide import Guide
from fastrestore._collaborative.masking import Holes
from fastrestore._collaborative.passes import Passes, repetition
from fastrestore._collaborative.request import Inputs, Request
from fastrestore._collaborative.source import adapted, applied
from fastrestore._collaborative.stage import Context, make_context, measured
from fastrestore._collaborative.tiling import Tile, Tiling
from fastrestore._collaborative.uncertainty import Uncertainty
from fastrestore._noise import vst
from fastrestore._noise.choice import Choice
from fastrestore._noise.planes import PlaneNoise, Source, check_map
from fastrestore.backends.protocol import Needs, Stage, Unchanged, Which
from fastrestore.errors import BackendUnavailableError

FAR = 256  # ratio of offset to range above which an image is shifted


class Result(NamedTuple):
    """A restored image, its noise, and a context for other images if it can be reused."""

    image: Any
    noise: PlaneNoise
    choice: Choice | None  # if it depends on the image
    context: Context | None
    residual: comparison.Residual | None = None  # if it was compared with the noise
    backend: str = ""  # name of the one that was used instead of that of the request


def restore(request: Request, inputs: Inputs, context: Context | None = None) -> Result:
    """Restore an image or a volume; a context of an earlier image of the shape saves time."""
    if request.device is not None:
        with interop.use_device_of(inputs.image, request.device):
            return restore(replace(request, device=None), inputs, context)
    if request.substitute is not None and request.max_memory is None:
        return _with_substitute(request, inputs, context)
    given, target = request, _open(request, inputs)
    request, record = target.request, tape.RECORD.get()
    if record is not None:
        record.begin(request, given, target.noise)
    if isinstance(target.noise.model, vst.PoissonGaussian) and target.pilot is None:
        passes = low_counts.passes(target.noise.model, target.planes)
        if passes:
            if target.uncertainty is not None:
                target.uncertainty.refuse_passes()
            return _from_coarse_to_fine(target, passes)
    choice = target.choice
    if request.strength != 1 and comparison.is_checked(request, choice):
        return comparison.with_strength(restore, given, inputs)
    work = _simplified(target, request)
    if work is None:
        target.estimate[...] = target.planes  # nothing to remove
        return target.result(request, context)
    shared = context
    if shared is None or work.request is not request:
        shared = make_context(work.planes, work.noise, work.request, work.guide)
    works = [work]
    if request.noise is None:
        works = _with_coarser(work)
    sizes = [float(np.prod(each.planes.shape)) for each in works]
    for each, size in zip(works, sizes, strict=True):
        own = shared
        if each is not work:
            own = make_context(each.planes, each.noise, each.request)
        _restore_scale(each, own, size / sum(sizes))
    scales.merge([each.out for each in works])
    if work.out is not target.estimate:
        target.estimate[...] = work.out if work.offset is None else work.out + work.offset

    def again(source: Source) -> Result:
        return restore(replace(given, source=source), inputs)

    results = [target.result(request, shared)]
    del target, work, works, shared, each, own  # their memory is needed if there is another run
    return comparison.checked(again, request, inputs.image, results.pop())


def _with_substitute(request: Request, inputs: Inputs, context: Context | None) -> Result:
    """Restore an image by the backend of a request or, if it fails, by its substitute."""
    alone = replace(request, substitute=None)
    if not interop.on_host(inputs.image):
        return restore(alone, inputs, context)
    try:
        return restore(alone, inputs, context)
    except (MemoryError, BackendUnavailableError) as error:
        request = request.substituted(error)
    return restore(request, inputs)._replace(backend=request.backend.NAME)


def _restore_scale(work: _Work, context: Context, share: float) -> None:
    """Restore the planes of one scale, which is a share of the work of the call."""
    request, stages = work.request, work.request.stages(work.pilot is not None)
    needs = Needs(request.profile, stages, work.planes.dtype, bool(context.maps()), request.ndim)
    request.backend.warm(needs, request.execution)
    whole = tuple(slice(0, size) for size in work.planes.shape[1:])
    tiling, tiles = None, [Tile(whole, whole, whole)]
    if request.is_limited():
        tiling = _tiling(work, context.maps())
        tiles = list(tiling.tiles())
    record = tape.RECORD.get()
    while True:
        if record is not None:
            record.attempt(len(tiles))
        try:
            ready = measured(context, work.planes, request)  # `context` may serve other images
            for tile in tiles:
                _restore_tile(work, ready, tile, share / len(tiles))
            break
        except MemoryError:
            if request.ndim != 2:
                raise
            tiling = (tiling or _tiling(work, context.maps())).smaller()
            tiles = list(tiling.tiles())


def _from_coarse_to_fine(target: _Target, passes: list[low_counts.Pass]) -> Result:
    """Restore an image of few photons by several passes."""
    few = low_counts.FewPhotons(target.request, target.noise, target.guide)
    target.view[...] = few.restored(
        target.given, passes, lambda part, *images: restore(part, Inputs(*images)).image
    )
    return replace(target, estimate=target.view).result(target.request, None)


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    """The planes of an image, and the memory for its result."""

    request: Request
    image: Any  # input array
    given: Any  # its planes (C, *spatial)
    planes: Any  # stabilized, and without holes
    pilot: Any
    guide: Any
    noise: PlaneNoise
    choice: Choice | None  # if the noise depends on the image
    whole: Any  # the result, of the shape of the image
    view: Any  # of the result, as planes
    estimate: Any  # of the planes; `view` if no conversion is necessary
    matching: Matching | None
    uncertainty: Uncertainty | None = None

    def result(self, request: Request, context: Context | None) -> Result:
        """Convert the estimate to the result."""
        if self.uncertainty is not None:
            self.uncertainty.finish(request, self.image, self.estimate, self.noise.model)
        if self.estimate is not self.view:
            model = self.noise.model
            estimate = self.estimate if model is None else vst.inverse(model, self.estimate)
            self.view[...] = estimate
        if request.mask is not None:
            request.mask.put_back(self.view, self.given)
        keep = context is not None and context.reusable and request.noise is not None
        image = interop.place_like(self.whole, self.image)
        return Result(image, self.noise, self.choice, context if keep else None)


def _open(request: Request, inputs: Inputs) -> _Target:
    """Validate the arrays, stabilize and estimate the noise, and allocate the result."""
    backend, geometry = request.backend, request.geometry
    values = backend.bring(inputs.image)
    name = "image" if request.ndim == 2 else "volume"
    mask = request.checked_mask(name, values)
    planes = given = geometry.planes(values)
    pilot = None if inputs.pilot is None else backend.bring(inputs.pilot)
    guide = inputs.guide
    if guide is not None and not interop.on_host(guide):  # one on the host is prepared there
        guide = backend.bring(guide)
    if mask is not None:
        request = request if mask is request.mask else replace(request, mask=mask)
        planes, pilot = mask.fill(planes), None if pilot is None else mask.fill(pilot)
    noise = request.noise
    if request.check_spectrum and noise is not None and interop.on_host(values):
        ranges.warn_of_spectrum(noise.largest, planes)
    choice = None
    if noise is None:
        noise, choice = applied(request, planes, mask)
        request = adapted(request, noise)
    noise = noise.times(request.strength)
    if not noise.sigmas.any():
        noise = replace(noise, model=None)  # the image is returned
    model = noise.model
    if model is not None:
        planes = vst.forward(model, planes)
        pilot = None if pilot is None else vst.forward(model, pilot)
    dtype = interop.result_dtype(values.dtype)
    whole = backend.empty(values.shape, dtype, values) if inputs.out is None else inputs.out
    view = estimate = geometry.planes(whole)
    if model is not None or dtype.itemsize < 4:
        wide = np.promote_types(interop.result_dtype(planes.dtype), np.float32)
        estimate = backend.empty(planes.shape, wide, planes)
    return _Target(
        request, inputs.image, given, planes, pilot, guide, noise, choice,
        whole=whole, view=view, estimate=estimate, matching=inputs.matching,
        uncertainty=inputs.uncertainty,
    )  # fmt: skip


def _with_coarser(work: _Work) -> list[_Work]:
    """Return the scales on which an image is restored, the finest first."""
    works = [work]
    # Coarser scales are not sharpened, which would amplify low frequencies, too
    plain = work.pilot is None and work.guide is None and work.request.profile.sharpen == 1
    while plain and scales.has_coarser(works[-1].noise, works[-1].planes.shape):
        works.append(replace(works[-1], **scales.coarser(works[-1])))
    return works


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """The part of an image that has to be filtered."""

    planes: Any
    pilot: Any
    guide: Guide | None
    noise: PlaneNoise
    request: Request
    out: Any
    offset: Any = None  # to add to `out`
    matching: Matching | None = None  # of blocks
    uncertainty: Uncertainty | None = None


def _simplified(target: _Target, request: Request) -> _Work | None:
    """Reduce equal channels to one and subtract a large offset; None if there is no noise."""
    noise, planes = target.noise, target.planes
    if not noise.sigmas.any():
        return None
    guide = None if target.guide is None else Guide.of(target.guide, request)
    work = _Work(
        planes, target.pilot, guide, noise, request, target.estimate, matching=target.matching,
        uncertainty=target.uncertainty,
    )  # fmt: skip
    if not interop.on_host(planes):
        return work
    planes = np.ascontiguousarray(planes)
    spatial = tuple(range(1, planes.ndim))
    # Gradients of a constant image are those of its filtering
    constant = tape.RECORD.get() is None and planes.min(spatial) == planes.max(spatial)
    if ((noise.sigmas == 0) | constant).all():
        return None  # without noise, or constant
    work = replace(work, planes=planes)
    if (
        len(planes) > 1
        and noise.is_same_in_all_channels()
        and ranges.are_channels_equal(planes, target.pilot)
    ):
        work = _first_channel(work)
    spread = float(np.ptp(planes))
    if noise.map is not None and spread > 0:
        check_map(noise.map, noise.largest / spread)
    extent = ranges.warn_of_units(
        noise.largest, planes, request.data_range, request.noise_argument()
    )
    base = planes.min()
    if abs(float(base)) > FAR * max(extent, noise.largest):
        work = _shifted(work, base)
    if work.planes is not planes:
        wide = np.promote_types(interop.result_dtype(planes.dtype), np.float32)
        work = replace(work, out=request.backend.empty(work.planes.shape, wide, planes))
    return work


def _first_channel(work: _Work) -> _Work:
    """Reduce the work to the first channel."""
    mask = work.request.mask
    return replace(
        work,
        planes=work.planes[:1],
        pilot=None if work.pilot is None else work.pilot[:1],
        noise=work.noise.channel(0),
        request=replace(
            work.request, colorspace=None, weights=np.ones(1), chroma_strength=1.0,
            mask=None if mask is None else mask.part((slice(1),)),
        ),
    )  # fmt: skip


def _shifted(work: _Work, base: Any) -> _Work:
    """Subtract a constant in the type of the image, because float32 would lose digits."""
    offset = base.astype(np.float64)
    pilot = None if work.pilot is None else work.pilot - offset
    return replace(work, planes=work.planes - base, pilot=pilot, offset=offset)


def _tiling(work: _Work, maps: int) -> Tiling:
    """Return the largest tiles that fit in memory."""
    return Tiling.of(work.planes.shape, maps, work.request, work.pilot is not None)


def _restore_tile(work: _Work, context: Context, tile: Tile, share: float) -> None:
    """Load a tile, run the stages, and store its result without the halo."""
    request, backend = work.request, work.request.backend
    stages, profile = request.stages(work.pilot is not None), request.profile
    iterated = profile.iterations > 0 and context.statistics.noise.spectrum is not None
    steps = len(stages) * 2 * (2 if profile.residual else 1)
    steps += 2 * profile.iterations if iterated and stages[-1] == "final" else 0
    report, part = request.execution.report_progress, share / steps
    execution = replace(request.execution, report_progress=lambda done: report(part * done))
    read, write = (slice(None), *tile.read), (slice(None), *tile.write)
    estimate: Channels | None = None
    if work.pilot is not None:
        estimate = backend.load("pilot", work.pilot[read], context.units, execution)
    noisy = backend.load("noisy", work.planes[read], context.units, execution)
    passes = Passes(
        noisy, _loaded_guide(work, context, read), context.part(tile), request, execution,
        _holes(request.mask, context, tile), work.matching, work.uncertainty,
    )  # fmt: skip
    for which in stages:
        if iterated and which == "final":
            estimate = splitting.iterated(passes, estimate, filtered)
            break
        pilot, stage = estimate, passes.context.stage(profile, which)
        estimate = filtered(passes, noisy, pilot, stage, which)
        if profile.residual:
            estimate = filtered(passes, *repetition(passes, estimate, which))
    assert estimate is not None
    if tile.write != tile.read:
        estimate = estimate[(slice(None), *tile.inner)]
    unchanged = None
    if context.exact is not None:
        constant = set(context.exact.shape[1:]) == {1}
        unchanged = Unchanged(
            context.exact if constant else context.exact[write], work.planes[write]
        )
    backend.store(estimate, context.units, unchanged, work.out[write], execution)
    if execution.memory is not None and tile.write != tile.read:
        execution.memory.forget()  # maps of this tile


def _holes(mask: Mask | None, context: Context, tile: Tile) -> Holes | None:
    """Return the invalid pixels of a tile."""
    if mask is None:
        return None
    whole = tile.read == tile.write
    return Holes.of(mask, context.units, None if whole else (slice(None), *tile.read))


def _loaded_guide(work: _Work, context: Context, read: tuple[slice, ...]) -> Image | None:
    """Load the part of the guide for a tile."""
    if work.guide is None:
        return None
    units = context.units._replace(exponent=work.guide.exponent, matrix=np.eye(1))
    request = work.request
    image = work.guide.image[read]
    loaded: Image = request.backend.load("guide", image, units, request.execution)[0]
    return loaded


def filtered(
    passes: Passes,
    noisy: Channels,
    pilot: Channels | None,
    stage: Stage,
    which: Which | None = None,
) -> Channels:
    """Match blocks and filter their groups, once; matches of a stage `which` may be given."""
    backend, execution, matched = passes.request.backend, passes.execution, passes.guide
    if matched is None:
        seen = noisy if pilot is None else pilot
        matched = backend.luminance(seen, passes.context.weights, execution)
    if passes.request.ndim == 2 and not stage.has_sides:
        match, filter_groups = backend.bm3d_match, backend.bm3d_filter
    else:
        match, filter_groups = backend.bm4d_match, backend.bm4d_filter
    if passes.holes is not None:
        matched = passes.holes.matched(matched, backend, execution)
        noisy = passes.holes.filtered(noisy, pilot, backend, execution)
    images = (noisy,) if pilot is None else (noisy, pilot)
    matching, matches = passes.matching, None
    if matching is not None and which is not None:
        matches = matching.matches(which, stage, matched.shape)
    if matches is None:
        matches = match(matched, stage, execution)
    if matching is not None and which is not None:
        matching.kept[which] = matches
    estimate = filter_groups(images, matches, stage, execution)
    record = tape.RECORD.get()
    if record is not None:
        record.add(passes.context, tape.Step(estimate, images, matches, stage))
    if passes.uncertainty is not None and pilot is not None:
        passes.uncertainty.measure(passes, estimate, pilot, matches, stage)
    return estimate
