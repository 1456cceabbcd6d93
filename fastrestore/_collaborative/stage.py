"""What an algorithm module hands to a backend: one stage of BM3D, ready to run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastrestore._collaborative.profile import Profile

FloatArray = NDArray[np.float64]
Image = NDArray[np.float32]  # (M, N)
# (C, M, N): a gray image is one channel. On a GPU these are arrays of CuPy, which has no types.
Channels = NDArray[np.float32]

# On integer images many coefficients equal lambda sigma to the last digit, and rounding would
# decide which are kept. A threshold a hair lower keeps them all, on every backend.
TIE = 1 - 2.0**-13

# lambda_3D and mu**2 where the profile leaves them open: for white noise, and their bounds. Less
# is thresholded and more is taken from the pilot, the more of a photograph the noise hides.
# Chosen on photographs of BSDS500 that are in no test set, with 35 spectra.
THRESHOLD, THRESHOLDS = 2.85, (2.2, 4.0)
WIENER, WIENERS = 0.45, (0.2, 4.5)
COARSEST = 0.02  # cycles per pixel; coarser structure has no more energy

# Noise is taken for uncorrelated where its correlation is less: rounding of transforms.
NEGLIGIBLE = 1e-10

# The variance of a group coefficient is at least this share of that of its blocks: differences of
# blocks that share nearly all their noise, in float32.
LEAST = 2.0**-15

# Weights of groups keep within these bounds, where a map tells of noise that differs by thousands
# or of none: sums of weighted pixels have a fixed resolution and a limit. One sigma gets nowhere
# near them.
LIGHTEST, HEAVIEST = 2.0**-20, 256.0


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One stage with all its numbers; `N` is the side of a block, images are float32."""

    block: int
    step: int
    radius: int
    group: int
    match: float  # a block belongs to the group if its sum of squared differences is less
    match_range: float  # times the square of `measured`, added to that
    measured: Any  # range of the image, where only the backend knows it, else None
    forward: FloatArray  # (N, N), rows of unit norm: coefficients = forward @ block @ forward.T
    inverse: FloatArray  # (N, N), the exact inverse of `forward`
    window: FloatArray  # (N,), the aggregation window is its outer product with itself
    covariance: FloatArray  # (1 or C, D + 1, 2 E + 1, N, N), see `coefficient_covariance`
    variances: FloatArray  # (C,), of the noise of each channel
    strength: FloatArray  # (C,), lambda_3D**2 or mu**2: multiplies the variances
    # Of correlated noise, else None: added to the distance of a block displaced by (dy, dx)
    match_bias: NDArray[np.float32] | None = None  # (2 radius + 1, 2 radius + 1)
    # For noise that is not the same everywhere, else None. Both by the corner of the block:
    match_map: Image | None = None  # in place of `match`
    scale: Channels | None = None  # (1 or C, ...), sigma of a block over that of its channel
    # Of video: how far around a trail of how many blocks the next frame is searched, and how far
    # around where it leads those after that; by how much a block that has not moved is nearer
    match_bias_apart: float = 0.0  # `match_bias` of blocks of two frames
    predict: int = 0
    follow: int = 0
    trails: int = 1
    static: float = 0.0
    root: float = 1.0  # of sharpening, 1 / alpha: of channel 0, the luminance

    def thresholds(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the matching thresholds of the references at rows x columns."""
        if self.match_map is None:
            return np.full((len(rows), len(columns)), self.match, np.float32)
        return self.match_map[np.ix_(rows, columns)]


class NoiseMap(NamedTuple):
    """Variance of the noise at every pixel, over the mean one that a stage is made for."""

    luminance: FloatArray  # (M, N), of the image that blocks are matched on
    channels: FloatArray  # (1 or C, M, N)


class NoiseSpectrum(NamedTuple):
    """Power of stationary noise by frequency, DC first, with mean 1: that of white noise is 1."""

    luminance: FloatArray  # (P, Q), of the image that blocks are matched on
    channels: FloatArray  # (1 or C, P, Q)


class Noise(NamedTuple):
    """The noise of an image and of its channels, in its units."""

    sigma: float  # of the image that blocks are matched on
    sigmas: FloatArray  # (C,), of the channels that are filtered
    map: NoiseMap | None = None
    spectrum: NoiseSpectrum | None = None

    @classmethod
    def white(cls, sigma: float) -> Noise:
        """White noise of one channel."""
        return cls(sigma, np.array([sigma]))


class Matches(NamedTuple):
    """The blocks most like each reference block, nearest first, the reference itself leading.

    A backend may keep them elsewhere than on the host: only it reads them.

    The reference block (i, j) has its upper left corner at ``(rows[i], columns[j])`` and
    ``sizes[i, j]`` matches, a power of two; match k lies ``offsets[i, j, k]`` = (dy, dx)
    pixels from it, and offsets beyond are zero.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    offsets: NDArray[np.int16] | NDArray[np.int32]
    sizes: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Run:
    """How to run: on how many threads, whom to tell that a share of a stage is done, ..."""

    workers: int
    tick: Callable[[float], None]
    deterministic: bool = False  # equal sums in any order, where that is not so anyway
    memory: Any = None  # the backend's own, kept from stage to stage and from call to call


def reference_grid(size: int, block: int, step: int) -> NDArray[np.int64]:
    """Corners of the reference blocks along one axis: every `step`, and the last that fits."""
    grid = list(range(0, size - block + 1, step))
    if grid[-1] != size - block:
        grid.append(size - block)
    return np.array(grid, np.int64)


def make_stage(
    profile: Profile,
    which: Literal["basic", "final"],
    noise: Noise,
    data_range: Any,
    far: int | None = None,
) -> Stage:
    """Bring the fields of one stage to the units of the data.

    `data_range` is that of the image that blocks are matched on: a number, or what a backend has
    measured and keeps where only it can read it. `far` is for films: blocks of one group are in
    several frames, and in one frame up to so far apart; farther ones share no noise.
    """
    block: int = getattr(profile, f"block_{which}")
    radius: int = getattr(profile, f"radius_{which}")
    known = isinstance(data_range, (int, float))
    unit = ((data_range if known else 1) / 255) ** 2
    by_range: float = getattr(profile, f"match_{which}") * unit
    signal = by_range if known else 0.0
    spread: float = getattr(profile, f"match_noise_{which}") * noise.sigma**2
    match_map = scale = bias = None
    apart = 0.0
    power = np.ones((1, 1, 1))
    if noise.map is not None:
        means = block_means(noise.map.luminance, block)
        match_map = ((signal + spread * means) * block**2).astype(np.float32)
        scale = np.sqrt([block_means(each, block) for each in noise.map.channels])
        scale = scale.astype(np.float32)
    if noise.spectrum is not None:
        power = noise.spectrum.channels
        # Of two blocks whose noise has the covariance rho the distance is 2 sigma**2 rho less
        lag = autocovariance(noise.spectrum.luminance, (radius, radius)) * noise.sigma**2
        lag *= 2 * getattr(profile, f"match_correlation_{which}")
        bias = ((lag - min(0.0, lag.min())) * block**2).astype(np.float32)
        apart = float(np.float32(max(0.0, -lag.min()) * block**2))
        signal -= min(0.0, lag.min())
    transform: str = getattr(profile, f"transform_{which}")
    forward = transform_matrix(transform, block)
    covariance = white_covariance(transform, block)
    if noise.spectrum is not None:
        covariance = coefficient_covariance(forward, power, far or 2 * radius)
        if far is not None:  # the last displacement stands for another frame
            covariance[:, -1] = covariance[:, :, 0] = covariance[:, :, -1] = 0
    return Stage(
        block=block,
        step=getattr(profile, f"step_{which}"),
        radius=radius,
        group=getattr(profile, f"group_{which}"),
        # Rounded to float32, so that all backends compare with one number.
        match=float(np.float32((signal + spread) * block**2)),
        match_range=0.0 if known else by_range * block**2,
        measured=None if known else data_range,
        forward=forward,
        inverse=np.linalg.inv(forward).astype(np.float64),
        window=np.kaiser(block, getattr(profile, f"kaiser_{which}")),
        covariance=covariance,
        variances=np.square(noise.sigmas),
        strength=np.broadcast_to(strengths(profile, which, power), len(noise.sigmas)),
        match_bias=bias,
        match_map=match_map,
        scale=scale,
        match_bias_apart=apart,
        predict=getattr(profile, f"predict_{which}"),
        follow=getattr(profile, f"follow_{which}"),
        trails=getattr(profile, f"trails_{which}"),
        static=(
            getattr(profile, f"static_{which}") * unit
            + getattr(profile, f"static_noise_{which}") * noise.sigma**2
        )
        * block**2,
        root=1 / profile.sharpen if which == "basic" else 1.0,
    )


def strengths(
    profile: Profile,
    which: Literal["basic", "final"],
    powers: FloatArray,
    usual: float = THRESHOLD,
) -> FloatArray:
    """Squared lambda_3D or mu, for each noise power; `usual` is lambda_3D for white noise."""
    given = profile.threshold if which == "basic" else profile.wiener
    if given is not None:
        return np.full(len(powers), given**2 * TIE if which == "basic" else given)
    if which == "final":
        masked = np.array([masking(power, 0.75) for power in powers])
        return np.clip(WIENER * masked**0.85, *WIENERS)
    masked = np.array([masking(power, 0.5) for power in powers])
    squared: FloatArray = np.clip(usual - 0.36 * np.log(masked), *THRESHOLDS) ** 2 * TIE
    return squared


def masking(power: FloatArray, exponent: float) -> float:
    """How much noise of a power hides of a photograph, by which white noise has 1.

    Mean of the power, of this exponent, weighted by the energy of photographs, which falls with
    the square of frequency.
    """
    frequencies = np.meshgrid(*map(np.fft.fftfreq, power.shape), indexing="ij", sparse=True)
    weight = 1 / (sum(f**2 for f in frequencies) + COARSEST**2)
    mean = (power**exponent * weight).sum() / weight.sum()
    return float(mean ** (1 / exponent))


def block_means(values: FloatArray, block: int) -> FloatArray:
    """Mean of every block, by its corner; each by itself, so that a tile has the same ones."""
    rows = sliding_window_view(values, block, axis=0).mean(-1)
    means: FloatArray = sliding_window_view(rows, block, axis=1).mean(-1)
    return means


@functools.cache
def transform_matrix(name: str, size: int) -> FloatArray:
    """Return the matrix of a 1-D transform of `size` samples, rows of unit norm, slow to fast.

    Raises
    ------
    ValueError
        If `name` is neither "dct", "hadamard" nor a discrete wavelet of PyWavelets, or the
        wavelet's or Hadamard's transform does not exist for this size.
    """
    if name == "dct":
        n, k = np.arange(size), np.arange(size)[:, None]
        matrix = np.cos(np.pi * (2 * n + 1) * k / (2 * size))
    elif size & (size - 1):
        raise ValueError(f"transform {name!r} needs a block of 2, 4, 8 or 16 pixels, not {size}")
    elif name == "hadamard":
        matrix = np.ones((1, 1))
        while len(matrix) < size:
            matrix = np.kron(np.array([[1, 1], [1, -1]]), matrix)
    else:
        matrix = _wavelet_matrix(name, size)
    return _kept(matrix / np.linalg.norm(matrix, axis=1, keepdims=True))


def _kept(table: FloatArray) -> FloatArray:
    """Mark a table that later calls will get, too."""
    table.flags.writeable = False
    return table


def _wavelet_matrix(name: str, size: int) -> FloatArray:
    """Full decomposition of the unit vectors by PyWavelets, periodic at the borders."""
    import pywt

    if name not in pywt.wavelist(kind="discrete"):
        raise ValueError(
            f"transform {name!r} is unknown; write 'dct', 'hadamard' or a discrete wavelet "
            "of PyWavelets such as 'bior1.5' or 'haar'"
        )
    low = np.eye(size)
    details: list[FloatArray] = []
    while len(low) > 1:
        low, high = pywt.dwt(low, name, mode="periodization", axis=0)
        details.insert(0, high)
    return np.concatenate([low, *details])


def autocovariance(power: FloatArray, reach: tuple[int, ...]) -> FloatArray:
    """Covariance of the noise at displacements up to `reach`, of a power of noise.

    2 reach + 1 along each axis, displacement 0 in the middle. The spectrum is that of a periodic
    process, so displacements beyond its size wrap around.
    """
    covariance: FloatArray = np.fft.ifftn(power).real
    places = [np.arange(-far, far + 1) % n for far, n in zip(reach, power.shape, strict=True)]
    return covariance[np.ix_(*places)]


def coefficient_covariance(forward: FloatArray, powers: FloatArray, most: int) -> FloatArray:
    """Covariance of each coefficient of two blocks, by their displacement, for noise of a power.

    Mäkinen et al., section III. Entry (channel, dy, E + dx, u, v) of (C, D + 1, 2 E + 1, N, N) is
    that of coefficient (u, v) of blocks (dy, dx) apart, which is also that of (-dy, -dx). D and E
    are `most`, or less where blocks farther apart share no noise: then the last entries are zero.
    """
    size, rho = len(forward), overlaps(forward)
    margin = most + size - 1
    lags = [autocovariance(power, (margin, margin)) for power in powers]
    down, across = (min(most, support(lags, axis) + size) for axis in (0, 1))
    tables = []
    for lag in lags:
        near = lag[most : most + down + 2 * size - 1, most - across : most + across + 2 * size - 1]
        rows = np.einsum("vl,yxl->yxv", rho, sliding_window_view(near, 2 * size - 1, axis=1))
        table = np.einsum("ul,yxvl->yxuv", rho, sliding_window_view(rows, 2 * size - 1, axis=0))
        if down < most:
            table[down] = 0
        if across < most:
            table[:, [0, -1]] = 0
        table[0, across] = np.maximum(table[0, across], 0)
        tables.append(table)
    return np.array(tables)


@functools.cache
def white_covariance(transform: str, size: int) -> FloatArray:
    """`coefficient_covariance` for white noise."""
    rho = overlaps(transform_matrix(transform, size))
    white = np.pad(rho[:, size - 1 :], [(0, 0), (0, 1)])
    both = np.concatenate([white[:, :0:-1], white], axis=1)
    return _kept(np.einsum("uy,vx->yxuv", white, both)[None])


def overlaps(forward: FloatArray) -> FloatArray:
    """How often row u of a transform sees a pair of samples l apart: rho[u, size - 1 + l]."""
    size = len(forward)
    padded = np.pad(forward, [(0, 0), (size - 1, size - 1)])
    rho: FloatArray = np.einsum("us,uls->ul", forward, sliding_window_view(padded, size, axis=1))
    return rho


def support(lags: list[FloatArray], axis: int) -> int:
    """Farthest displacement along an axis at which noise is still correlated."""
    middle = lags[0].shape[axis] // 2
    others = tuple(k for k in range(lags[0].ndim) if k != axis)
    peaks = np.max([np.abs(lag).max(others) for lag in lags], axis=0)
    far = np.flatnonzero(peaks > NEGLIGIBLE * peaks.max())
    return int(np.abs(far - middle).max())
