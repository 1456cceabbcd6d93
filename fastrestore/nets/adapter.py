"""BM3D as a PyTorch module."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import fastrestore
from fastrestore._arrays import validate


class BM3D(nn.Module):
    """BM3D as a PyTorch denoiser, ``denoiser(x, sigma)``.

    This is the interface of plug-and-play methods in deepinv and other packages: images
    (B, C, H, W), and sigma in the units of the images, one number or one for each image. The
    result has the shape of the input.

    Parameters
    ----------
    **options
        Options of `bm3d` other than ``channel_axis``. Images of three channels are restored as
        color images; with any other number of channels, the channels are restored independently
        unless ``colorspace=`` is given.

    Raises
    ------
    ValueError
        In a call, if the images do not have four axes or sigma has a wrong number of values.

    Notes
    -----
    The result is detached from the graph: block matching has no gradient.

    Examples
    --------
    >>> import torch
    >>> from fastrestore.nets import BM3D
    >>> denoiser = BM3D(profile="fast")
    >>> denoiser(torch.rand(2, 1, 32, 40), 0.1).shape
    torch.Size([2, 1, 32, 40])
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        if "channel_axis" in options:
            raise TypeError("leave channel_axis out: images are B x C x H x W here")
        self.options = options

    def forward(self, image: Tensor, sigma: Tensor | float | None = None) -> Tensor:
        """Restore images (B, C, H, W)."""
        if image.ndim != 4:
            raise ValueError(f"images must be B x C x H x W, got shape {tuple(image.shape)}")
        levels = self._levels(image, sigma)
        pairs = zip(image.detach(), levels, strict=True)
        return torch.stack([self._one(each, level) for each, level in pairs])

    def _one(self, image: Tensor, sigma: float | None) -> Tensor:
        """Restore (C, H, W)."""
        if len(image) == 3 or (len(image) > 1 and "colorspace" in self.options):
            restored: Tensor = fastrestore.bm3d(image, sigma, channel_axis=0, **self.options)
            return restored
        return torch.stack([fastrestore.bm3d(plane, sigma, **self.options) for plane in image])

    @staticmethod
    def _levels(image: Tensor, sigma: Tensor | float | None) -> list[float | None]:
        """Return sigma of each image."""
        if sigma is None:
            return [None] * len(image)
        given = sigma.detach().cpu().numpy() if isinstance(sigma, Tensor) else sigma
        wanted = f"a number of 0 or more, or one for each of {len(image)} images"
        values = validate.numbers("sigma", given, wanted).flatten()
        if values.size not in (1, len(image)):
            raise ValueError(f"sigma must be {wanted}, got {validate.quoted(given)}")
        levels: list[float | None] = np.broadcast_to(values, len(image)).tolist()
        return levels
