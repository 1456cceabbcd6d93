"""BM3D and BM4D step by step, in the order of the papers.

Dabov, Foi, Katkovnik, Egiazarian, "Image denoising by sparse 3-D transform-domain collaborative
filtering", IEEE TIP 16(8), 2007: the source of equation numbers. Volumes follow Maggioni,
Katkovnik, Egiazarian, Foi, "Nonlocal transform-domain filter for volumetric data denoising and
reconstruction", IEEE TIP 22(1), 2013, section III: the same steps with one axis more. The variances
of the coefficients are those of Mäkinen, Azzari, Foi, "Collaborative filtering of correlated noise:
exact transform-domain variance for improved shrinkage and patch matching", IEEE TIP 29, 2020, which
include the noise that overlapping blocks share.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastrestore._arrays.types import Channels, FloatArray, Image
from fastrestore.backends.host import reference_grids, thresholds
from fastrestore.backends.limits import HEAVIEST, LEAST, LIGHTEST
from fastrestore.backends.protocol import Execution, Matches, Stage

# A function of the coefficients (K, *block) of one or two images, their variance for noise of
# variance 1 and factors for it, which returns shrunk coefficients and the noise that remains
Shrinkage = Callable[[tuple[FloatArray, ...], FloatArray, FloatArray], tuple[FloatArray, float]]


def match(image: Image, stage: Stage, execution: Execution) -> Matches:
    """Steps 1a and 2a, grouping: find the blocks most similar to each reference block.

    Equation 5 for noisy blocks with lambda_2D = 0, equation 8 for blocks of the basic estimate.
    """
    blocks = sliding_window_view(image.astype(np.float64), stage.shape)
    grids = reference_grids(stage, image.shape)
    limits = thresholds(stage, grids)
    offsets = np.zeros((*limits.shape, stage.group, image.ndim), np.int16)
    sizes = np.zeros(limits.shape, np.int16)
    for place in np.ndindex(limits.shape):
        corner = tuple(int(grid[k]) for grid, k in zip(grids, place, strict=True))
        found = _match_one(blocks, corner, stage, float(limits[place]))
        sizes[place] = len(found)
        offsets[place][: len(found)] = found
        execution.report_progress(1 / sizes.size)
    return Matches(grids, offsets, sizes)


def _match_one(
    blocks: NDArray[np.float64], corner: tuple[int, ...], stage: Stage, threshold: float
) -> NDArray[np.int64]:
    """Offsets (dy, dx) of the blocks similar to the one at a corner, in order of distance.

    The reference is first; equal distances are in raster order of the displacement.
    """
    ndim = len(corner)
    first = [max(0, c - r) for c, r in zip(corner, stage.radii, strict=True)]
    part = (slice(f, c + r + 1) for f, c, r in zip(first, corner, stage.radii, strict=True))
    distance = ((blocks[tuple(part)] - blocks[corner]) ** 2).sum(tuple(range(ndim, 2 * ndim)))
    start = np.array(first, np.int64) - corner
    if stage.match_bias is not None:
        begin = start + stage.radii
        distance += stage.match_bias[tuple(map(slice, begin, begin + distance.shape))]
    distance[tuple(-start)] = -1  # the reference itself, before any other equal block
    nearest = np.argsort(distance, axis=None, kind="stable")[: stage.group]
    nearest = nearest[distance.ravel()[nearest] < threshold]
    size = 2 ** int(np.log2(len(nearest)))  # Haar needs a power of two
    found: NDArray[np.int64] = np.stack(np.unravel_index(nearest[:size], distance.shape), 1) + start
    return found


def filter_groups(
    images: tuple[Channels, ...], matches: Matches, stage: Stage, execution: Execution
) -> Channels:
    """Filter and aggregate all groups, and normalize the sums.

    Steps 1b and 1c, collaborative hard thresholding (equations 6, 10, 12). With a pilot steps 2b
    and 2c, collaborative Wiener filtering (equations 9, 11, 12).
    """
    sums = np.zeros((2, *images[0].shape))
    aggregate(sums, images, matches, stage, execution)
    estimate: Channels = (sums[0] / sums[1]).astype(images[0].dtype)
    return estimate


def shrink_hard(
    groups: tuple[FloatArray, ...], variance: FloatArray, strength: FloatArray
) -> tuple[FloatArray, float]:
    """Set coefficients below the threshold to zero; also return the remaining noise."""
    (coefficients,) = groups
    keep = coefficients**2 >= strength * variance
    keep.flat[0] = True  # the mean of the group is not thresholded
    return np.where(keep, coefficients, 0), float(variance[keep].sum())


def sharpened(shrunk: FloatArray, root: float) -> FloatArray:
    """Take roots of coefficients relative to the mean of the group, to amplify small details.

    Dabov, Foi, Katkovnik, Egiazarian, "Joint image sharpening and denoising by 3D transform-domain
    collaborative filtering", SMMSP 2007.
    """
    mean = abs(float(shrunk.flat[0]))
    ratio = np.abs(shrunk) / mean if mean > 0 else np.ones_like(shrunk)
    ratio[ratio == 0] = 1
    ratio.flat[0] = 1
    result: FloatArray = shrunk * ratio ** (root - 1)
    return result


def shrink_wiener(
    groups: tuple[FloatArray, ...], variance: FloatArray, strength: FloatArray
) -> tuple[FloatArray, float]:
    """Multiply by the Wiener gain of the pilot; also return the remaining noise."""
    coefficients, guide = groups
    noise = strength * variance
    noise.flat[0] = 0  # the mean of the group is not attenuated, for invariance to offsets
    energy = np.maximum(guide**2, np.finfo(np.float32).tiny)
    gain = energy / (energy + noise)
    return gain * coefficients, float((variance * gain**2).sum())


def weight_of(noise: float, size: int, stage: Stage) -> float:
    """Weight of a group of `size` blocks with this remaining noise: its inverse, equation 10."""
    noise *= (stage.group / size) ** stage.size_weight
    return float(1 / np.clip(noise, 1 / HEAVIEST, 1 / LIGHTEST))


def aggregate(
    sums: FloatArray,
    images: tuple[Channels, ...],
    matches: Matches,
    stage: Stage,
    execution: Execution,
) -> None:
    """Transform, shrink, transform back and aggregate all groups of the first image.

    Numerator and denominator of equation 12 are added to `sums` (2, C, M, N). The second image, if
    any, is the pilot of Wiener filtering.
    """
    shrink: Shrinkage = shrink_hard if len(images) == 1 else shrink_wiener
    window = functools.reduce(np.multiply.outer, stage.windows)
    axes = tuple(range(1, 1 + window.ndim))
    blocks = [sliding_window_view(f.astype(np.float64), stage.shape, axes) for f in images]
    for corners in groups_of(matches, execution):
        places, haar = tuple(corners.T), haar_matrix(len(corners))
        for channel, strength in enumerate(stage.strength * stage.variances):
            scale = None
            if stage.scale is not None:
                scale = stage.scale[(min(channel, len(stage.scale) - 1), *places)].astype(float)
            covariance = stage.covariance[min(channel, len(stage.covariance) - 1)]
            variance = group_variance(corners, covariance, haar, scale)
            groups = tuple(
                transform_group(b[(channel, *places)], stage.transforms, haar) for b in blocks
            )
            shrunk, noise = shrink(groups, variance, strength * factors_of(len(corners), stage))
            weight = weight_of(noise, len(corners), stage)
            if stage.root != 1 and channel == 0:
                shrunk = sharpened(shrunk, stage.root)
            estimates = transform_group(shrunk, stage.inverses, haar.T)
            for estimate, corner in zip(estimates, corners, strict=True):
                place = (channel, *map(slice, corner, corner + stage.shape))
                sums[0][place] += weight * window * estimate
                sums[1][place] += weight * window


def groups_of(matches: Matches, execution: Execution) -> Iterator[NDArray[np.int64]]:
    """Yield the corners of the blocks of each group, the reference first."""
    for place in np.ndindex(matches.sizes.shape):
        corner = [grid[k] for grid, k in zip(matches.corners, place, strict=True)]
        yield matches.offsets[place][: matches.sizes[place]] + np.array(corner)
        execution.report_progress(1 / matches.sizes.size)


def transform_group(
    group: FloatArray, matrices: tuple[FloatArray, ...], haar: FloatArray
) -> FloatArray:
    """Separable transform: `matrices` along the axes of blocks, `haar` across the group."""
    for axis, matrix in enumerate(matrices, 1):
        group = np.moveaxis(np.moveaxis(group, axis, -1) @ matrix.T, -1, axis)
    return (haar @ group.reshape(len(group), -1)).reshape(group.shape)


def haar_matrix(size: int) -> FloatArray:
    """Orthonormal Haar transform of `size` samples, a power of two; row 0 is the mean."""
    if size == 1:
        return np.ones((1, 1))
    half = haar_matrix(size // 2)
    mean = np.kron(half, [1, 1])
    difference = np.kron(np.eye(size // 2), [1, -1])
    haar: FloatArray = np.concatenate([mean, difference]) / np.sqrt(2)
    return haar


def factors_of(size: int, stage: Stage) -> FloatArray:
    """Factors for the strength of each coefficient of a group of `size` blocks; they broadcast."""
    if stage.factors is None:
        return np.ones((1,) * (1 + len(stage.shape)))
    return stage.factors[levels_of(size)]


def levels_of(size: int) -> list[int]:
    """Row of `Stage.factors` for each coefficient of a group of `size` blocks."""
    # Rows 2**j to 2**(j + 1) - 1 of the Haar matrix are the differences of size / 2**j blocks
    return [0] + [size.bit_length() - k.bit_length() for k in range(1, size)]


def group_variance(
    corners: NDArray[np.int64], covariance: FloatArray, haar: FloatArray, scale: FloatArray | None
) -> FloatArray:
    """Variance (K, *block) of every coefficient, for noise times `scale` (K,) in each block.

    Mäkinen et al., equation 12: a quadratic form of the Haar transform. The covariance between two
    blocks depends on their displacement, see `coefficient_covariance`.
    """
    pairs, ndim = pair_covariances(corners, covariance), corners.shape[1]
    if scale is not None:
        pairs = pairs * (scale[:, None] * scale)[(..., *[None] * ndim)]
    variance: FloatArray = np.einsum("kt,ts...,ks->k...", haar, pairs, haar)
    own = covariance[_middle(covariance, ndim)]
    return np.maximum(variance, 0 if scale is not None else LEAST * own)


def pair_covariances(corners: NDArray[np.int64], covariance: FloatArray) -> FloatArray:
    """Covariance (K, K, *block) of every coefficient of two blocks, by their displacement."""
    middle = _middle(covariance, corners.shape[1])
    apart = (corners[:, None] - corners[None]).transpose(2, 0, 1)
    apart = apart * np.where(apart[0] < 0, -1, 1)
    ends = zip(apart, middle, covariance.shape, strict=False)
    pairs: FloatArray = covariance[tuple(np.clip(d + m, 0, n - 1) for d, m, n in ends)]
    return pairs


def _middle(covariance: FloatArray, ndim: int) -> tuple[int, ...]:
    """Return the index of displacement 0."""
    return (0, *(n // 2 for n in covariance.shape[1:ndim]))
