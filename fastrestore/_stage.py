"""What an algorithm module hands to a backend: one stage of BM3D, ready to run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastrestore._profile import Profile

FloatArray = NDArray[np.float64]
Image = NDArray[np.float32]  # (M, N)
Channels = NDArray[np.float32]  # (C, M, N): a gray image is one channel

# On integer images many coefficients equal lambda sigma to the last digit, and rounding would
# decide which are kept. A threshold a hair lower keeps them all, on every backend.
TIE = 1 - 2.0**-13

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
    forward: FloatArray  # (N, N), rows of unit norm: coefficients = forward @ block @ forward.T
    inverse: FloatArray  # (N, N), the exact inverse of `forward`
    window: FloatArray  # (N,), the aggregation window is its outer product with itself
    correlation: FloatArray  # (N, N), see `row_correlation`
    variances: FloatArray  # (C,), of the noise of each channel
    strength: float  # lambda_3D**2 or mu**2: multiplies the variances
    # For noise that is not the same everywhere, else None. Both by the corner of the block:
    match_map: Image | None = None  # in place of `match`
    scale: Channels | None = None  # (1 or C, ...), sigma of a block over that of its channel

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


class Matches(NamedTuple):
    """The blocks most like each reference block, nearest first, the reference itself leading.

    The reference block (i, j) has its upper left corner at ``(rows[i], columns[j])`` and
    ``sizes[i, j]`` matches, a power of two; match k lies ``offsets[i, j, k]`` = (dy, dx)
    pixels from it, and offsets beyond are zero.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    offsets: NDArray[np.int16]
    sizes: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Run:
    """How to run: the number of threads, and whom to tell that a share of a stage is done."""

    workers: int
    tick: Callable[[float], None]


def reference_grid(size: int, block: int, step: int) -> NDArray[np.int64]:
    """Corners of the reference blocks along one axis: every `step`, and the last that fits."""
    grid = list(range(0, size - block + 1, step))
    if grid[-1] != size - block:
        grid.append(size - block)
    return np.array(grid, np.int64)


def make_stage(
    profile: Profile,
    which: Literal["basic", "final"],
    sigma: float,
    data_range: float,
    sigmas: Sequence[float] | FloatArray | None = None,
    noise_map: NoiseMap | None = None,
) -> Stage:
    """Bring the fields of one stage to the units of the data.

    `sigma` and `data_range` are those of the image that blocks are matched on, `sigmas` those
    of the channels that are filtered: one channel, the same image, by default.
    """
    block: int = getattr(profile, f"block_{which}")
    signal: float = getattr(profile, f"match_{which}") * (data_range / 255) ** 2
    noise: float = getattr(profile, f"match_noise_{which}") * sigma**2
    match_map = scale = None
    if noise_map is not None:
        means = block_means(noise_map.luminance, block)
        match_map = ((signal + noise * means) * block**2).astype(np.float32)
        scale = np.sqrt([block_means(each, block) for each in noise_map.channels])
        scale = scale.astype(np.float32)
    forward = transform_matrix(getattr(profile, f"transform_{which}"), block)
    return Stage(
        block=block,
        step=getattr(profile, f"step_{which}"),
        radius=getattr(profile, f"radius_{which}"),
        group=getattr(profile, f"group_{which}"),
        # Rounded to float32, so that all backends compare with one number.
        match=float(np.float32((signal + noise) * block**2)),
        forward=forward,
        inverse=np.linalg.inv(forward).astype(np.float64),
        window=np.kaiser(block, getattr(profile, f"kaiser_{which}")),
        correlation=row_correlation(forward),
        variances=np.square([sigma] if sigmas is None else sigmas),
        strength=profile.threshold**2 * TIE if which == "basic" else profile.wiener,
        match_map=match_map,
        scale=scale,
    )


def block_means(values: FloatArray, block: int) -> FloatArray:
    """Mean of every block, by its corner; each by itself, so that a tile has the same ones."""
    rows = sliding_window_view(values, block, axis=0).mean(-1)
    means: FloatArray = sliding_window_view(rows, block, axis=1).mean(-1)
    return means


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
    unit: FloatArray = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    return unit


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


def row_correlation(forward: FloatArray) -> FloatArray:
    """Correlation of white noise seen by one row of the transform at two places.

    Entry (d, u) belongs to row u applied at two places d samples apart; the correlation of a
    2-D coefficient is the product of two entries, and zero for blocks that do not overlap.
    """
    size = len(forward)
    return np.array([(forward[:, : size - d] * forward[:, d:]).sum(1) for d in range(size)])
