"""BM3D step by step, to be read beside the paper.

Dabov, Foi, Katkovnik, Egiazarian, "Image denoising by sparse 3-D transform-domain
collaborative filtering", IEEE TIP 16(8), 2007: the equation numbers below are its own.
The variances of the coefficients are those of Mäkinen, Azzari, Foi, "Collaborative filtering
of correlated noise: exact transform-domain variance for improved shrinkage and patch
matching", IEEE TIP 29, 2020: blocks that overlap share noise, white noise too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastrestore._stage import (
    HEAVIEST,
    LIGHTEST,
    Channels,
    FloatArray,
    Image,
    Matches,
    Run,
    Stage,
    reference_grid,
)

# From coefficients (K, N, N) of one or two images, their variance for noise of variance 1 and the
# variance of the noise to shrunk coefficients and the weight of the group
Shrinkage = Callable[[tuple[FloatArray, ...], FloatArray, float], tuple[FloatArray, float]]


def bm3d_match(image: Image, stage: Stage, run: Run) -> Matches:
    """Steps 1a and 2a, grouping: find the blocks most like each reference block.

    Equation 5 for noisy blocks with lambda_2D = 0, equation 8 for blocks of the basic estimate.
    """
    blocks = sliding_window_view(image.astype(np.float64), (stage.block, stage.block))
    rows = reference_grid(image.shape[0], stage.block, stage.step)
    columns = reference_grid(image.shape[1], stage.block, stage.step)
    thresholds = stage.thresholds(rows, columns)
    offsets = np.zeros((len(rows), len(columns), stage.group, 2), np.int16)
    count = np.zeros((len(rows), len(columns)), np.int16)
    for i, y in enumerate(rows):
        for j, x in enumerate(columns):
            found = _match_one(blocks, int(y), int(x), stage, float(thresholds[i, j]))
            count[i, j] = len(found)
            offsets[i, j, : len(found)] = found
        run.tick(1 / len(rows))
    return Matches(rows, columns, offsets, count)


def _match_one(
    blocks: NDArray[np.float64], y: int, x: int, stage: Stage, threshold: float
) -> NDArray[np.int64]:
    """Offsets (dy, dx) of the blocks like the one at (y, x), nearest first.

    The reference leads; equal distances are ordered by raster order of the displacement.
    """
    radius = stage.radius
    top, left = max(0, y - radius), max(0, x - radius)
    window = blocks[top : y + radius + 1, left : x + radius + 1]
    distance = ((window - blocks[y, x]) ** 2).sum((2, 3))
    distance[y - top, x - left] = -1  # the reference itself, before any other equal block
    nearest = np.argsort(distance, axis=None, kind="stable")[: stage.group]
    nearest = nearest[distance.ravel()[nearest] < threshold]
    size = 2 ** int(np.log2(len(nearest)))  # Haar needs a power of two
    dy, dx = np.unravel_index(nearest[:size], distance.shape)
    return np.stack([dy + top - y, dx + left - x], axis=1)


def bm3d_basic(noisy: Channels, matches: Matches, stage: Stage, run: Run) -> Channels:
    """Steps 1b and 1c: collaborative hard thresholding and aggregation (equations 6, 10, 12)."""

    def shrink(
        groups: tuple[FloatArray, ...], variance: FloatArray, sigma2: float
    ) -> tuple[FloatArray, float]:
        (coefficients,) = groups
        keep = coefficients**2 >= stage.strength * sigma2 * variance
        keep[0, 0, 0] = True  # the mean of the group carries no detail to threshold
        return np.where(keep, coefficients, 0), _weight(variance[keep])

    return _filter((noisy,), matches, stage, run, shrink)


def bm3d_final(
    noisy: Channels, pilot: Channels, matches: Matches, stage: Stage, run: Run
) -> Channels:
    """Steps 2b and 2c: collaborative Wiener filtering, aggregation (equations 9, 11, 12)."""

    def shrink(
        groups: tuple[FloatArray, ...], variance: FloatArray, sigma2: float
    ) -> tuple[FloatArray, float]:
        coefficients, guide = groups
        noise = stage.strength * sigma2 * variance
        noise[0, 0, 0] = 0  # the mean of the group passes, so that an added constant does
        energy = np.maximum(guide**2, np.finfo(np.float32).tiny)
        gain = energy / (energy + noise)
        return gain * coefficients, _weight(variance * gain**2)

    return _filter((noisy, pilot), matches, stage, run, shrink)


def _weight(variances: FloatArray) -> float:
    """Weight of a group: the inverse of the noise that is left in it."""
    return float(1 / np.clip(variances.sum(), 1 / HEAVIEST, 1 / LIGHTEST))


def _filter(
    images: tuple[Channels, ...], matches: Matches, stage: Stage, run: Run, shrink: Shrinkage
) -> Channels:
    """Transform, shrink, transform back and lay down every group; the first image is filtered."""
    shape = images[0].shape
    numerator, denominator = np.zeros(shape), np.zeros(shape)
    window = np.outer(stage.window, stage.window)
    blocks = [sliding_window_view(f.astype(np.float64), window.shape, (1, 2)) for f in images]
    for corners in _groups(matches, run):
        y, x = corners.T
        haar = haar_matrix(len(corners))
        for channel, sigma2 in enumerate(stage.variances):
            scale = np.ones(len(corners))
            if stage.scale is not None:
                scale = stage.scale[min(channel, len(stage.scale) - 1), y, x].astype(np.float64)
            variance = group_variance(corners, stage.correlation, haar, scale)
            groups = tuple(transform_group(b[channel, y, x], stage.forward, haar) for b in blocks)
            shrunk, weight = shrink(groups, variance, float(sigma2))
            estimates = transform_group(shrunk, stage.inverse, haar.T)
            for estimate, (y0, x0) in zip(estimates, corners, strict=True):
                place = np.s_[channel, y0 : y0 + stage.block, x0 : x0 + stage.block]
                numerator[place] += weight * window * estimate
                denominator[place] += weight * window
    return (numerator / denominator).astype(np.float32)


def _groups(matches: Matches, run: Run) -> Iterator[NDArray[np.int64]]:
    """Yield the corners (y, x) of the blocks of each group, the reference first."""
    for i, y in enumerate(matches.rows):
        for j, x in enumerate(matches.columns):
            yield matches.offsets[i, j, : matches.sizes[i, j]] + np.array([y, x])
        run.tick(1 / len(matches.rows))


def transform_group(group: FloatArray, matrix: FloatArray, haar: FloatArray) -> FloatArray:
    """Separable 3-D transform: `matrix` on both axes of the blocks (K, N, N), `haar` across."""
    blocks = matrix @ group @ matrix.T
    return (haar @ blocks.reshape(len(group), -1)).reshape(blocks.shape)


def haar_matrix(size: int) -> FloatArray:
    """Orthonormal Haar transform of `size` samples, a power of two; row 0 is the mean."""
    if size == 1:
        return np.ones((1, 1))
    half = haar_matrix(size // 2)
    mean = np.kron(half, [1, 1])
    difference = np.kron(np.eye(size // 2), [1, -1])
    haar: FloatArray = np.concatenate([mean, difference]) / np.sqrt(2)
    return haar


def group_variance(
    corners: NDArray[np.int64], correlation: FloatArray, haar: FloatArray, scale: FloatArray
) -> FloatArray:
    """Variance (K, N, N) of every group coefficient for white noise of sigma `scale` (K,).

    Mäkinen et al., equation 12: the noise of coefficient (u, v) has the covariance
    ``rho_u(dy) rho_v(dx)`` between two blocks dy, dx apart, and Haar takes a quadratic form.
    """
    size = len(correlation)
    far = np.zeros((1, size))  # blocks that do not overlap are uncorrelated
    table = np.concatenate([correlation, far])
    dy, dx = np.minimum(np.abs(corners[:, None] - corners[None]), size).transpose(2, 0, 1)
    covariance = table[dy][..., :, None] * table[dx][..., None, :]
    covariance *= (scale[:, None] * scale)[..., None, None]
    variance: FloatArray = np.einsum("kt,tsuv,ks->kuv", haar, covariance, haar)
    return variance
