"""Preparation of stages: the context of an image, and the profile in units of its data."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import color, interop, threads
from fastrestore._arrays.types import FloatArray
from fastrestore._collaborative import sides
from fastrestore._collaborative.arrays import Matrix, Vector
from fastrestore._collaborative.covariance import (
    Lags,
    block_means,
    coefficient_covariance,
    inverse_matrix,
    kaiser_window,
    transform_matrix,
    white_covariance,
)
from fastrestore._collaborative.guide import Guide
from fastrestore._collaborative.pixels import Pixels, range_of, sample_of
from fastrestore._collaborative.profile import FACTORS, Profile
from fastrestore._collaborative.request import Request
from fastrestore._collaborative.visibility import masking
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends import host
from fastrestore.backends.protocol import Stage, Trails, Units, Which

if TYPE_CHECKING:
    from fastrestore._collaborative.tiling import Tile

# On integer images many coefficients equal lambda sigma exactly, and rounding would decide which of
# them remain. With a slightly lower threshold all remain, on every backend.
TIE = 1 - 2.0**-13

# Default lambda_3D and mu**2 for white noise, and their bounds. The more visible the noise is, the
# lower is the threshold, and the stronger the Wiener filter. Selected on photographs of BSDS500
# that are in no test set, with 35 spectra.
THRESHOLD, THRESHOLDS = 2.85, (2.2, 4.0)
WIENER, WIENERS = 0.45, (0.2, 4.5)

# lambda_4D for white noise: fewer coefficients of 3-D blocks are signal. Selected, like the profile
# "volume", on volumes made of photographs of BSDS500 that are in no test set, moved and zoomed from
# slice to slice, and on drawn ellipsoids.
THRESHOLD_VOLUME = 3.0

# For segments of signals. Selected, like the profile "signal", on drawings of `bench/axes.py` with
# other seeds, and on the signals of Donoho and Johnstone in PyWavelets.
THRESHOLD_SIGNAL, WIENER_SIGNAL, WIENERS_SIGNAL = 3.1, 1.0, (0.2, 1.0)

# A range that only the GPU can measure is assumed to be this many sigmas, to choose the power of
# two that scales the data to about 1.
SIGMAS = 256


class Statistics(NamedTuple):
    """Noise and range of the data of a stage, in their units."""

    noise: PlaneNoise  # of the channels that are filtered
    data_range: Any  # of the image that blocks are matched on: a number, or an array of the backend
    matched: PlaneNoise | None = None  # noise of that image; None: that of the first channel
    ndim: int = 2
    reach: int | None = None  # videos: noise of blocks farther apart in a frame is independent
    exact: bool = False  # see `Units`
    lags: Lags | None = None  # shared by the stages


def make_stage(profile: Profile, which: Which, data: Statistics) -> Stage:
    """Convert the fields of one stage of a profile to the units of the data."""
    numbers = _Numbers(profile, which)
    blocks, noise = _blocks(numbers, data.ndim), data.noise
    shape: tuple[int, ...] = blocks["shape"]
    scale = None
    if noise.map is not None:
        means = threads.in_order(lambda level: block_means(level**2, shape), list(noise.map))
        scale = np.sqrt(means)
        scale = scale if data.exact else scale.astype(np.float32)
    return Stage(
        covariance=_covariance(numbers("transform"), blocks["transforms"], data, blocks["radii"]),
        variances=np.square(noise.sigmas),
        strength=np.broadcast_to(
            strengths(profile, which, noise.spectrum, shape), len(noise.sigmas)
        ),
        scale=scale,
        root=1 / profile.sharpen if which == "basic" else 1.0,
        **blocks,
        **_matching(numbers, data),
    )


class _Numbers(NamedTuple):
    """The fields of a profile that belong to one stage."""

    profile: Profile
    which: Which

    def __hash__(self) -> int:  # that of all fields of a profile takes a while
        own = self.profile
        return hash((self.which, own.name, own.block_basic, own.block_final))

    def __call__(self, field: str) -> Any:
        return getattr(self.profile, f"{field}_{self.which}")

    def window(self, size: int) -> FloatArray:
        """Return the window along an axis."""
        given: Vector | None = self("window")
        return kaiser_window(size, self("kaiser")).copy() if given is None else np.array(given)

    def factors(self) -> FloatArray | None:
        """Return factors for the squared threshold, or for the Wiener factor."""
        given: tuple[Matrix, ...] | None = getattr(self.profile, FACTORS[self.which])
        if given is None:
            return None
        return np.square(given) if self.which == "basic" else np.array(given)

    def geometry(self, ndim: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Return shape of a block, steps and radii by axis."""
        block, step, radius = self("block"), self("step"), self("radius")
        if isinstance(block, tuple):
            one, two, three = (sides.of(self.profile, f, self.which, ndim) for f in sides.FIELDS)
            return one, two, three
        if ndim == 2:
            return (block, block), (step, step), (radius, radius)
        first = (self("slices"), self("step_slices"), self("radius_slices"))
        return (first[0], block, block), (first[1], step, step), (first[2], radius, radius)


@functools.lru_cache(64)
def _blocks(numbers: _Numbers, ndim: int) -> dict[str, Any]:
    """Return the fields of a stage that depend on the profile alone."""
    shape, steps, radii = numbers.geometry(ndim)
    transform: str | Matrix = numbers("transform")
    transforms = tuple(transform_matrix(transform, n) for n in shape)
    inverses = tuple(inverse_matrix(transform, n, numbers("inverse")) for n in shape)
    windows = tuple(numbers.window(n) for n in shape)
    return {
        "shape": shape,
        "steps": steps,
        "radii": radii,
        "transforms": transforms,
        "inverses": inverses,
        "windows": windows,
        "block": shape[-1],
        "step": steps[-1],
        "radius": radii[-1],
        "forward": transforms[-1],
        "inverse": inverses[-1],
        "window": windows[-1],
        "group": numbers("group"),
        "size_weight": numbers("size_weight"),
        "has_sides": ndim > 3 or any(each[-1] != each[-2] for each in (shape, steps, radii)),
        "factors": numbers.factors(),
    }


def _matching(numbers: _Numbers, data: Statistics) -> dict[str, Any]:
    """Return the fields of a stage for block matching."""
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
        # The distance of two blocks whose noise has correlation rho is lower by 2 sigma**2 rho
        lag = (data.lags or Lags())(matched.spectrum, radii)[0] * sigma2
        lag *= 2 * numbers("match_correlation")
        bias = ((lag - min(0.0, lag.min())) * size).astype(np.float32)
        apart = float(np.float32(max(0.0, -lag.min()) * size))
        signal -= min(0.0, lag.min())
    if matched.map is not None:
        means = block_means(matched.map[0] ** 2, shape)
        match_map = ((signal + spread * means) * size).astype(np.float32)
    static = numbers("static") * unit + numbers("static_noise") * sigma2
    return {
        # Rounded to float32, so that all backends use the same threshold
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
    name: str | Matrix,
    transforms: tuple[FloatArray, ...],
    data: Statistics,
    radii: tuple[int, ...],
) -> FloatArray:
    """Return the covariances of the coefficients of blocks in a group."""
    spectrum, reach = data.noise.spectrum, data.reach
    if spectrum is None:
        return white_covariance(name, tuple(len(matrix) for matrix in transforms))
    most = tuple(2 * radius if reach is None else reach for radius in radii)
    covariance = coefficient_covariance(transforms, spectrum, most, data.lags)
    if reach is not None:  # the last displacement represents other frames
        covariance[:, -1] = covariance[:, :, 0] = covariance[:, :, -1] = 0
    return covariance


def strengths(
    profile: Profile, which: Which, spectrum: FloatArray | None, shape: tuple[int, ...]
) -> FloatArray:
    """Squared lambda_3D or mu, for each spectrum; `shape` is that of a block."""
    given = profile.threshold if which == "basic" else profile.wiener
    if given is not None:
        return np.array([given**2 * TIE if which == "basic" else given])
    if spectrum is None:
        return _white_strengths(which, shape)
    exponent = 0.5 if which == "basic" else 0.75
    return _visible_strengths(which, np.array([masking(s, exponent) for s in spectrum]), shape)


@functools.lru_cache(64)
def _white_strengths(which: Which, shape: tuple[int, ...]) -> FloatArray:
    """Return the strength for white noise."""
    return _visible_strengths(which, np.ones(1), shape)


def _visible_strengths(which: Which, masked: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Return the strengths for noise by how visible it is, see `masking`."""
    threshold = THRESHOLD_VOLUME if shape[:-2] > (1,) else THRESHOLD
    wiener, limits = WIENER, WIENERS
    if len(shape) == 2 and shape[0] == 1:
        threshold, wiener, limits = THRESHOLD_SIGNAL, WIENER_SIGNAL, WIENERS_SIGNAL
    if which == "final":
        return np.clip(wiener * masked**0.85, *limits)
    squared: FloatArray = np.clip(threshold - 0.36 * np.log(masked), *THRESHOLDS) ** 2 * TIE
    return squared


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """Data shared by all tiles of an image."""

    units: Units
    weights: FloatArray  # of the transformed channels in the image that blocks are matched on
    statistics: Statistics  # of the transformed channels, scaled
    exact: NDArray[np.bool_] | None  # where there is no noise: (C, 1, ..) or (C, *spatial)
    reusable: bool  # for other images of this shape
    stages: dict[str, Stage] = field(default_factory=dict)  # cache
    parts: dict[str, Context] = field(default_factory=dict)  # cache, with a noise map

    def stage(self, profile: Profile, which: Which) -> Stage:
        """Return a stage, from the cache if possible, with the measured range of this image."""
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
        """Return how many values per pixel the noise map has."""
        level = self.statistics.noise.map
        return 0 if level is None else 1 + len(level)

    def part(self, tile: Tile) -> Context:
        """Return the context of a tile: its part of the noise map."""
        if self.statistics.noise.map is None:
            return self
        key = str(tile.read)
        if key not in self.parts:
            least = self.units.least

            def cropped(noise: PlaneNoise | None) -> PlaneNoise | None:
                if noise is None or noise.map is None:
                    return noise
                return replace(noise, map=host.padded(noise.map[(slice(None), *tile.read)], least))

            noise, _, matched, *rest = self.statistics
            statistics = Statistics(cropped(noise), None, cropped(matched), *rest)  # type: ignore[arg-type]
            part = replace(self, statistics=statistics, stages={})
            if tile.read != tile.write:
                return part.with_range(self.statistics.data_range)
            self.parts[key] = part  # for other images of this shape
        return self.parts[key].with_range(self.statistics.data_range)


def make_context(
    planes: Any,
    noise: PlaneNoise,
    request: Request,
    guide: Guide | None = None,
    largest: float = 0.0,
) -> Context:
    """Choose units and colors, and convert the noise of an image to them.

    `largest` is the highest noise level of several images that have the same units.
    """
    return context_of(Pixels.of(planes, request), noise, request, guide, largest)


def context_of(
    pixels: Pixels,
    noise: PlaneNoise,
    request: Request,
    guide: Guide | None = None,
    largest: float = 0.0,
) -> Context:
    """Make a context from what is known of the pixels, see `make_context`."""
    extent = request.data_range
    largest = max(largest, noise.largest)
    known = SIGMAS * largest if pixels.extent is None else pixels.extent
    known = known if extent is None else extent
    # A power of two scales the data to about 1 without rounding. Squares do not overflow in any
    # units, and results in units that differ by a power of two are equal.
    exponent = -math.frexp(max(largest, known))[1]
    scaled = noise.scaled(exponent)
    if request.colorspace is None:
        matrix, weights = np.eye(pixels.channels), request.weights
    else:
        covariance = pixels.covariance
        covariance = None if covariance is None else np.ldexp(covariance, 2 * exponent)
        matrix, weights = color.transform(request.colorspace, covariance, scaled.sigmas)
    mixed = scaled.mixed(matrix)
    if request.chroma_strength != 1:
        strengths = np.where(np.arange(len(matrix)) > 0, request.chroma_strength, 1.0)
        mixed = replace(mixed, sigmas=mixed.sigmas * strengths)
    matched = mixed.mixed(weights[None])
    data_range: Any = None
    if extent is None and pixels.exact:
        data_range = math.ldexp(known, exponent)  # as `measured` would find it
    elif extent is not None:  # of the image that blocks are matched on
        data_range = float(math.ldexp(extent, exponent) * np.abs(weights @ matrix).sum())
    if guide is not None:
        matched, data_range = PlaneNoise.white(guide.sigma), guide.data_range
    lags = None if noise.spectrum is None else Lags()
    return Context(
        units=Units(exponent, matrix, request.least_shape(), pixels.kept),
        weights=weights,
        statistics=Statistics(
            mixed, data_range, matched, request.ndim, exact=pixels.kept, lags=lags
        ),
        exact=noise.is_zero(request.ndim),
        reusable=not pixels.on_host and request.colorspace != "pca",
    )


def measured(context: Context, planes: Any, request: Request) -> Context:
    """Measure the range of the image that blocks are matched on, if it is unknown."""
    if context.statistics.data_range is not None:
        return context
    return measured_on(context, sample_of(planes, request), request)


def measured_on(context: Context, sample: Any, request: Request) -> Context:
    """Measure the range of the image that blocks are matched on in a sample of its planes."""
    units = context.units._replace(least=(1,) * request.ndim)
    extent = range_of(sample, units, context.weights, request)
    if request.ndim != 2:  # kernels for volumes need a number
        extent = as_number(extent)
    return context.with_range(extent)


def as_number(data_range: Any) -> float:
    """Return a range as a number; wait for the GPU if it was measured there."""
    if isinstance(data_range, float):
        return data_range
    return float(interop.to_host(data_range)[0])
