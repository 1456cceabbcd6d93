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

from fastrestore._collaborative.stage import (
    HEAVIEST,
    LEAST,
    LIGHTEST,
    Channels,
    FloatArray,
    Image,
    Matches,
    Run,
    Stage,
    reference_grid,
)

# From coefficients (K, N, N) of one or two images, their variance for noise of variance 1 and what
# multiplies it to shrunk coefficients and the weight of the group
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
    if stage.match_bias is not None:
        down, across = top - y + radius, left - x + radius
        height, width = distance.shape
        distance += stage.match_bias[down : down + height, across : across + width]
    distance[y - top, x - left] = -1  # the reference itself, before any other equal block
    nearest = np.argsort(distance, axis=None, kind="stable")[: stage.group]
    nearest = nearest[distance.ravel()[nearest] < threshold]
    size = 2 ** int(np.log2(len(nearest)))  # Haar needs a power of two
    dy, dx = np.unravel_index(nearest[:size], distance.shape)
    return np.stack([dy + top - y, dx + left - x], axis=1)


def bm3d_basic(noisy: Channels, matches: Matches, stage: Stage, run: Run) -> Channels:
    """Steps 1b and 1c: collaborative hard thresholding and aggregation (equations 6, 10, 12)."""
    return _filter((noisy,), matches, stage, run, shrink_hard)


def shrink_hard(
    groups: tuple[FloatArray, ...], variance: FloatArray, strength: float
) -> tuple[FloatArray, float]:
    """Drop what noise explains; return the rest and the weight of the group."""
    (coefficients,) = groups
    keep = coefficients**2 >= strength * variance
    keep.flat[0] = True  # the mean of the group carries no detail to threshold
    return np.where(keep, coefficients, 0), _weight(variance[keep])


def bm3d_sharpened(noisy: Channels, matches: Matches, stage: Stage, run: Run) -> Channels:
    """The same; the stage says by how much the first channel is made sharper."""
    return bm3d_basic(noisy, matches, stage, run)


def sharpened(kept: FloatArray, root: float) -> FloatArray:
    """Take roots of what is kept, over the mean of the group: small details gain most.

    Dabov, Foi, Katkovnik, Egiazarian, "Joint image sharpening and denoising by 3D transform-domain
    collaborative filtering", SMMSP 2007.
    """
    mean = abs(float(kept.flat[0]))
    ratio = np.abs(kept) / mean if mean > 0 else np.ones_like(kept)
    ratio[ratio == 0] = 1
    ratio.flat[0] = 1
    result: FloatArray = kept * ratio ** (root - 1)
    return result


def bm3d_final(
    noisy: Channels, pilot: Channels, matches: Matches, stage: Stage, run: Run
) -> Channels:
    """Steps 2b and 2c: collaborative Wiener filtering, aggregation (equations 9, 11, 12)."""
    return _filter((noisy, pilot), matches, stage, run, shrink_wiener)


def shrink_wiener(
    groups: tuple[FloatArray, ...], variance: FloatArray, strength: float
) -> tuple[FloatArray, float]:
    """Multiply by the Wiener gain of the pilot; return that and the weight of the group."""
    coefficients, guide = groups
    noise = strength * variance
    noise.flat[0] = 0  # the mean of the group passes, so that an added constant does
    energy = np.maximum(guide**2, np.finfo(np.float32).tiny)
    gain = energy / (energy + noise)
    return gain * coefficients, _weight(variance * gain**2)


def _weight(variances: FloatArray) -> float:
    """Weight of a group: the inverse of the noise that is left in it."""
    return float(1 / np.clip(variances.sum(), 1 / HEAVIEST, 1 / LIGHTEST))


def _filter(
    images: tuple[Channels, ...], matches: Matches, stage: Stage, run: Run, shrink: Shrinkage
) -> Channels:
    """Filter every group, and divide the sums."""
    sums = np.zeros((2, *images[0].shape))
    lay_down(sums, images, matches, stage, run, shrink)
    estimate: Channels = (sums[0] / sums[1]).astype(np.float32)
    return estimate


def lay_down(
    sums: FloatArray,
    images: tuple[Channels, ...],
    matches: Matches,
    stage: Stage,
    run: Run,
    shrink: Shrinkage,
) -> None:
    """Transform, shrink, transform back and lay down every group; the first image is filtered.

    sums (2, C, M, N): numerator and denominator of equation 12, which are added to.
    """
    window = np.outer(stage.window, stage.window)
    blocks = [sliding_window_view(f.astype(np.float64), window.shape, (1, 2)) for f in images]
    for corners in _groups(matches, run):
        y, x = corners.T
        haar = haar_matrix(len(corners))
        for channel, strength in enumerate(stage.strength * stage.variances):
            scale = None
            if stage.scale is not None:
                scale = stage.scale[min(channel, len(stage.scale) - 1), y, x].astype(np.float64)
            covariance = stage.covariance[min(channel, len(stage.covariance) - 1)]
            variance = group_variance(corners, covariance, haar, scale)
            groups = tuple(transform_group(b[channel, y, x], stage.forward, haar) for b in blocks)
            shrunk, weight = shrink(groups, variance, float(strength))
            if stage.root != 1 and channel == 0:
                shrunk = sharpened(shrunk, stage.root)
            estimates = transform_group(shrunk, stage.inverse, haar.T)
            for estimate, (y0, x0) in zip(estimates, corners, strict=True):
                place = np.s_[channel, y0 : y0 + stage.block, x0 : x0 + stage.block]
                sums[0][place] += weight * window * estimate
                sums[1][place] += weight * window


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
    corners: NDArray[np.int64], covariance: FloatArray, haar: FloatArray, scale: FloatArray | None
) -> FloatArray:
    """Variance (K, N, N) of every group coefficient, for noise times `scale` (K,) in each block.

    Mäkinen et al., equation 12: the noise of a coefficient has a covariance between two blocks that
    depends on their displacement (`coefficient_covariance`), and Haar takes a quadratic form.
    """
    down, across = len(covariance) - 1, covariance.shape[1] // 2
    dy, dx = (corners[:, None] - corners[None]).transpose(2, 0, 1)
    dx = np.where(dy < 0, -dx, dx)
    pairs = covariance[np.minimum(np.abs(dy), down), np.clip(dx, -across, across) + across]
    if scale is not None:
        pairs = pairs * (scale[:, None] * scale)[..., None, None]
    variance: FloatArray = np.einsum("kt,tsuv,ks->kuv", haar, pairs, haar)
    return np.maximum(variance, 0 if scale is not None else LEAST * covariance[0, across])
