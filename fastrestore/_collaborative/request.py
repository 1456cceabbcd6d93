"""The arguments of `bm3d`, checked once, and the calls that they are good for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from fastrestore._arrays import color, interop, validate
from fastrestore._arrays.validate import Levels
from fastrestore._collaborative.context import Common, Guide, Job
from fastrestore._collaborative.pipeline import restored
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.stage import Run
from fastrestore._noise import psd
from fastrestore._noise.estimate import sigmas
from fastrestore._noise.vst import NoiseModel, PoissonGaussian, Rician
from fastrestore.backends.select import select

_STAGES = ("basic", "final")


class Options(NamedTuple):
    """Arguments of `bm3d` of the same names, as users write them."""

    profile: str | Profile
    stage: str
    data_range: float | None
    channel_axis: int | None
    colorspace: str | None
    chroma_strength: float
    max_memory: float | None
    deterministic: bool
    workers: int | None
    backend: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """What holds for every image of one shape."""

    channel_axis: int | None
    noise: NoiseModel | None
    levels: Levels | None  # None: to be estimated
    faint: bool  # whether to warn of a spectrum in other units
    job: Job
    kept: list[Common] = field(default_factory=list)

    @classmethod
    def checked(
        cls,
        told: dict[str, Any],
        options: Options,
        shape: tuple[int, ...],
        on_host: bool,
        needs: str = "bm3d_match",
    ) -> Call:
        """Check all but the images; `told` is by which argument the noise is.

        `needs` names a function that the backend must have.
        """
        axis = options.channel_axis
        validate.check_axes("image", shape, axis)
        count = 1 if axis is None else shape[axis]
        validate.at_most_one({name: value for name, value in told.items() if value is not None})
        space = color.check(options.colorspace, count)
        chroma = validate.positive("chroma_strength", options.chroma_strength)
        color.check_chroma(chroma, space, count, axis)
        profile = options.profile
        numbers = Profile.named(profile) if isinstance(profile, str) else profile
        if not isinstance(numbers, Profile):
            raise TypeError(f"profile must be a name or a Profile, got {profile!r}")
        if options.stage not in _STAGES:
            raise ValueError(f"stage must be 'basic' or 'final', got {options.stage!r}")
        if numbers.sharpen != 1:
            if needs != "bm3d_match" or options.stage != "basic":
                raise ValueError(
                    f"profile {numbers.name!r} sharpens, which images can be in the basic stage "
                    "alone; write stage='basic', or use sharpen"
                )
            needs = "bm3d_sharpened"
        extent = validate.extent(options.data_range)
        limit = validate.max_memory(options.max_memory)
        threads = validate.workers(options.workers)
        same = validate.flag("deterministic", options.deterministic)
        engine = select(options.backend, on_host, needs)
        levels = _levels(told, shape, axis, numbers)
        noise = told["noise"]
        if noise is not None and extent is not None:
            extent = noise.extent(extent)
        run = Run(threads, lambda share: None, same, engine.memory())
        job = Job(numbers, options.stage, space, chroma, extent, None, limit, engine, run)
        faint = told["psd"] is not None or told["noise_kernel"] is not None
        return cls(axis, noise, levels, faint, job)

    def run(
        self,
        image: Any,
        pilot: Any,
        guide: Any,
        tick: Callable[[float], None],
        out: Any = None,
    ) -> tuple[Any, Levels]:
        """Restore an image; return the result, where the image is, and its noise."""
        axis, engine, noise = self.channel_axis, self.job.engine, self.noise
        values = engine.bring(image)
        planes = validate.channels("image", values, axis)
        first = validate.pilot(pilot, image, axis, self.job.stage)
        first = None if first is None else engine.bring(first)
        matched = validate.guide(guide, values.shape, planes.shape, axis)
        if self.faint and self.levels is not None and interop.on_host(values):
            validate.warn_of_faint(float(self.levels.sigmas.max()), planes)
        if noise is not None:
            planes = noise.forward(planes)
            first = None if first is None else noise.forward(first)
        levels = self.levels
        if levels is None:
            levels = Levels(sigmas(interop.to_host(planes)))
        job = replace(self.job, guide=Guide.of(matched), run=replace(self.job.run, tick=tick))
        dtype = interop.result_dtype(values.dtype)
        result = out if out is not None else engine.empty(values.shape, dtype, values)
        view = result[None] if axis is None else interop.channels_first(result, axis)
        if noise is None and dtype.itemsize >= 4:
            restored(planes, first, levels, job, view, self.kept)
        else:
            estimate = restored(planes, first, levels, job, None, self.kept)
            view[...] = estimate if noise is None else noise.inverse(estimate)
        return interop.place_like(result, image), levels


def with_spectrum(
    image: Any, psd: Any, options: dict[str, Any], pilot: Any = None, stage: str = "final"
) -> Any:
    """As `bm3d`, for a spectrum that was computed: nobody is warned that it says little noise."""
    usual = {
        "channel_axis": None, "colorspace": "auto", "chroma_strength": 1.0, "max_memory": None,
        "deterministic": False,
    }  # fmt: skip
    told = {"sigma": None, "psd": psd, "noise_kernel": None, "noise": None}
    given = Options(stage=stage, **usual | options)
    call = Call.checked(told, given, image.shape, interop.on_host(image))
    return replace(call, faint=False).run(image, pilot, None, lambda share: None)[0]


def _levels(
    told: dict[str, Any], shape: tuple[int, ...], channel_axis: int | None, profile: Profile
) -> Levels | None:
    """Return the noise by what one argument tells of it, or None if it has to be estimated."""
    if told["psd"] is not None:
        return psd.levels_of_psd(told["psd"], shape, channel_axis)
    if told["noise_kernel"] is not None:
        return psd.levels_of_kernel(told["noise_kernel"], shape, channel_axis, profile.far())
    if told["noise"] is not None:
        if not isinstance(told["noise"], (PoissonGaussian, Rician)):
            raise TypeError(f"noise must be a PoissonGaussian or a Rician, got {told['noise']!r}")
        return Levels(np.ones(1 if channel_axis is None else shape[channel_axis]))
    if told["sigma"] is None:
        return None
    levels = validate.levels(told["sigma"], shape, channel_axis)
    if profile.residual and levels.map is not None:
        raise ValueError(
            f"profile {profile.name!r} filters the residual again, which needs noise that is the "
            "same everywhere; sigma is a map, so write profile='np'"
        )
    return levels
