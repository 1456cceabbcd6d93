"""Weights of the average of BM3D and a network, for each pixel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastrestore.nets.network import Network, noise_map

RADII = (3, 8, 20)  # of the windows of the statistics, in pixels
HIDDEN = 16
TINY = 1e-6


class Gate(Network):
    """Weights of two estimates from local statistics of their difference and the noisy image.

    Let d be the difference of the estimates and r the residual of the second one, both in units of
    sigma. Apart from the errors of the estimates, the local mean of d r equals that of d^2 where
    the first estimate is right, and is 0 where the second is. The inputs of a small network of
    1 x 1 convolutions are the means of d^2, d r, r^2 and of products of neighbors in r, and the
    energy of the second estimate, in windows of several sizes. It is trained on photographs.

    Its input is the noisy image, the first and the second estimate, stacked along the channels.
    """

    takes_sigma = True
    radius = max(RADII) + 1

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.channels = channels
        self.model = nn.Sequential(
            nn.Conv2d(5 * len(RADII), HIDDEN, 1), nn.ReLU(),
            nn.Conv2d(HIDDEN, HIDDEN, 1), nn.ReLU(),
            nn.Conv2d(HIDDEN, 1, 1),
        )  # fmt: skip

    def forward(self, image: Tensor, sigma: Tensor | float | None = None) -> Tensor:
        """Mix (B, 3 C, H, W) to (B, C, H, W)."""
        noisy, first, second = image.chunk(3, dim=1)
        return mixed(first, second, self.weight(evidence(noisy, first, second, sigma)))

    def weight(self, seen: Tensor) -> Tensor:
        """Return the weight of the first estimate, 0 to 1, from the features of `evidence`."""
        result: Tensor = torch.sigmoid(self.model(seen))
        return result


def mixed(first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """Return the average of two estimates with the given weight of the first."""
    return second + weight * (first - second)


def evidence(noisy: Tensor, first: Tensor, second: Tensor, sigma: Tensor | float | None) -> Tensor:
    """Return the features for a `Gate`, (B, 5 * windows, H, W)."""
    level = noise_map(noisy, sigma).clamp_min(TINY)
    difference, left = (first - second) / level, (noisy - second) / level
    seen = second / level
    beside = torch.roll(left, 1, -1) * left
    beside[..., 0] = 0
    above = torch.roll(left, 1, -2) * left
    above[..., 0, :] = 0
    products = (difference * difference, difference * left, left * left, (beside + above) / 2)
    flat = torch.cat([each.mean(1, keepdim=True) for each in products], 1)
    gathered = []
    for radius in RADII:
        near = _mean(flat, radius)
        energy = (_mean(seen * seen, radius) - _mean(seen, radius).square()).mean(1, keepdim=True)
        square, product, residual, neighbors = (near[:, k : k + 1] for k in range(4))
        gathered += [
            torch.log(square + 1e-3),
            (product / (square + 0.02)).clamp(-4, 4),
            residual - 1,
            neighbors,
            torch.log(energy.clamp_min(0) + 1e-2),
        ]
    return torch.cat(gathered, 1)


def _mean(values: Tensor, radius: int) -> Tensor:
    """Return the mean over a square window around each pixel, cropped at the border."""
    return nn.functional.avg_pool2d(
        values, 2 * radius + 1, stride=1, padding=radius, count_include_pad=False
    )
