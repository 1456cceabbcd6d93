"""A discriminator that sees three frames of a film at once: what flickers is found out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastrestore.nets.frnet import VSRGAN, enlarged
from fastrestore.nets.network import check_sizes

SLOPE = 0.2
KEPT = 0.75  # of each side of moved frames; what comes in from beyond the border is left out
COUNT = 3  # frames


class FilmDiscriminator(nn.Module):
    """The spatio-temporal discriminator of TecoGAN [1]_, for frames of one size.

    Parameters
    ----------
    channels : int, default 3
        Colours of a frame.
    width : int, default 64
        Features of the first convolution.
    side : int, default 128
        Pixels along a side of what it judges; a multiple of 16.

    References
    ----------
    .. [1] M. Chu et al., "Learning temporal coherence via self-supervision for GAN-based video
       generation", ACM Transactions on Graphics 39(4), 2020.
    """

    def __init__(self, channels: int = 3, width: int = 64, side: int = 128) -> None:
        super().__init__()
        check_sizes(channels, width=width, side=side)
        if side % 16:
            raise ValueError(f"side must be a multiple of 16, got {side}")
        self.side = side
        self.conv_in = nn.Sequential(
            nn.Conv2d(3 * COUNT * channels, width, 3, 1, 1), nn.LeakyReLU(SLOPE, inplace=True)
        )
        self.discriminator_block = nn.Module()
        widths = [width, width, width, 2 * width, 4 * width]
        for k in (1, 2, 3, 4):
            block = nn.Sequential(
                nn.Conv2d(widths[k - 1], widths[k], 4, 2, 1, bias=False),
                nn.BatchNorm2d(widths[k]),
                nn.LeakyReLU(SLOPE, inplace=True),
            )
            self.discriminator_block.add_module(f"block{k}", block)
        self.dense = nn.Linear(widths[-1] * (side // 16) ** 2, 1)

    def features(self, seen: Tensor) -> list[Tensor]:
        """What convolutions give at each resolution, for a loss that compares them."""
        if seen.shape[-2:] != (self.side, self.side):
            raise ValueError(
                f"frames must be {self.side} x {self.side} here, got {tuple(seen.shape[-2:])}"
            )
        found, now = [], self.conv_in(seen)
        for block in self.discriminator_block.children():
            now = block(now)
            found.append(now)
        return found

    def forward(self, seen: Tensor) -> Tensor:
        """Return (B, 1): above 0 where three frames are taken for true ones."""
        verdict: Tensor = self.dense(self.features(seen)[-1].flatten(1))
        return verdict


def triplets(net: VSRGAN, films: Tensor, small: Tensor) -> Tensor:
    """Put together what is judged: three frames as they are, moved to the middle one, and small.

    `films` is (B, T, C, s H, s W), `small` (B, T, C, H, W); the result (B T // 3, 9 C, s H, s W).
    """
    batch, count = films.shape[0], films.shape[1] // COUNT
    judged = [_in_threes(films, count), _in_threes(small, count)]
    shown, below = (each.flatten(0, 1) for each in judged)
    middle = below[:, 1]
    with torch.no_grad():
        flows = [net.flow(middle, below[:, k]) for k in (0, 2)]
    before, after = (net.moved(shown[:, k], flow) for k, flow in zip((0, 2), flows, strict=True))
    moved = _without_border(torch.stack([before, shown[:, 1], after], 1))
    large = enlarged(below.flatten(0, 1), net.scale, net.upsample).view_as(shown)
    # The three frames of a colour side by side
    parts = [part.transpose(1, 2).flatten(1, 2) for part in (shown, moved, large)]
    assert len(parts[0]) == batch * count
    return torch.cat(parts, 1)


def _in_threes(films: Tensor, count: int) -> Tensor:
    return films[:, : COUNT * count].reshape(len(films), count, COUNT, *films.shape[2:])


def _without_border(films: Tensor) -> Tensor:
    """Set to 0 what lies outside of the middle."""
    height, width = films.shape[-2:]
    top, left = (int(n * (1 - KEPT) / 2) for n in (height, width))
    kept = torch.zeros_like(films)
    inner = (..., slice(top, height - top), slice(left, width - left))
    kept[inner] = films[inner]
    return kept
