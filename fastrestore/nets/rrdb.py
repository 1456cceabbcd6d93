"""RRDBNet, the generator of ESRGAN, for weights of other packages."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastrestore.nets.network import Network, check_sizes, convolution, padded

RESIDUAL = 0.2  # factor of the residual that is added to the input of a block


class Dense(nn.Module):
    """Five convolutions; the input of each is the results of all before it."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        for k in range(4):
            setattr(self, f"conv{k + 1}", convolution(width + k * growth, growth))
        self.conv5 = convolution(width + 4 * growth, width)
        self.lrelu = nn.LeakyReLU(0.2, inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Add the scaled result of the last convolution."""
        seen = features
        for k in range(4):
            more = self.lrelu(getattr(self, f"conv{k + 1}")(seen))
            seen = torch.cat([seen, more], 1)
        result: Tensor = features + RESIDUAL * self.conv5(seen)
        return result


class Block(nn.Module):
    """Three dense blocks."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (Dense(width, growth) for _ in range(3))

    def forward(self, features: Tensor) -> Tensor:
        """Add the scaled result of the last dense block."""
        result: Tensor = features + RESIDUAL * self.rdb3(self.rdb2(self.rdb1(features)))
        return result


class RRDBNet(Network):
    """The generator of ESRGAN [1]_ and Real-ESRGAN.

    Slow, and with most detail of the built-in classes.

    Parameters
    ----------
    channels : int, default 3
        Number of colors of an image, 1 or 3.
    scale : {1, 2, 4}, default 4
        Factor by which rows and columns are multiplied. For 2 and 1 the input is 4 and 16
        interlaced images.
    blocks : int, default 23
        Number of blocks of three dense blocks.
    width, growth : int, default 64 and 32
        Number of features between blocks, and of each convolution in them.

    Raises
    ------
    TypeError, ValueError
        If a size is not a whole number from 1 to 10,000, or `channels` neither 1 nor 3.

    See Also
    --------
    load : Load trained weights.
    fastrestore.super_resolve : Increase the resolution with it.
    SRVGG : A fast network.

    References
    ----------
    .. [1] X. Wang et al., "ESRGAN: enhanced super-resolution generative adversarial networks", ECCV
       Workshops 2018.

    Examples
    --------
    >>> import torch
    >>> from fastrestore.nets import RRDBNet
    >>> RRDBNet(blocks=1, width=8, growth=4)(torch.zeros(1, 3, 20, 30)).shape
    torch.Size([1, 3, 80, 120])
    """

    def __init__(
        self, channels: int = 3, scale: int = 4, blocks: int = 23, width: int = 64, growth: int = 32
    ) -> None:
        super().__init__()
        check_sizes(channels, scale=scale, blocks=blocks, width=width, growth=growth)
        self.channels, self.scale, self.grid = channels, scale, 4 // scale
        self.radius = self.grid * (1 + 15 * blocks + 1 + 2) + self.grid - 1
        self.conv_first = convolution(channels * self.grid**2, width)
        self.body = nn.Sequential(*(Block(width, growth) for _ in range(blocks)))
        self.conv_body = convolution(width, width)
        self.conv_up1, self.conv_up2 = convolution(width, width), convolution(width, width)
        self.conv_hr, self.conv_last = convolution(width, width), convolution(width, channels)
        self.lrelu = nn.LeakyReLU(0.2, inplace=True)

    def forward(self, image: Tensor, sigma: object = None) -> Tensor:
        """Enlarge images (B, C, H, W)."""
        height, width = (self.scale * n for n in image.shape[-2:])
        small = nn.functional.pixel_unshuffle(padded(image, self.grid), self.grid)
        features = self.conv_first(small)
        features = features + self.conv_body(self.body(features))
        for up in (self.conv_up1, self.conv_up2):
            features = self.lrelu(up(nn.functional.interpolate(features, scale_factor=2)))
        restored: Tensor = self.conv_last(self.lrelu(self.conv_hr(features)))
        return restored[..., :height, :width]
