"""Stages ready to run: what the tiles of an image share, and a profile's numbers in its units."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastrestore._arrays import color, interop
from fastrestore._arrays.types import FloatArray, Image
from fastrestore._collaborative.covariance import (
    autocovariance,
    coefficient_covariance,
    inverse_matrix,
    kaiser_window,
    transform_matrix,
    white_covariance,
)
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.request import Request
from fastrestore._noise.estimate import sigmas
from fastrestore._noise.spec import NoiseSpec
from fastrestore.backends import host
from fastrestore.backends.protocol import Stage, Trails, Units, Which

if TYPE_CHECKING:
    from fastrestore._collaborative.tiling import Tile

# On integer images many coefficients equal lambda sigma to the last digit, and rounding would
# decide which are kept. A threshold a hair lower keeps them all, on every backend.
TIE = 1 - 2.0**-13

# lambda_3D and mu**2 where the profile leaves them open: for white noise, and their bounds. Less
# is thresholded and more is taken from the pilot, the more of a photograph the noise hides.
# Chosen on photographs of BSDS500 that are in no test set, with 35 spectra.
THRESHOLD, THRESHOLDS = 2.85, (2.2, 4.0)
WIENER, WIENERS = 0.45, (0.2, 4.5)
COARSEST = 0.02  # cycles per pixel; coarser structure has no more energy

# lambda_4D for white noise: a smaller share of the coefficients of cubes is signal. Chosen, as are
# the numbers of the profile "volume", on volumes made of photographs of BSDS500 that are in no test
# set, moved and zoomed from slice to slice, and on drawn ellipsoids.
THRESHOLD_VOLUME = 3.0


# Where the range is not known before the GPU has measured it, it is assumed to be this many sigmas,
# to choose the power of two that brings data to about 1.
SIGMAS = 256


class Statistics(NamedTuple):
    """What a stage needs to know of its data, in their units."""

    noise: NoiseSpec  # of the channels that are filtered
    data_range: Any  # of the image that blocks are matched on; what a backend measured, or a number
    matched: NoiseSpec | None = None  # noise of that image; None: that of the first channel
    ndim: int = 2
    reach: int | None = None  # of video: blocks of one frame farther apart share no noise


def make_stage(profile: Profile, which: Which, data: Statistics) -> Stage:
    """Convert the fields of one stage of a profile to the units of the data."""
    numbers = _Numbers(profile, which)
    shape, steps, radii = numbers.geometry(data.ndim)
    noise, matching = data.noise, _matching(numbers, data)
    transform: str = numbers("transform")
    transforms = tuple(transform_matrix(transform, n) for n in shape)
    scale = None
    if noise.map is not None:
        scale = np.sqrt([block_means(each**2, shape) for each in noise.map]).astype(np.float32)
    usual = THRESHOLD_VOLUME if shape[:-2] > (1,) else THRESHOLD
    inverses = tuple(inverse_matrix(transform, n) for n in shape)
    windows = tuple(kaiser_window(n, numbers("kaiser")).copy() for n in shape)
    return Stage(
        shape=shape,
        steps=steps,
        radii=radii,
        transforms=transforms,
        inverses=inverses,
        windows=windows,
        block=shape[-1],
        step=steps[-1],
        radius=radii[-1],
        forward=transforms[-1],
        inverse=inverses[-1],
        window=windows[-1],
        group=numbers("group"),
        covariance=_covariance(transform, transforms, data, radii),
        variances=np.square(noise.sigmas),
        strength=np.broadcast_to(
            strengths(profile, which, noise.spectrum, usual), len(noise.sigmas)
        ),
        scale=scale,
        root=1 / profile.sharpen if which == "basic" else 1.0,
        **matching,
    )


class _Numbers(NamedTuple):
    """The fields of a profile that belong to one stage."""

    profile: Profile
    which: Which

    def __call__(self, field: str) -> Any:
        return getattr(self.profile, f"{field}_{self.which}")

    def geometry(self, ndim: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Return shape of a block, steps and radii by axis."""
        block, step, radius = self("block"), self("step"), self("radius")
        if ndim == 2:
            return (block, block), (step, step), (radius, radius)
        first = (self("slices"), self("step_slices"), self("radius_slices"))
        return (first[0], block, block), (first[1], step, step), (first[2], radius, radius)


def _matching(numbers: _Numbers, data: Statistics) -> dict[str, Any]:
    """Return the fields of a stage that are about block matching."""
    matched = data.noise.channel(0) if data.matched is None else data.matched
    shape, _, radii = numbers.geometry(data.ndim)
    size, sigma2 = math.prod(shape), float(matched.sigmas[0]) ** 2
    known = isinstance(data.data_range, (int, float))
    unit = ((data.data_range if known else 1) / 255) ** 2
    by_range: float = numbers("match") * unit
    signal = by_range if known else 0.0
    spread: float = numbers("match_noise") * sigma2
    bias, apart, match_map = None, 0.0, None
    if matched.spectrum is not None:
        # Of two blocks whose noise has the covariance rho the distance is 2 sigma**2 rho less
        lag = autocovariance(matched.spectrum[0], radii) * sigma2
        lag *= 2 * numbers("match_correlation")
        bias = ((lag - min(0.0, lag.min())) * size).astype(np.float32)
        apart = float(np.float32(max(0.0, -lag.min()) * size))
        signal -= min(0.0, lag.min())
    if matched.map is not None:
        means = block_means(matched.map[0] ** 2, shape)
        match_map = ((signal + spread * means) * size).astype(np.float32)
    static = numbers("static") * unit + numbers("static_noise") * sigma2
    return {
        # Rounded to float32, so that all backends compare with one number
        "match": float(np.float32((signal + spread) * size)),
        "match_range": 0.0 if known else by_range * size,
        "measured": None if known else data.data_range,
        "match_bias": bias,
        "match_map": match_map,
        "trails": Trails(
            numbers("predict"), numbers("follow"), numbers("trails"), static * size, apart
        ),
    }


def _covariance(
    name: str, transforms: tuple[FloatArray, ...], data: Statistics, radii: tuple[int, ...]
) -> FloatArray:
    """Return the covariance of coefficients of blocks of one group."""
    spectrum, reach = data.noise.spectrum, data.reach
    if spectrum is None:
        return white_covariance(name, tuple(len(matrix) for matrix in transforms))
    most = tuple(2 * radius if reach is None else reach for radius in radii)
    covariance = coefficient_covariance(transforms, spectrum, most)
    if reach is not None:  # the last displacement stands for another frame
        covariance[:, -1] = covariance[:, :, 0] = covariance[:, :, -1] = 0
    return covariance


def strengths(
    profile: Profile,
    which: Which,
    spectrum: FloatArray | None,
    usual: float = THRESHOLD,
) -> FloatArray:
    """Squared lambda_3D or mu, for each spectrum; `usual` is lambda_3D for white noise."""
    given = profile.threshold if which == "basic" else profile.wiener
    if given is not None:
        return np.array([given**2 * TIE if which == "basic" else given])
    exponent = 0.5 if which == "basic" else 0.75
    masked = np.ones(1) if spectrum is None else np.array([masking(s, exponent) for s in spectrum])
    if which == "final":
        return np.clip(WIENER * masked**0.85, *WIENERS)
    squared: FloatArray = np.clip(usual - 0.36 * np.log(masked), *THRESHOLDS) ** 2 * TIE
    return squared


def masking(power: FloatArray, exponent: float) -> float:
    """Noise visibility relative to white noise, weighted by the spectrum of natural images.

    Power mean of this exponent, weighted by the energy of photographs, which falls with the square
    of frequency.
    """
    frequencies = np.meshgrid(*map(np.fft.fftfreq, power.shape), indexing="ij", sparse=True)
    weight = 1 / (sum(f**2 for f in frequencies) + COARSEST**2)
    mean = (power**exponent * weight).sum() / weight.sum()
    return float(mean ** (1 / exponent))


def block_means(values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Mean of every block, by its corner; each by itself, so that tiles have the same means."""
    for axis, size in enumerate(shape):
        values = sliding_window_view(values, size, axis=axis).mean(-1)
    return values


@dataclass(frozen=True, slots=True, eq=False)
class Guide:
    """An image to match blocks on, with its own noise and range; scaled to about 1."""

    image: Image
    sigma: float
    data_range: float

    @classmethod
    def of(cls, image: NDArray[Any] | None) -> Guide | None:
        """Scale and measure the image that a caller gave."""
        if image is None:
            return None
        scaled = host.scaled(image[None], -math.frexp(float(np.abs(image).max()))[1])
        return cls(scaled[0], float(sigmas(scaled)[0]), _host_range(scaled))


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What all tiles of an image share."""

    units: Units
    weights: FloatArray  # of the transformed channels in the image that blocks are matched on
    statistics: Statistics  # of the transformed channels, scaled
    guide: Guide | None
    exact: NDArray[np.bool_] | None  # what has no noise: (C, 1, ..) or (C, *spatial)
    reusable: bool  # whether it holds for other images of this shape
    stages: dict[str, Stage] = field(default_factory=dict)  # made so far
    parts: dict[str, Context] = field(default_factory=dict)  # with a noise map

    def stage(self, profile: Profile, which: Which) -> Stage:
        """Return the numbers of a stage, made once; a measured range is that of this image."""
        if which not in self.stages:
            self.stages[which] = make_stage(profile, which, self.statistics)
        stage = self.stages[which]
        if stage.measured is None:
            return stage
        return replace(stage, measured=self.statistics.data_range)

    def with_range(self, data_range: Any) -> Context:
        """Return the context of an image with this range."""
        return replace(self, statistics=self.statistics._replace(data_range=data_range))

    def maps(self) -> int:
        """Return how many numbers a pixel the noise map takes."""
        level = self.statistics.noise.map
        return 0 if level is None else 1 + len(level)

    def part(self, tile: Tile) -> Context:
        """Return the context of a tile: its part of the noise map."""
        if self.statistics.noise.map is None:
            return self
        key = str(tile.read)
        if key not in self.parts:
            least = self.units.least

            def cropped(noise: NoiseSpec | None) -> NoiseSpec | None:
                if noise is None or noise.map is None:
                    return noise
                return replace(noise, map=host.padded(noise.map[(slice(None), *tile.read)], least))

            noise, _, matched, *rest = self.statistics
            statistics = Statistics(cropped(noise), None, cropped(matched), *rest)  # type: ignore[arg-type]
            part = replace(self, statistics=statistics, stages={})
            if tile.read != tile.write:
                return part.with_range(self.statistics.data_range)
            self.parts[key] = part  # the whole image may come again
        return self.parts[key].with_range(self.statistics.data_range)


def make_context(
    planes: Any, noise: NoiseSpec, request: Request, guide: Guide | None = None
) -> Context:
    """Choose units and colors, and convert the noise of an image to them."""
    extent = request.data_range
    if extent is None:
        known = _host_range(planes) if interop.on_host(planes) else SIGMAS * noise.largest
    else:
        known = extent
    # A power of two brings the data to about 1 without rounding: no overflow in squares,
    # whatever the units, and equal results in units a power of two apart.
    exponent = -math.frexp(max(noise.largest, known))[1]
    scaled = noise.scaled(exponent)
    pixels = None
    if request.colorspace == "pca":  # its axes are those of these pixels
        pixels = host.scaled(interop.to_host(planes), exponent)
    if request.colorspace is None:
        matrix, weights = np.eye(len(planes)), request.weights
    else:
        matrix, weights = color.transform(request.colorspace, pixels, scaled.sigmas)
    mixed = scaled.mixed(matrix)
    if request.chroma_strength != 1:
        strengths = np.where(np.arange(len(matrix)) > 0, request.chroma_strength, 1.0)
        mixed = replace(mixed, sigmas=mixed.sigmas * strengths)
    matched = mixed.mixed(weights[None])
    data_range: Any = None
    if extent is not None:  # of the image that blocks are matched on
        data_range = float(math.ldexp(extent, exponent) * np.abs(weights @ matrix).sum())
    if guide is not None:
        matched, data_range = NoiseSpec.white(guide.sigma), guide.data_range
    return Context(
        units=Units(exponent, matrix, request.least_shape()),
        weights=weights,
        statistics=Statistics(mixed, data_range, matched, request.ndim),
        guide=guide,
        exact=noise.is_zero(request.ndim),
        reusable=not interop.on_host(planes) and request.colorspace != "pca",
    )


def measured(context: Context, planes: Any, request: Request) -> Context:
    """Measure the range of what blocks are matched on in a sample of pixels, if it is unknown."""
    if context.statistics.data_range is not None:
        return context
    backend, execution = request.backend, request.execution
    apart = host.stride(planes.shape[1:])
    sample = planes[(slice(None), *[slice(None, None, apart)] * request.ndim)]
    units = context.units._replace(least=(1,) * request.ndim)
    channels = backend.load("noisy", sample, units, execution)
    luminance = backend.luminance(channels, context.weights, execution)
    found = backend.robust_range(luminance, execution)
    if request.ndim == 3:  # kernels of volumes take a number
        found = as_number(found)
    return context.with_range(found)


def as_number(data_range: Any) -> float:
    """Return a range as a number; waits for a GPU that has measured it."""
    if isinstance(data_range, float):
        return data_range
    return float(interop.to_host(data_range)[0])


def _host_range(planes: NDArray[Any]) -> float:
    """Robust range of a sample of the channels of an image."""
    apart = host.stride((len(planes) * planes.shape[1], *planes.shape[2:]))
    return host.robust_range(planes[(slice(None), *[slice(None, None, apart)] * (planes.ndim - 1))])
