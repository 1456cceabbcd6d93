"""What all chunks share: units, colors, noise and stages, measured once on the whole image.

It is a node of the graph, which every task of a stage depends on. The measures, and what follows
from them, are those of `fastrestore._collaborative.pipeline` for an image that is not chunked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import outliers, ranges, validate
from fastrestore._chunked import versions
from fastrestore._chunked.cuts import Depths, Reach, farthest, reaches
from fastrestore._chunked.maps import Noise
from fastrestore._chunked.survey import Survey
from fastrestore._collaborative.comparison import is_checked
from fastrestore._collaborative.low_counts import passes_of
from fastrestore._collaborative.pipeline import FAR
from fastrestore._collaborative.pixels import Pixels
from fastrestore._collaborative.profile import CORRELATED, PROFILES, Profile
from fastrestore._collaborative.repetitions import Repetitions
from fastrestore._collaborative.request import Request
from fastrestore._collaborative.scales import has_coarser
from fastrestore._collaborative.source import adapted
from fastrestore._collaborative.stage import Context, context_of, measured_on
from fastrestore._noise import vst
from fastrestore._noise.applied import SQUARE
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends import host
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select


@dataclass(frozen=True, eq=False)
class Settings:
    """A validated call, without what cannot be sent to other processes."""

    name: str  # of the image, in messages
    request: Request  # without backend and execution
    backend: str | None  # as the caller requested it
    capability: str
    workers: int
    deterministic: bool
    shape: tuple[int, ...]  # of the planes (C, *spatial)
    piloted: bool = False
    version: str = field(default_factory=versions.own)
    searched: tuple[int, ...] = ()  # axes of the planes of a volume that may repeat slices

    @property
    def square(self) -> int:
        """Side of the squares whose mean is the brightness that noise depends on, or 1."""
        return 1 if self.request.noise is not None else SQUARE

    def profiles(self) -> tuple[Profile, ...]:
        """Return the profiles that may be used: another one if the noise is correlated."""
        noise, profile = self.request.noise, self.request.profile
        two = noise is None and len(self.shape) == 3 and profile is PROFILES["np"]
        return (profile, CORRELATED) if two else (profile,)

    def reaches(self, which: str) -> list[tuple[Reach, ...]]:
        """Return how far a stage may read beyond chunks, with each profile."""
        ndim = len(self.shape) - 1
        return [reaches(profile, which, ndim, self.square) for profile in self.profiles()]

    def is_small(self) -> bool:
        """Whether an image is smaller than a block, so that the stages pad it."""
        sizes = zip(self.shape[1:], self.request.least_shape(), strict=True)
        return any(size < least for size, least in sizes)

    def depths(self) -> Depths:
        """Return the largest overlap of all stages."""
        stages = self.request.stages(self.piloted)
        return farthest(reach for which in stages for reach in self.reaches(which))

    @classmethod
    def of(cls, name: str, request: Request, backend: str | None, workers: Any) -> Settings:
        """Return the settings for a request.

        The kernels of a chunk use one thread unless the caller requests more, because chunks are
        restored at the same time.
        """
        geometry = request.geometry
        shape = tuple(n for k, n in enumerate(geometry.shape) if k != geometry.channel_axis)
        first = geometry.slice_axis - 1
        shape = (geometry.channels, shape[first], *shape[:first], *shape[first + 1 :])
        capability = "image" if geometry.ndim == 2 else "volume"
        plain = portable(request)
        threads = 1 if workers is None else request.execution.workers
        same = request.execution.deterministic
        return cls(name, plain, backend, capability, threads, same, shape)

    def ready(self, request: Request, on_host: bool, size: int) -> Request:
        """Return a request that can run here, for a chunk of a number of values."""
        versions.check(self.version)
        engine = select(self.backend, on_host, self.capability, size)
        memory = engine.memory()
        execution = Execution(self.workers, deterministic=self.deterministic, memory=memory)
        return replace(request, backend=engine, execution=execution)


def portable(request: Request) -> Request:
    """Return a request without what cannot be sent to other processes."""
    return replace(request, backend=None, execution=None, substitute=None)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Facts:
    """What the tasks of all chunks need to know of the whole image."""

    settings: Settings
    request: Request  # as adapted to the image
    noise: Noise
    pixels: Pixels
    context: Context | None  # None: there is nothing to remove
    offset: Any = None  # subtracted from the planes, in their type
    model: Any = None  # planes are stabilized by it

    def reach(self, which: str) -> tuple[Reach, ...]:
        """Return how far a stage reads beyond a chunk."""
        settings = self.settings
        return reaches(self.request.profile, which, len(settings.shape) - 1, settings.square)

    @property
    def channels(self) -> int:
        """Number of channels that are filtered: 1 if all are equal."""
        return self.pixels.channels


def facts_of(
    settings: Settings, given: Noise, survey: Survey | None, samples: tuple[Any, Any]
) -> Facts:
    """Derive what all chunks share; raise or warn if the noise does not fit the image.

    `survey` is None for chunks on a GPU, whose pixels are not inspected. `samples` are regular ones
    of the planes, for the range of the channels and of the image that blocks are matched on.
    """
    request = settings.request
    if survey is not None:
        _check_values(settings, given.planes, survey, samples[1])
    if request.noise is None:
        ready = settings.ready(request, survey is not None, math.prod(settings.shape))
        request = portable(adapted(ready, given.planes))
    noise = given.planes.times(request.strength)
    model = noise.model if noise.sigmas.any() else None
    nothing = Facts(settings, request, given, Pixels(len(noise.sigmas), True, False, None), None)
    if not noise.sigmas.any():
        return nothing
    if model is not None:
        samples = tuple(vst.forward(model, each) for each in samples)
    offset = None
    if survey is not None:
        if ((noise.sigmas == 0) | (survey.low == survey.high)).all():
            return replace(nothing, model=model)
        same = given.has_one_map() and noise.is_same_in_all_channels()
        if len(survey.low) > 1 and survey.gray and same:
            noise = noise.channel(0)
            request = replace(request, colorspace=None, weights=np.ones(1), chroma_strength=1.0)
            samples = (samples[1][:1], samples[1][:1])
            survey = survey._replace(low=survey.low[:1], high=survey.high[:1])
        offset = _offset(settings, request, noise, survey)
        if offset is not None:
            samples = tuple(each - offset for each in samples)
    _refuse(settings, given, noise, survey)
    ready = settings.ready(request, survey is not None, math.prod(settings.shape))
    pixels = _pixels(samples[0], request)
    context = measured(context_of(pixels, noise, ready), samples[1], ready)
    for which in ready.stages(settings.piloted):
        context.stage(request.profile, which)
    return Facts(settings, request, given._replace(planes=noise), pixels, context, offset, model)


def measured(context: Context, sample: Any, request: Request) -> Context:
    """Measure the range of the image that blocks are matched on, if it is unknown."""
    if context.statistics.data_range is not None:
        return context
    return measured_on(context, sample, request)


def _check_values(
    settings: Settings, noise: PlaneNoise, survey: Survey, sample: NDArray[Any]
) -> None:
    """Raise or warn if the values of the image do not fit the call."""
    name, request = settings.name, settings.request
    ends = np.array(survey.ends)
    validate.check_finite(name, ends)
    some = np.concatenate([sample.ravel(), ends.astype(sample.dtype)])
    sigma = request.known_sigma()
    if outliers.plausible(name, some, sigma, outliers.REPLACE) is not None:
        raise ValueError(
            f"{name} has values from {ends[0]:g} to {ends[1]:g}, and nearly all of them are in a "
            f"range {outliers.SEPARATE:g} times smaller; {outliers.REPLACE}"
        )
    if request.check_spectrum:
        size = math.prod(settings.shape)
        ranges.warn_of_weak_spectrum(noise.largest, float(np.ptp(ends)), size)


# What to do about few photons
FEW_PHOTONS = (
    "restore parts that fit in memory, or write noise='white' (--noise white), which does not "
    "follow the brightness"
)


def _refuse(settings: Settings, given: Noise, noise: PlaneNoise, survey: Survey | None) -> None:
    """Raise if the noise needs methods that use the whole image."""
    name, shape, request = settings.name, settings.shape, settings.request
    cure = "write sigma= or psd=, or restore parts that fit in memory"
    if request.noise is None and not settings.piloted and has_coarser(noise, shape):
        raise ValueError(
            f"the noise of {name} has wavelengths beyond the blocks, for which several scales of "
            f"the whole image are restored; this is not supported for a chunked array: {cure}"
        )
    if is_checked(request, given.choice):
        assert given.choice is not None
        raise ValueError(
            f"the noise of {name} was estimated as {given.choice.spec.model!r}, whose level is "
            "compared with what was removed from the whole image; this is not supported for a "
            "chunked array: write noise=estimate_noise(..) of the image or of a part, or sigma="
        )
    if survey is not None:
        _refuse_repetitions(settings, survey)
    if survey is None or settings.piloted or not isinstance(noise.model, vst.PoissonGaussian):
        return
    if passes_of(noise.model, survey.total / math.prod(shape), shape):
        raise ValueError(
            f"{name} has few photons, for which means of the whole image are restored first; this "
            f"is not supported for a chunked array: {FEW_PHOTONS}"
        )


def _refuse_repetitions(settings: Settings, survey: Survey) -> None:
    """Raise if slices of a volume are repeated, which has to be known for the whole axis."""
    for axis, layers in zip(settings.searched, survey.layers, strict=True):
        alike = layers.alike()
        if alike.any() and Repetitions.of({axis - 1: alike}, (), settings.request) is not None:
            raise ValueError(
                f"{settings.name} has {np.count_nonzero(alike)} slices that are equal to the slice "
                f"before, the first is number {int(alike.argmax()) + 1} of {len(alike)}; their "
                "noise is equal, too, which is not supported for a chunked array: leave them out"
            )


def _offset(settings: Settings, request: Request, noise: PlaneNoise, survey: Survey) -> Any:
    """Return the constant to subtract if values are far from 0, or None; warn about units."""
    extent, size = survey.extent(), math.prod(settings.shape[1:]) * len(survey.low)
    ranges.warn_of_extent(noise.largest, extent, size, request.data_range, request.noise_argument())
    base = survey.low.min()
    return base if abs(float(base)) > FAR * max(extent, noise.largest) else None


def _pixels(sample: Any, request: Request) -> Pixels:
    """Return the measures of planes from a sample for their range."""
    exact = len(sample) == 1 and sample.dtype == np.float32
    extent = host.robust_range(sample) if request.data_range is None else None
    return Pixels(len(sample), True, exact, extent)
