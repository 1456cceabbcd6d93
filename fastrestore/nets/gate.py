"""Which of two estimates to trust where: the mixture of BM3D and a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastrestore.nets.network import Network, noise_map

REACHES = (3, 8, 20)  # pixels on each side of windows in which evidence is gathered
HIDDEN = 16
TINY = 1e-6


class Gate(Network):
    """Weights of two estimates by what the noisy image says of their difference.

    With d the difference of the estimates and r what the second one took off, both in units of
    sigma, a window's mean of d r is that of d^2 where the first is right, 0 where the second is,
    but for what noise is in the estimates. Means of d^2, d r and r^2, of the energy of the second
    estimate and of products of neighbours in r, each in several windows, go through a small
    network of 1 x 1 convolutions, which is trained on photographs.

    It takes images that are stacked: noisy, first and second estimate.
    """

    takes_sigma = True
    radius = max(REACHES) + 1

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.channels = channels
        self.model = nn.Sequential(
            nn.Conv2d(5 * len(REACHES), HIDDEN, 1), nn.ReLU(),
            nn.Conv2d(HIDDEN, HIDDEN, 1), nn.ReLU(),
            nn.Conv2d(HIDDEN, 1, 1),
        )  # fmt: skip

    def forward(self, image: Tensor, sigma: Tensor | float | None = None) -> Tensor:
        """Mix (B, 3 C, H, W) to (B, C, H, W)."""
        noisy, first, second = image.chunk(3, dim=1)
        return mixed(first, second, self.weight(evidence(noisy, first, second, sigma)))

    def weight(self, seen: Tensor) -> Tensor:
        """How much the first estimate counts, 0 to 1, by `evidence`."""
        result: Tensor = torch.sigmoid(self.model(seen))
        return result


def mixed(first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """Add two estimates, the first times `weight`."""
    return second + weight * (first - second)


def evidence(noisy: Tensor, first: Tensor, second: Tensor, sigma: Tensor | float | None) -> Tensor:
    """What a `Gate` goes by, (B, 5 windows, H, W)."""
    level = noise_map(noisy, sigma).clamp_min(TINY)
    apart, left = (first - second) / level, (noisy - second) / level
    seen = second / level
    beside = torch.roll(left, 1, -1) * left
    beside[..., 0] = 0
    above = torch.roll(left, 1, -2) * left
    above[..., 0, :] = 0
    products = (apart * apart, apart * left, left * left, (beside + above) / 2)
    flat = torch.cat([each.mean(1, keepdim=True) for each in products], 1)
    gathered = []
    for reach in REACHES:
        near = _mean(flat, reach)
        energy = (_mean(seen * seen, reach) - _mean(seen, reach).square()).mean(1, keepdim=True)
        square, product, residue, neighbours = (near[:, k : k + 1] for k in range(4))
        gathered += [
            torch.log(square + 1e-3),
            (product / (square + 0.02)).clamp(-4, 4),
            residue - 1,
            neighbours,
            torch.log(energy.clamp_min(0) + 1e-2),
        ]
    return torch.cat(gathered, 1)


def _mean(values: Tensor, reach: int) -> Tensor:
    """Mean of a square around each pixel, of what there is of it at the border."""
    return nn.functional.avg_pool2d(
        values, 2 * reach + 1, stride=1, padding=reach, count_include_pad=False
    )
