"""Filtering of groups of blocks in PyTorch, with gradients of all numbers of a stage.

The specification is `fastrestore.backends.numpy.bm3d`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from fastrestore.backends.limits import HEAVIEST, LEAST, LIGHTEST, WIDTH
from fastrestore.backends.protocol import Matches

# Coefficients that are computed at a time; those of other groups are computed again in the backward
# pass, so that memory does not grow with the image
MOST = 2**21
TINY = float(np.finfo(np.float32).tiny)


class Numbers(NamedTuple):
    """Numbers of a stage, see `fastrestore.backends.protocol.Stage`."""

    forward: Tensor  # (N, N)
    inverse: Tensor  # (N, N)
    window: Tensor  # (N,)
    strength: Tensor  # (levels + 1, N, N), times the variance of the noise
    group: int
    size_weight: float


def filtered(images: tuple[Tensor, ...], matches: Matches, numbers: Numbers) -> Tensor:
    """Return the estimate of an image (H, W), or of an image with a pilot for Wiener filtering."""
    sums = torch.zeros((2, images[0].numel()), dtype=images[0].dtype)
    for corners in _chunks(matches, len(numbers.window)):
        sums = sums + checkpoint(_sums, corners, numbers, *images, use_reentrant=False)
    return (sums[0] / sums[1]).view_as(images[0])


def _chunks(matches: Matches, block: int) -> Iterator[Tensor]:
    """Yield the corners (G, K, 2) of groups of equal size."""
    starts = np.stack(np.meshgrid(matches.rows, matches.columns, indexing="ij"), -1)
    for size in np.unique(matches.sizes):
        chosen = matches.sizes == size
        corners = starts[chosen][:, None] + matches.offsets[chosen][:, :size]
        yield from torch.split(torch.from_numpy(corners), max(1, MOST // (int(size) * block**2)))


def _sums(corners: Tensor, numbers: Numbers, *images: Tensor) -> Tensor:
    """Numerator and denominator of the aggregation of some groups (2, H * W)."""
    size, block = corners.shape[1], len(numbers.window)
    across = images[0].shape[1]
    inside = (torch.arange(block)[:, None] * across + torch.arange(block)).flatten()
    places = (corners[..., 0] * across + corners[..., 1])[..., None] + inside
    haar, level = _haar(size)
    haar = haar.to(images[0].dtype)
    groups = [_transformed(each.flatten()[places], numbers.forward, haar) for each in images]
    variance = _variance(corners, numbers.forward)
    noise = numbers.strength[level].flatten(1) * variance
    shrunk, gain = _shrunk(groups, noise)
    share = (numbers.group / size) ** numbers.size_weight
    remaining = share * (variance * gain**2).sum((1, 2))
    weights = 1 / remaining.clamp(1 / HEAVIEST, 1 / LIGHTEST)
    window = weights[:, None, None] * torch.outer(numbers.window, numbers.window).flatten()
    blocks = window * _transformed(shrunk, numbers.inverse, haar.T)
    window = window.expand(blocks.shape)
    values = torch.stack([blocks.flatten(), window.flatten()])
    zeros = torch.zeros((2, images[0].numel()), dtype=values.dtype)
    return zeros.index_add(1, places.flatten(), values)


def _shrunk(groups: list[Tensor], noise: Tensor) -> tuple[Tensor, Tensor]:
    """Shrink groups (G, K, N * N); return them and the gains. The mean of a group passes."""
    mean = torch.zeros(noise.shape[1:], dtype=torch.bool)
    mean[0, 0] = True
    if len(groups) == 1:
        ratio = groups[0].square() / noise.clamp_min(TINY)
        passes = (ratio >= 1).to(ratio.dtype)
        u = ((ratio - 1) / WIDTH).clamp(-1, 1)
        smooth = 15 / 16 * (u - 2 / 3 * u**3 + u**5 / 5)  # its derivative is that of the step
        gain = passes + (smooth - smooth.detach())
    else:
        energy = groups[1] ** 2 + TINY
        gain = energy / (energy + noise)
    gain = gain.masked_fill(mean, 1)
    return gain * groups[0], gain


def _transformed(group: Tensor, matrix: Tensor, haar: Tensor) -> Tensor:
    """Transform blocks (G, K, N * N) along both axes, and across the group."""
    return torch.einsum("kt,gtu->gku", haar, group) @ torch.kron(matrix, matrix).T


@functools.cache
def _haar(size: int) -> tuple[Tensor, list[int]]:
    """Haar matrix of a group, and the level of each row: 0 for the mean, see `Stage.factors`."""
    haar = torch.ones((1, 1), dtype=torch.float64)
    while len(haar) < size:
        mean = torch.kron(haar, torch.ones(1, 2, dtype=torch.float64))
        signs = torch.tensor([[1, -1]], dtype=torch.float64)
        difference = torch.kron(torch.eye(len(haar), dtype=torch.float64), signs)
        haar = torch.cat([mean, difference]) / 2**0.5
    return haar, [0] + [size.bit_length() - k.bit_length() for k in range(1, size)]


def _variance(corners: Tensor, forward: Tensor) -> Tensor:
    """Variance (G, K, N * N) of every coefficient, for white noise of variance 1.

    If A and B are the sums of two halves of a part of the group, ``var(A +- B) = var A + var B +-
    2 cov(A, B)``, where the covariance is a sum over pairs of blocks.
    """
    size, block = corners.shape[1], len(forward)
    table = _covariances(forward)
    own = table[block - 1]  # of equal blocks
    pairs = _pairs(corners, block).to(forward.dtype) @ table  # (G, K, N * N), by coefficient
    within = pairs.unbind(1)
    rows: list[Tensor] = [own.expand_as(pairs[:, 0])] * size
    total = dict(enumerate(within))  # sums over all pairs of the part of a coefficient
    for k in range(size - 1, 0, -1):
        count = size >> (k.bit_length() - 1)
        inner = total[2 * k] + total[2 * k + 1] if count > 2 else torch.zeros_like(within[k])
        rows[k] = own + 2 / count * (inner - within[k])
        total[k] = inner + within[k]
    if size > 1:
        rows[0] = own + 2 / size * total[1]
    return torch.maximum(torch.stack(rows, 1), LEAST * own)


def _covariances(forward: Tensor) -> Tensor:
    """Covariance of each coefficient of two blocks, by displacement (N * (2 N - 1), N * N)."""
    block = len(forward)
    padded = torch.nn.functional.pad(forward, (block - 1, block - 1))
    rho = torch.einsum("us,uls->lu", forward, padded.unfold(1, block, 1))  # (2 N - 1, N)
    table = rho[block - 1 :, None, :, None] * rho[None, :, None, :]
    return table.reshape(-1, block**2)


def _pairs(corners: Tensor, block: int) -> Tensor:
    """Count the pairs of blocks between the halves of each coefficient, by displacement.

    The result is (G, K, N * (2 N - 1)). Coefficient k > 0 is the difference of two halves, those of
    its halves are 2 k and 2 k + 1, as in `_haar`; blocks that do not overlap are not counted.
    """
    count, size = corners.shape[:2]
    first, second = torch.triu_indices(size, size, 1)
    apart = corners[:, second] - corners[:, first]
    apart = apart * torch.where(apart[..., :1] < 0, -1, 1)
    down, across = apart.unbind(-1)
    overlap = (down < block) & (across.abs() < block)
    width = block * (2 * block - 1)
    place = down * (2 * block - 1) + across + block - 1
    place = torch.where(overlap, place, width)  # to a column that is dropped
    owner = torch.tensor(
        [_owner(size, int(a), int(b)) for a, b in zip(first, second, strict=True)],
        dtype=torch.int64,
    )
    out = torch.zeros((count, size * (width + 1)), dtype=torch.int32)
    ones = torch.ones_like(place, dtype=torch.int32)
    out.scatter_add_(1, owner * (width + 1) + place, ones)
    return out.view(count, size, width + 1)[..., :width]


def _owner(size: int, first: int, second: int) -> int:
    """Return the coefficient whose halves contain one block of a pair each."""
    part = 1
    while first // part != second // part:
        part *= 2
    return size // part + first // part
