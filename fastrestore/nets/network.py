"""Base class of all networks: images (B, C, H, W) from 0 to 1, sigma in the same units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastrestore._arrays import validate

MOST = 10_000  # layers, blocks or features: more are a mistake that would exhaust the memory


class Network(nn.Module):
    """A network that maps degraded images to restored ones.

    A subclass sets the attributes and defines ``forward``; `apply` does the rest: scaling, padding
    and tiles.

    Attributes
    ----------
    channels : int
        Number of colors of an image, 1 or 3.
    radius : int
        Upper bound of the radius of the receptive field, in pixels of the input. For networks of
        other packages, whose receptive field is unknown, the number of pixels that tiles overlap.
    grid : int
        Tiles begin at multiples of this number of pixels.
    scale : int
        Factor by which rows and columns are multiplied.
    takes_sigma : bool
        Whether the noise level is an input, as a map next to the colors.
    sigmas : (float, float) or None
        Range of noise levels that the network was trained for, on images from 0 to 1; None if
        unknown.
    takes_mask : bool
        Whether the last channel of the input is a mask, 1 where a pixel is missing.
    supports_half : bool
        Whether the network can run in float16.
    tiling : {"exact", "overlap", "whole"}
        "exact" if results in tiles are those of the whole image up to rounding, "overlap" if they
        may differ, because the receptive field is unknown, and "whole" if tiles are only used when
        requested, because results depend on the whole image.

    See Also
    --------
    apply : Restore an image by a network.
    load : Load a network from a file.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from fastrestore import nets
    >>> class Linear(nets.Network):
    ...     channels, radius = 1, 1
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.filter = torch.nn.Conv2d(1, 1, 3, padding=1)
    ...     def forward(self, image, sigma=None):
    ...         return self.filter(image)
    >>> nets.apply(Linear(), np.ones((20, 30), np.float32), data_range=1).shape
    (20, 30)
    """

    channels: int
    radius: int
    grid: int = 1
    scale: int = 1
    takes_sigma: bool = False
    sigmas: tuple[float, float] | None = None
    takes_mask: bool = False
    supports_half: bool = True
    tiling: str = "exact"

    @property
    def name(self) -> str:
        """Name for messages."""
        return type(self).__name__

    def forward(self, image: Tensor, sigma: Tensor | float | None = None) -> Tensor:
        """Restore images (B, C, H, W); sigma broadcasts to (B, 1, H, W)."""
        raise NotImplementedError


class Residual(nn.Sequential):
    """Modules, one after the other, whose result is added to their input."""

    def forward(self, features: Tensor) -> Tensor:
        """Add the result to the features."""
        result: Tensor = features + super().forward(features)  # type: ignore[no-untyped-call]
        return result


def check_sizes(channels: Any, scales: Sequence[int] = (1, 2, 4), **sizes: Any) -> None:
    """Raise unless the sizes of a network are whole numbers from 1 to `MOST`."""
    for name, value in {"channels": channels, **sizes}.items():
        if validate.integer(name, value, least=1) > MOST:
            raise ValueError(f"{name} must be at most {MOST}, got {value}")
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, got {channels!r}")
    if sizes.get("scale", 1) not in scales:
        known = ", ".join(map(str, scales[:-1]))
        raise ValueError(f"scale must be {known} or {scales[-1]}, got {sizes['scale']!r}")


def noise_map(image: Tensor, sigma: Tensor | float | None) -> Tensor:
    """Return sigma as a channel (B, 1, H, W)."""
    if sigma is None:
        raise ValueError("this network needs sigma")
    batch, _, height, width = image.shape
    level = torch.as_tensor(sigma, dtype=image.dtype, device=image.device)
    if level.ndim == 1:  # one for each image
        level = level[:, None, None, None]
    return level.expand(batch, 1, height, width)


def padded(image: Tensor, grid: int) -> Tensor:
    """Pad an image to a multiple of `grid` by repeating the last row and column."""
    height, width = image.shape[-2:]
    beyond = (0, -width % grid, 0, -height % grid)
    return nn.functional.pad(image, beyond, mode="replicate") if any(beyond) else image


def convolution(inside: int, outside: int, **options: Any) -> nn.Conv2d:
    """Return a 3 x 3 convolution with zero padding."""
    return nn.Conv2d(inside, outside, 3, padding=1, **options)


def interpolated(image: Tensor, scale: int) -> Tensor:
    """Enlarge images (B, C, H, W) by bilinear interpolation."""
    if scale == 1:
        return image
    return nn.functional.interpolate(
        image, scale_factor=scale, mode="bilinear", align_corners=False
    )
