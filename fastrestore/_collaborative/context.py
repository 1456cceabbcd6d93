"""What all tiles of an image share: units, colours, the noise and its tables, the range."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import color, interop
from fastrestore._arrays.validate import Levels
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.stage import (
    Image,
    Noise,
    NoiseMap,
    NoiseSpectrum,
    Run,
    Stage,
    make_stage,
)
from fastrestore._collaborative.tiling import Tile
from fastrestore._noise import estimate
from fastrestore.backends import host
from fastrestore.backends.protocol import Backend

# Where a range is not known before the GPU has measured it, it is taken for so many sigmas, to
# choose the power of two that brings data to about 1.
SIGMAS = 256


@dataclass(frozen=True, slots=True)
class Job:
    """What a call asked for, checked."""

    profile: Profile
    stage: str
    colorspace: str | None
    chroma_strength: float
    data_range: float | None
    guide: Guide | None
    max_memory: float | None
    engine: Backend
    run: Run

    def stages(self, piloted: bool) -> tuple[str, ...]:
        """Return the stages that run."""
        if piloted:
            return ("final",)
        return ("basic",) if self.stage == "basic" else ("basic", "final")

    def part(self, share: float) -> Job:
        """Return the same for a part of the work."""
        tick = self.run.tick
        return replace(self, run=replace(self.run, tick=lambda done: tick(share * done)))


@dataclass(frozen=True, slots=True, eq=False)
class Guide:
    """A picture to match blocks on, with its own noise and range; scaled to about 1."""

    image: Image
    sigma: float
    data_range: float

    @classmethod
    def of(cls, image: NDArray[Any] | None) -> Guide | None:
        """Scale and measure the picture a caller gave."""
        if image is None:
            return None
        scaled = host.scaled(image[None], -math.frexp(float(np.abs(image).max()))[1])
        return cls(scaled[0], float(estimate.sigmas(scaled)[0]), _host_range(scaled))


@dataclass(frozen=True, slots=True, eq=False)
class Common:
    """What all tiles of an image share."""

    exponent: int  # data are divided by this power of two
    space: color.ColourSpace
    noise: Noise  # of the transformed channels, scaled
    data_range: Any  # of what blocks are matched on, scaled; None: still to be measured
    exact: NDArray[np.bool_] | None  # what has no noise: (C, 1, 1) or (C, M, N)
    least: int  # images are padded to this size
    stages: dict[str, Stage] = field(default_factory=dict)  # made so far
    parts: dict[str, Common] = field(default_factory=dict)  # with a noise map

    def stage(self, profile: Profile, which: Literal["basic", "final"]) -> Stage:
        """Return the numbers of a stage, made once; a range that was measured is this image's."""
        if which not in self.stages:
            self.stages[which] = make_stage(profile, which, self.noise, self.data_range)
        numbers = self.stages[which]
        return numbers if numbers.measured is None else replace(numbers, measured=self.data_range)

    def maps(self) -> int:
        """How many numbers a pixel the noise map takes."""
        return 0 if self.noise.map is None else 1 + len(self.noise.map.channels)

    def part(self, tile: Tile) -> Common:
        """Return what a tile sees."""
        if self.noise.map is None:
            return self
        key = str(tile.read)
        if key not in self.parts:
            luminance, channels = (values[(..., *tile.read)] for values in self.noise.map)
            varying = NoiseMap(
                host.padded(luminance[None], self.least)[0], host.padded(channels, self.least)
            )
            part = replace(self, noise=self.noise._replace(map=varying), stages={})
            if tile.read != tile.write:
                return part
            self.parts[key] = part  # the whole image may come again
        return replace(self.parts[key], data_range=self.data_range)


def common(planes: Any, levels: Levels, job: Job) -> Common:
    """Choose units and colours, and bring the noise of an image to them."""
    sigma, extent = float(levels.sigmas.max()), job.data_range
    if extent is None:
        known = _host_range(planes) if interop.on_host(planes) else SIGMAS * sigma
    else:
        known = extent
    # A power of two brings the data to about 1 without rounding: no overflow in squares,
    # whatever the units, and equal results in units a power of two apart.
    exponent = math.frexp(max(sigma, known))[1]
    sigmas = np.ldexp(levels.sigmas, -exponent)
    pixels = None
    if job.colorspace == "pca":  # its axes are those of these pixels
        pixels = host.scaled(interop.to_host(planes), -exponent)
    space = color.colour_space(job.colorspace, len(planes), pixels, sigmas)
    noise = _transformed(space, levels._replace(sigmas=sigmas), exponent, job)
    if job.guide is not None:
        data_range: Any = job.guide.data_range
    elif extent is None:
        data_range = None
    else:
        data_range = space.luminance_range(math.ldexp(extent, -exponent))
    zero = levels.sigmas[:, None, None] == 0 if levels.map is None else levels.map == 0
    return Common(
        exponent=exponent,
        space=space,
        noise=noise,
        data_range=data_range,
        exact=zero if zero.any() else None,
        least=max(job.profile.block_basic, job.profile.block_final),
    )


def _transformed(space: color.ColourSpace, levels: Levels, exponent: int, job: Job) -> Noise:
    """Return the noise of transformed channels; matching sees that of a guide."""
    sigmas = space.sigmas(levels.sigmas)
    sigmas[1:] *= job.chroma_strength
    varying = spectrum = None
    if levels.map is not None:
        varying = space.noise_map(np.ldexp(levels.map, -exponent), levels.sigmas)
    if levels.power is not None:
        spectra = space.spectra(levels.power, levels.sigmas)
        spectrum = NoiseSpectrum(space.luminance_spectrum(spectra, sigmas), spectra)
    if job.guide is None:
        return Noise(space.luminance_sigma(sigmas), sigmas, varying, spectrum)
    if varying is not None:
        varying = varying._replace(luminance=np.ones_like(varying.luminance))
    if spectrum is not None:
        spectrum = spectrum._replace(luminance=np.ones_like(spectrum.luminance))
    return Noise(job.guide.sigma, sigmas, varying, spectrum)


def measured(shared: Common, planes: Any, job: Job) -> Common:
    """Measure the range of what blocks are matched on, in a sample of pixels, if nobody told it."""
    if shared.data_range is not None:
        return shared
    engine, apart = job.engine, host.stride(math.prod(planes.shape[1:]))
    sample = planes[:, ::apart, ::apart]
    channels = engine.load("noisy", sample, -shared.exponent, shared.space.matrix, 1, job.run)
    luminance = engine.luminance(channels, shared.space.weights, job.run)
    return replace(shared, data_range=engine.robust_range(luminance, job.run))


def _host_range(values: NDArray[Any]) -> float:
    """Robust range of a sample of a stack of images."""
    apart = host.stride(values.size)
    return host.robust_range(values[..., ::apart, ::apart])
