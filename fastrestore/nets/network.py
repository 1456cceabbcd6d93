"""What all networks share: images of B x C x H x W from 0 to 1, sigma in the same units."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fastrestore._arrays import validate


class Network(nn.Module):
    """A network that maps degraded images to restored ones.

    Attributes
    ----------
    channels : int
        Colours of an image, 1 or 3.
    radius : int
        An output pixel sees so many pixels on each side, or fewer.
    grid : int
        Sizes, and corners of tiles, are multiples of so many pixels.
    scale : int
        A restored image has so many times the pixels along each side.
    takes_sigma : bool
        Whether the noise is told to the network, by a map beside the colours.
    sigmas : (float, float) or None
        The noise it was trained for, on images from 0 to 1; None if nobody knows.
    """

    channels: int
    radius: int
    grid: int = 1
    scale: int = 1
    takes_sigma: bool = False
    sigmas: tuple[float, float] | None = None

    def forward(self, image: Tensor, sigma: Tensor | float | None = None) -> Tensor:
        """Restore images (B, C, H, W); sigma broadcasts to (B, 1, H, W)."""
        raise NotImplementedError


def check_sizes(channels: Any, **sizes: Any) -> None:
    """Raise unless the sizes of a network are whole numbers of 1 or more."""
    for name, value in {"channels": channels, **sizes}.items():
        validate.integer(name, value, least=1)
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, got {channels!r}")


def noise_map(image: Tensor, sigma: Tensor | float | None) -> Tensor:
    """Sigma as a channel (B, 1, H, W)."""
    if sigma is None:
        raise ValueError("this network has to be told sigma")
    batch, _, height, width = image.shape
    level = torch.as_tensor(sigma, dtype=image.dtype, device=image.device)
    if level.ndim == 1:  # one for each image
        level = level[:, None, None, None]
    return level.expand(batch, 1, height, width)


def padded(image: Tensor, grid: int) -> Tensor:
    """Repeat the last rows and columns up to a multiple of `grid`."""
    height, width = image.shape[-2:]
    beyond = (0, -width % grid, 0, -height % grid)
    return nn.functional.pad(image, beyond, mode="replicate") if any(beyond) else image


def convolution(inside: int, outside: int, **options: Any) -> nn.Conv2d:
    """3 x 3, zeros beyond the border."""
    return nn.Conv2d(inside, outside, 3, padding=1, **options)
