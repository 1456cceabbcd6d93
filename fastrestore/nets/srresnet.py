"""SRResNet: residual blocks, followed by pixel shuffles."""

from __future__ import annotations

from torch import Tensor, nn

from fastrestore.nets.network import Network, check_sizes, convolution, interpolated

SLOPE = 0.1  # of the leaky ReLUs


class Block(nn.Module):
    """Residual block of two convolutions, without batch normalization."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = convolution(width, width), convolution(width, width)
        self.relu = nn.ReLU(inplace=True)
        for part in (self.conv1, self.conv2):
            initialize(part, 0.1)

    def forward(self, features: Tensor) -> Tensor:
        """Add the result of the convolutions to the features."""
        result: Tensor = features + self.conv2(self.relu(self.conv1(features)))
        return result


class SRResNet(Network):
    """The generator of SRGAN [1]_ without batch normalization, as in later work.

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
        if scale not in (1, 2, 4):
            raise ValueError(f"scale must be 1, 2 or 4, got {scale!r}")
        self.channels, self.scale = channels, scale
        steps = {1: 0, 2: 1, 4: 2}[scale]
        # In pixels of the input: convolutions at higher resolutions add fractions of a pixel
        self.radius = 1 + 2 * blocks + {0: 2, 1: 3, 2: 3}[steps]
        self.conv_first = convolution(channels, width)
        self.body = nn.Sequential(*(Block(width) for _ in range(blocks)))
        for step in range(steps):
            setattr(self, f"upconv{step + 1}", convolution(width, 4 * width))
        self.conv_hr, self.conv_last = convolution(width, width), convolution(width, channels)
        self.lrelu, self.pixel_shuffle = nn.LeakyReLU(SLOPE, inplace=True), nn.PixelShuffle(2)
        self._steps = steps
        for part in (self.conv_first, *self._ups(), self.conv_hr, self.conv_last):
            initialize(part, 0.1)

    def _ups(self) -> list[nn.Conv2d]:
        return [getattr(self, f"upconv{step + 1}") for step in range(self._steps)]

    def forward(self, image: Tensor, sigma: object = None) -> Tensor:
        """Enlarge images (B, C, H, W)."""
        features = self.body(self.lrelu(self.conv_first(image)))
        for up in self._ups():
            features = self.lrelu(self.pixel_shuffle(up(features)))
        detail: Tensor = self.conv_last(self.lrelu(self.conv_hr(features)))
        return detail + interpolated(image, self.scale)


def initialize(part: nn.Conv2d, gain: float) -> None:
    """Initialize after He et al., times a gain: residuals are small at first."""
    nn.init.kaiming_normal_(part.weight)
    part.weight.data.mul_(gain)
    if part.bias is not None:
        nn.init.zeros_(part.bias)
