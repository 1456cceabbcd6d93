"""What an algorithm module hands to a backend: one stage of BM4D, ready to run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.stage import THRESHOLD as SQUARES
from fastrestore._collaborative.stage import (
    FloatArray,
    autocovariance,
    overlaps,
    reference_grid,
    strengths,
    support,
    transform_matrix,
)

# lambda_4D for white noise, where the profile leaves it open: a smaller share of the coefficients
# of cubes is signal. Chosen, as are the numbers of the profile "volume", on volumes made of
# photographs of BSDS500 that are in no test set, moved and zoomed from slice to slice, and on drawn
# ellipsoids.
THRESHOLD = 3.0

STAGES = ("basic", "final")
MOST = 2**24  # entries of a table of covariances, which kernels count in float32

Volume = NDArray[np.float32]  # (P, M, N): slices, rows, columns
Volumes = NDArray[np.float32]  # (C, P, M, N)
Grid = NDArray[np.int64]
Three = tuple[int, int, int]  # by axis: slices, rows, columns


@dataclass(frozen=True, slots=True, eq=False)
class VolumeStage:
    """One stage with all its numbers; volumes are float32."""

    shape: Three  # of a block; rows and columns are equal
    step: Three
    radius: Three
    group: int
    match: float  # a block belongs to the group if its sum of squared differences is less
    forward: tuple[FloatArray, ...]  # by axis, rows of unit norm
    inverse: tuple[FloatArray, ...]  # exact inverses
    window: tuple[FloatArray, ...]  # the window is their outer product
    covariance: FloatArray  # (1 or C, D + 1, 2 E + 1, 2 F + 1, *shape), see `cube_covariance`
    variances: FloatArray  # (C,), of the noise of each channel
    strength: FloatArray  # (C,), lambda_4D**2 or mu**2: multiplies the variances
    # Of correlated noise, else None: added to the distance of a block displaced by (dz, dy, dx)
    match_bias: NDArray[np.float32] | None = None  # 2 radius + 1 along each axis
    # For noise that is not the same everywhere, else None. Both by the corner of the block:
    match_map: Volume | None = None  # in place of `match`
    scale: Volumes | None = None  # (1 or C, ...), sigma of a block over that of its channel

    def size(self) -> int:
        """Voxels of a block."""
        return math.prod(self.shape)

    def grids(self, shape: tuple[int, ...]) -> tuple[Grid, Grid, Grid]:
        """Corners of the reference blocks along each axis of a volume."""
        z, y, x = map(reference_grid, shape, self.shape, self.step)
        return z, y, x


class CubeMatches(NamedTuple):
    """The blocks most like each reference block, nearest first, the reference itself leading.

    As `fastrestore._collaborative.stage.Matches`; offsets (.., group, 3) are (dz, dy, dx).
    """

    slices: NDArray[np.int64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    offsets: NDArray[np.int16]
    sizes: NDArray[np.int16]


class VolumeNoise(NamedTuple):
    """The noise of the channels of a volume, in its units."""

    sigmas: FloatArray  # (C,)
    matched: int = 0  # the channel that blocks are matched on
    map: FloatArray | None = None  # (1 or C, P, M, N), variance over the mean one of the channel
    power: FloatArray | None = None  # (1 or C, P, M, N), with mean 1, DC first

    def of_matched(self, values: FloatArray) -> FloatArray:
        """Return what belongs to the channel that blocks are matched on."""
        one: FloatArray = values[min(self.matched, len(values) - 1)]
        return one


def make_volume_stage(
    profile: Profile, which: Literal["basic", "final"], noise: VolumeNoise, data_range: float
) -> VolumeStage:
    """Bring the fields of one stage to the units of the data."""

    def number(field: str) -> float:
        value: float = getattr(profile, f"{field}_{which}")
        return value

    block, thick, radius = int(number("block")), int(number("slices")), int(number("radius"))
    shape, reach = (thick, block, block), (int(number("radius_slices")), radius, radius)
    size = math.prod(shape)
    signal = number("match") * (data_range / 255) ** 2
    sigma2 = float(noise.sigmas[noise.matched]) ** 2
    spread = number("match_noise") * sigma2
    bias = match_map = scale = None
    power = np.ones((1, 1, 1, 1))
    if noise.map is not None:
        means = np.array([cube_means(each, shape) for each in noise.map])
        match_map = ((signal + spread * noise.of_matched(means)) * size).astype(np.float32)
        scale = np.sqrt(means).astype(np.float32)
    if noise.power is not None:
        power = noise.power
        lag = autocovariance(noise.of_matched(power), reach) * sigma2
        lag *= 2 * number("match_correlation")
        bias = ((lag - min(0.0, lag.min())) * size).astype(np.float32)
        signal -= min(0.0, lag.min())
    name: str = getattr(profile, f"transform_{which}")
    forward = tuple(transform_matrix(name, n) for n in shape)
    return VolumeStage(
        shape=shape,
        step=(int(number("step_slices")), int(number("step")), int(number("step"))),
        radius=reach,
        group=int(number("group")),
        match=float(np.float32((signal + spread) * size)),
        forward=forward,
        inverse=tuple(np.linalg.inv(matrix).astype(np.float64) for matrix in forward),
        window=tuple(np.kaiser(n, number("kaiser")) if n > 1 else np.ones(1) for n in shape),
        covariance=cube_covariance(forward, power, tuple(2 * r for r in reach)),
        variances=np.square(noise.sigmas),
        strength=np.broadcast_to(
            strengths(profile, which, power, THRESHOLD if thick > 1 else SQUARES),
            len(noise.sigmas),
        ),
        match_bias=bias,
        match_map=match_map,
        scale=scale,
    )


def cube_means(values: FloatArray, shape: Three) -> FloatArray:
    """Mean of every block, by its corner."""
    for axis, size in enumerate(shape):
        values = sliding_window_view(values, size, axis=axis).mean(-1)
    return values


def cube_covariance(
    forward: tuple[FloatArray, ...], powers: FloatArray, most: tuple[int, ...]
) -> FloatArray:
    """Covariance of each coefficient of two blocks, by their displacement, for noise of a power.

    As `fastrestore._collaborative.stage.coefficient_covariance`, with an axis more: entry
    (channel, dz, E + dy, F + dx, s, u, v) is that of blocks (dz, dy, dx) apart, which is also that
    of (-dz, -dy, -dx).
    """
    sizes = [len(matrix) for matrix in forward]
    margins = tuple(far + size - 1 for far, size in zip(most, sizes, strict=True))
    lags = [autocovariance(power, margins) for power in powers]
    if powers.size == len(powers):  # white noise
        lags = [np.zeros([2 * margin + 1 for margin in margins])]
        lags[0][margins] = 1
    reach = [min(far, support(lags, axis) + sizes[axis]) for axis, far in enumerate(most)]
    count = math.prod(sizes) * (1 + reach[0]) * math.prod(1 + 2 * far for far in reach[1:])
    if count > MOST:
        raise ValueError(
            f"noise that is correlated over {reach} voxels is too much for blocks of {sizes}: take "
            "a profile with smaller radius_basic and radius_final"
        )
    tables = []
    for lag in lags:
        table = lag
        for axis, (matrix, size) in enumerate(zip(forward, sizes, strict=True)):
            middle = lag.shape[axis] // 2
            first = 0 if axis == 0 else -reach[axis]
            near = range(middle + first - size + 1, middle + reach[axis] + size)
            table = np.take(table, near, axis=axis)
            # (.., displacement, .., lag) to (.., displacement, .., coefficient)
            pairs = sliding_window_view(table, 2 * size - 1, axis=axis)
            table = pairs @ overlaps(matrix).T
        _end(table, reach, most)
        table[0, reach[1], reach[2]] = np.maximum(table[0, reach[1], reach[2]], 0)
        tables.append(table)
    return np.array(tables)


def _end(table: FloatArray, reach: list[int], most: tuple[int, ...]) -> None:
    """Clear the last displacements along each axis where blocks farther apart share no noise."""
    for axis, (far, limit) in enumerate(zip(reach, most, strict=True)):
        if far < limit:
            ends = [far] if axis == 0 else [0, 2 * far]
            table[(slice(None),) * axis + (ends,)] = 0


def flat(profile: Profile) -> Profile:
    """Return a profile for so few slices that blocks cannot be cubes: squares of one slice."""
    return Profile.named("np").replace(
        name="flat",
        **{f"{field}_{which}": 1 for field in ("slices", "step_slices") for which in STAGES},
        **{
            f"radius_slices_{which}": getattr(profile, f"radius_slices_{which}") for which in STAGES
        },
    )
