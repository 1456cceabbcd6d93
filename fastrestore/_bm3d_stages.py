"""BM3D from checked arguments to a result: scale, change colours, pad, run the two stages, undo."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastrestore import _arguments, _arrays, _colour, _noise
from fastrestore._arguments import Levels
from fastrestore._profile import Profile
from fastrestore._psd import split
from fastrestore._refilter import remains
from fastrestore._stage import (
    Channels,
    Image,
    Noise,
    NoiseSpectrum,
    Run,
    Stage,
    make_stage,
)
from fastrestore.backends import Backend

T = TypeVar("T", bound=np.generic)


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
        scaled = _scaled(image[None], -math.frexp(float(np.abs(image).max()))[1])
        return cls(scaled[0], float(_noise.sigmas(scaled)[0]), robust_range(scaled))


@dataclass(frozen=True, slots=True)
class Job:
    """What a call asked for, checked."""

    profile: Profile
    stage: str
    colorspace: str | None
    chroma_strength: float
    data_range: float | None
    guide: Guide | None
    engine: Backend
    run: Run


def restored(
    planes: NDArray[Any], pilot: NDArray[Any] | None, levels: Levels, job: Job
) -> NDArray[Any]:
    """Restore channels (C, M, N): see to what needs no filter, scale, filter, scale back."""
    planes = np.ascontiguousarray(planes)
    sigmas = levels.sigmas
    untouched = (sigmas == 0) | (planes.min((1, 2)) == planes.max((1, 2)))
    if untouched.all():
        return planes.copy()  # nothing to remove, or nothing but noise-free
    if _is_gray(
        planes, pilot, levels
    ):  # a gray picture stored in colour: its noise is the same in all channels
        first = None if pilot is None else pilot[:1]
        level = levels._replace(sigmas=sigmas[:1])
        if levels.map is not None:
            level = level._replace(map=levels.map[:1])
        if levels.power is not None:
            level = level._replace(power=levels.power[:1])
        one = restored(planes[:1], first, level, replace(job, colorspace=None))
        return np.broadcast_to(one, planes.shape)
    _arguments.warn_of_units(float(sigmas.max()), planes)

    # A power of two brings the data to about 1 without rounding: no overflow in squares,
    # whatever the units, and equal results in units a power of two apart.
    extent = job.data_range
    largest = max(float(sigmas.max()), robust_range(planes) if extent is None else extent)
    exponent = math.frexp(largest)[1]
    noisy = _scaled(planes, -exponent)
    guide = None if pilot is None else _scaled(pilot, -exponent)
    extent = None if extent is None else math.ldexp(extent, -exponent)
    scaled = levels._replace(sigmas=np.ldexp(sigmas, -exponent))
    if levels.map is not None:
        scaled = scaled._replace(map=np.ldexp(levels.map, -exponent))
    result = _denoise(noisy, guide, scaled, extent, job)
    dtype = np.promote_types(_arrays.result_dtype(planes.dtype), np.float32)
    estimate: NDArray[Any] = np.ldexp(result, exponent, dtype=dtype)
    exact = levels.map == 0 if levels.map is not None else sigmas == 0
    estimate[exact] = planes[exact]
    return estimate


def _is_gray(planes: NDArray[Any], pilot: NDArray[Any] | None, levels: Levels) -> bool:
    """Whether there are several channels and all are the same picture with the same noise."""
    if len(planes) == 1 or np.ptp(levels.sigmas) > 0:
        return False
    images = [image for image in (planes, pilot, levels.map, levels.power) if image is not None]
    if any((image[1:, 0] != image[:1, 0]).any() for image in images):
        return False  # the first row tells most colour images
    return all((image[1:] == image[:1]).all() for image in images)


def _denoise(
    noisy: Channels,
    pilot: Channels | None,
    levels: Levels,
    data_range: float | None,
    job: Job,
) -> Channels:
    """Change colours, run the stages, change colours back."""
    profile = job.profile
    space = _colour.colour_space(job.colorspace, noisy, levels.sigmas)
    channels = space.forward(noisy)
    noise, extent = _noise_and_range(channels, space, levels, data_range, job)
    steps = (4 if job.stage == "final" and pilot is None else 2) * (2 if profile.residual else 1)
    passes = _Passes(
        noisy=_padded(channels, profile),
        space=space,
        noise=noise,
        data_range=extent,
        guide=None if job.guide is None else _padded(job.guide.image[None], profile)[0],
        job=job,
        run=Run(job.run.workers, lambda share: job.run.tick(share / steps)),
    )
    estimate = None if pilot is None else _padded(space.forward(pilot), profile)
    if estimate is None:
        estimate = passes.twice("basic", None)
    if job.stage == "final":
        estimate = passes.twice("final", estimate)
    return space.back(estimate[:, : noisy.shape[1], : noisy.shape[2]])


@dataclass(frozen=True, slots=True, eq=False)
class _Passes:
    """The transformed channels of an image, and how to run a stage over them."""

    noisy: Channels
    space: _colour.ColourSpace
    noise: Noise
    data_range: float
    guide: Image | None
    job: Job
    run: Run

    def twice(self, which: Literal["basic", "final"], pilot: Channels | None) -> Channels:
        """Run a stage, and again over what it should not have taken away."""
        profile = self.job.profile
        numbers = make_stage(profile, which, self.noise, self.data_range)
        estimate = self._once(self.noisy, pilot, numbers)
        if not profile.residual:
            return estimate
        rest, noise = self._rest(self.noisy - estimate)
        rest += estimate
        stronger = profile.replace(
            threshold=profile.threshold_residual, wiener=profile.wiener_residual
        )
        numbers = make_stage(stronger, which, noise, self.data_range)
        return self._once(rest, estimate if which == "final" else None, numbers)

    def _once(self, noisy: Channels, pilot: Channels | None, numbers: Stage) -> Channels:
        """Run a stage."""
        engine, matched = self.job.engine, self.guide
        if matched is None:
            matched = self.space.luminance(noisy if pilot is None else pilot)
        matches = engine.bm3d_match(matched, numbers, self.run)
        if pilot is None:
            return engine.bm3d_basic(noisy, matches, numbers, self.run)
        return engine.bm3d_final(noisy, pilot, matches, numbers, self.run)

    def _rest(self, residual: Channels) -> tuple[Channels, Noise]:
        """Return what noise does not explain of a residual, and the noise in that."""
        white = np.ones((1, 1, 1))
        shapes = white if self.noise.spectrum is None else self.noise.spectrum.channels
        rest, powers = np.empty_like(residual), []
        for c, sigma in enumerate(self.noise.sigmas):
            power = shapes[min(c, len(shapes) - 1)] * sigma**2
            threshold = self.job.profile.residual
            rest[c], left = remains(residual[c], power, threshold, self.run.workers)
            powers.append(left)
        sigmas, spectra = split(np.array(powers))
        sigma, spectrum = self.noise.sigma, np.ones((1, 1))
        if self.job.guide is None:
            sigma = self.space.luminance_sigma(sigmas)
            spectrum = self.space.luminance_spectrum(spectra, sigmas)
        return rest, Noise(sigma, sigmas, None, NoiseSpectrum(spectrum, spectra))


def _noise_and_range(
    channels: Channels,
    space: _colour.ColourSpace,
    levels: Levels,
    data_range: float | None,
    job: Job,
) -> tuple[Noise, float]:
    """Return the noise of transformed channels, and the range of what blocks are matched on."""
    sigmas = space.sigmas(levels.sigmas)
    sigmas[1:] *= job.chroma_strength
    varying = spectrum = None
    if levels.map is not None:
        varying = space.noise_map(_padded(levels.map, job.profile), levels.sigmas)
    if levels.power is not None:
        spectra = space.spectra(levels.power, levels.sigmas)
        spectrum = NoiseSpectrum(space.luminance_spectrum(spectra, sigmas), spectra)
    if job.guide is not None:  # matching sees the guide's noise and range
        if varying is not None:
            varying = varying._replace(luminance=np.ones_like(varying.luminance))
        if spectrum is not None:
            spectrum = spectrum._replace(luminance=np.ones_like(spectrum.luminance))
        return Noise(job.guide.sigma, sigmas, varying, spectrum), job.guide.data_range
    if data_range is None:
        extent = robust_range(space.luminance(channels))
    else:
        extent = space.luminance_range(data_range)
    return Noise(space.luminance_sigma(sigmas), sigmas, varying, spectrum), extent


def _scaled(planes: NDArray[Any], exponent: int) -> Channels:
    """Float32 in C order, times a power of two."""
    wide = planes if planes.dtype.kind == "f" else planes.astype(np.float64)
    return np.ascontiguousarray(np.ldexp(wide, exponent), np.float32)


def _padded(channels: NDArray[T], profile: Profile) -> NDArray[T]:
    """Mirror an image that is smaller than a block beyond its lower right."""
    least = max(profile.block_basic, profile.block_final)
    beyond = [(0, max(0, least - size)) for size in channels.shape[1:]]
    if not any(after for _, after in beyond):
        return channels
    return np.pad(channels, [(0, 0), *beyond], mode="symmetric")


def robust_range(values: NDArray[Any]) -> float:
    """Range of images without their outliers: from the 1st to the 99th percentile.

    Large images are sampled on a regular grid of some hundred thousand pixels.
    """
    stride = max(1, math.isqrt(values.size // 2**16))
    low, high = np.percentile(values[..., ::stride, ::stride].astype(np.float64), [1, 99])
    return float(high - low)
