"""BM4D step by step, to be read beside the paper.

Maggioni, Katkovnik, Egiazarian, Foi, "Nonlocal transform-domain filter for volumetric data
denoising and reconstruction", IEEE TIP 22(1), 2013. The variances of the coefficients are exact,
as those of `fastrestore.backends.numpy.bm3d`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastrestore._collaborative.stage import LEAST, FloatArray, Run
from fastrestore._collaborative.volume_stage import CubeMatches, Volume, Volumes, VolumeStage
from fastrestore.backends.numpy.bm3d import (
    Shrinkage,
    haar_matrix,
    shrink_hard,
    shrink_wiener,
)


def bm4d_match(volume: Volume, stage: VolumeStage, run: Run) -> CubeMatches:
    """Section III: find the blocks most like each reference block."""
    blocks = sliding_window_view(volume.astype(np.float64), stage.shape)
    grids = stage.grids(volume.shape)
    shape = tuple(len(grid) for grid in grids)
    offsets = np.zeros((*shape, stage.group, 3), np.int16)
    sizes = np.zeros(shape, np.int16)
    for place in np.ndindex(shape):
        corner = tuple(int(grid[k]) for grid, k in zip(grids, place, strict=True))
        threshold = stage.match if stage.match_map is None else float(stage.match_map[corner])
        found = _match_one(blocks, corner, stage, threshold)
        sizes[place] = len(found)
        offsets[place][: len(found)] = found
        run.tick(1 / sizes.size)
    return CubeMatches(*grids, offsets, sizes)


def _match_one(
    blocks: NDArray[np.float64], corner: tuple[int, ...], stage: VolumeStage, threshold: float
) -> NDArray[np.int64]:
    """Offsets (dz, dy, dx) of the blocks like the one at a corner, nearest first.

    The reference leads; equal distances are ordered by raster order of the displacement.
    """
    first = [max(0, c - r) for c, r in zip(corner, stage.radius, strict=True)]
    window = blocks[
        tuple(slice(f, c + r + 1) for f, c, r in zip(first, corner, stage.radius, strict=True))
    ]
    distance = ((window - blocks[corner]) ** 2).sum((3, 4, 5))
    start = np.array(first, np.int64) - corner
    if stage.match_bias is not None:
        begin = start + stage.radius
        part = tuple(slice(b, b + n) for b, n in zip(begin, distance.shape, strict=True))
        distance += stage.match_bias[part]
    distance[tuple(-start)] = -1  # the reference itself, before any other equal block
    nearest = np.argsort(distance, axis=None, kind="stable")[: stage.group]
    nearest = nearest[distance.ravel()[nearest] < threshold]
    size = 2 ** int(np.log2(len(nearest)))  # Haar needs a power of two
    places = np.unravel_index(nearest[:size], distance.shape)
    found: NDArray[np.int64] = np.stack(places, axis=1) + start
    return found


def bm4d_basic(noisy: Volumes, matches: CubeMatches, stage: VolumeStage, run: Run) -> Volumes:
    """Collaborative hard thresholding and aggregation."""
    return _filter((noisy,), matches, stage, run, shrink_hard)


def bm4d_final(
    noisy: Volumes, pilot: Volumes, matches: CubeMatches, stage: VolumeStage, run: Run
) -> Volumes:
    """Collaborative Wiener filtering and aggregation."""
    return _filter((noisy, pilot), matches, stage, run, shrink_wiener)


def _filter(
    images: tuple[Volumes, ...],
    matches: CubeMatches,
    stage: VolumeStage,
    run: Run,
    shrink: Shrinkage,
) -> Volumes:
    """Filter every group, lay it down, and divide the sums."""
    sums = np.zeros((2, *images[0].shape))
    window = np.einsum("z,y,x->zyx", *stage.window)
    blocks = [sliding_window_view(f.astype(np.float64), stage.shape, (1, 2, 3)) for f in images]
    for corners in _groups(matches, run):
        z, y, x = corners.T
        haar = haar_matrix(len(corners))
        for channel, strength in enumerate(stage.strength * stage.variances):
            scale = None
            if stage.scale is not None:
                scale = stage.scale[min(channel, len(stage.scale) - 1), z, y, x].astype(np.float64)
            covariance = stage.covariance[min(channel, len(stage.covariance) - 1)]
            variance = group_variance(corners, covariance, haar, scale)
            groups = tuple(
                transform_group(b[channel, z, y, x], stage.forward, haar) for b in blocks
            )
            shrunk, weight = shrink(groups, variance, float(strength))
            estimates = transform_group(shrunk, stage.inverse, haar.T)
            for estimate, corner in zip(estimates, corners, strict=True):
                place = (channel, *map(slice, corner, corner + stage.shape))
                sums[0][place] += weight * window * estimate
                sums[1][place] += weight * window
    result: Volumes = (sums[0] / sums[1]).astype(np.float32)
    return result


def _groups(matches: CubeMatches, run: Run) -> Iterator[NDArray[np.int64]]:
    """Yield the corners (z, y, x) of the blocks of each group, the reference first."""
    for place in np.ndindex(matches.sizes.shape):
        grids = (matches.slices, matches.rows, matches.columns)
        corner = np.array([grid[k] for grid, k in zip(grids, place, strict=True)])
        yield matches.offsets[place][: matches.sizes[place]] + corner
        run.tick(1 / matches.sizes.size)


def transform_group(
    group: FloatArray, matrices: tuple[FloatArray, ...], haar: FloatArray
) -> FloatArray:
    """Separable 4-D transform: `matrices` on the axes of the blocks (K, P, N, N), `haar` across."""
    blocks: FloatArray = np.einsum("tzyx,az,by,cx,kt->kabc", group, *matrices, haar, optimize=True)
    return blocks


def group_variance(
    corners: NDArray[np.int64], covariance: FloatArray, haar: FloatArray, scale: FloatArray | None
) -> FloatArray:
    """Variance (K, P, N, N) of every group coefficient, for noise times `scale` in each block.

    As `fastrestore.backends.numpy.bm3d.group_variance`, by displacements of three axes.
    """
    down, across, along = (len(covariance) - 1, *(n // 2 for n in covariance.shape[1:3]))
    apart = (corners[:, None] - corners[None]).transpose(2, 0, 1)
    dz, dy, dx = apart * np.where(apart[0] < 0, -1, 1)
    dy, dx = np.clip(dy, -across, across), np.clip(dx, -along, along)
    pairs = covariance[np.minimum(dz, down), dy + across, dx + along]
    if scale is not None:
        pairs = pairs * (scale[:, None] * scale)[..., None, None, None]
    variance: FloatArray = np.einsum("kt,tsabc,ks->kabc", haar, pairs, haar)
    return np.maximum(variance, 0 if scale is not None else LEAST * covariance[0, across, along])
