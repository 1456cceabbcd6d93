"""SRResNet: residual blocks, followed by pixel shuffles."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from fastrestore.nets.network import Network, Residual, check_sizes, convolution, interpolated

SLOPE = 0.1  # of the leaky ReLUs


def block(width: int) -> Residual:
    """Return a residual block of two convolutions, without batch normalization."""
    first, second = convolution(width, width), convolution(width, width)
    initialize(first)
    initialize(second)
    return Residual(OrderedDict(conv1=first, relu=nn.ReLU(inplace=True), conv2=second))


class SRResNet(Network):
    """The generator of SRGAN [1]_ without batch normalization, as in later work.

    Names of its parameters are those of public files of weights.

    Parameters
    ----------
    channels : int, default 3
        Number of colors of an image, 1 or 3.
    scale : {1, 2, 4}, default 4
        Factor by which rows and columns are multiplied; 1 restores at the same size.
    blocks : int, default 16
        Number of residual blocks.
    width : int, default 64
        Number of features between them.

    Raises
    ------
    TypeError, ValueError
        If a size is not a whole number from 1 to 10,000, or `channels` neither 1 nor 3.

    See Also
    --------
    load : Load trained weights.
    fastrestore.super_resolve : Increase the resolution with it.

    References
    ----------
    .. [1] C. Ledig et al., "Photo-realistic single image super-resolution using a generative
       adversarial network", CVPR 2017.

    Examples
    --------
    >>> import torch
    >>> from fastrestore.nets import SRResNet
    >>> SRResNet(scale=2, blocks=2, width=8)(torch.zeros(1, 3, 20, 30)).shape
    torch.Size([1, 3, 40, 60])
    """

    def __init__(
        self, channels: int = 3, scale: int = 4, blocks: int = 16, width: int = 64
    ) -> None:
        super().__init__()
        check_sizes(channels, scale=scale, blocks=blocks, width=width)
        self.channels, self.scale = channels, scale
        steps = {1: 0, 2: 1, 4: 2}[scale]
        # In pixels of the input: convolutions at higher resolutions add fractions of a pixel
        self.radius = 1 + 2 * blocks + {0: 2, 1: 3, 2: 3}[steps]
        self.conv_first = convolution(channels, width)
        self.body = nn.Sequential(*(block(width) for _ in range(blocks)))
        for step in range(steps):
            setattr(self, f"upconv{step + 1}", convolution(width, 4 * width))
        self.conv_hr, self.conv_last = convolution(width, width), convolution(width, channels)
        self.lrelu, self.pixel_shuffle = nn.LeakyReLU(SLOPE, inplace=True), nn.PixelShuffle(2)
        self._ups = tuple(f"upconv{step + 1}" for step in range(steps))
        ups = [getattr(self, name) for name in self._ups]
        for part in (self.conv_first, *ups, self.conv_hr, self.conv_last):
            initialize(part)

    def forward(self, image: Tensor, sigma: object = None) -> Tensor:
        """Enlarge images (B, C, H, W)."""
        features = self.body(self.lrelu(self.conv_first(image)))
        for name in self._ups:
            features = self.lrelu(self.pixel_shuffle(getattr(self, name)(features)))
        detail: Tensor = self.conv_last(self.lrelu(self.conv_hr(features)))
        return detail + interpolated(image, self.scale)


def initialize(part: nn.Conv2d) -> None:
    """Initialize after He et al., times 0.1: residuals are small at first."""
    nn.init.kaiming_normal_(part.weight)
    part.weight.data.mul_(0.1)
    if part.bias is not None:
        nn.init.zeros_(part.bias)
