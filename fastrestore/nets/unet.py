"""A residual U-Net with the noise level as an input."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastrestore._arrays import validate
from fastrestore.nets.network import Network, Residual, check_sizes, convolution, noise_map, padded


def block(width: int) -> Residual:
    """Return a residual block of two convolutions."""
    first, second = (convolution(width, width, bias=False) for _ in range(2))
    nn.init.kaiming_normal_(first.weight, nonlinearity="relu")
    nn.init.normal_(second.weight, std=0.1 / (3 * width**0.5))
    convolutions = nn.Sequential(first, nn.ReLU(inplace=True), second)
    return Residual(OrderedDict(res=convolutions))


class UNet(Network):
    """Compact version of DRUNet of Zhang et al. [1]_: residual blocks at several resolutions.

    It has no biases: scaling the image and sigma by a factor scales the result by it.

    Parameters
    ----------
    channels : int, default 1
        Number of colors of an image, 1 or 3.
    widths : sequence of int, default (24, 48, 96, 192)
        Number of features at each resolution; (64, 128, 256, 512) in DRUNet.
    blocks : int, default 2
        Number of residual blocks at each resolution of the encoder, and of the decoder; 4 in
        DRUNet.
    takes_sigma : bool, default True
        Whether a map of sigma is an input. Without it, the network can be trained for other
        degradations than noise.

    Raises
    ------
    TypeError, ValueError
        If a size is not a whole number from 1 to 10,000, or `channels` is neither 1 nor 3.

    See Also
    --------
    load : Load trained weights.
    apply : Restore an image with it.
    fastrestore.denoise : Remove noise with it, by ``method="unet"``.

    References
    ----------
    .. [1] K. Zhang, Y. Li, W. Zuo, L. Zhang, L. Van Gool, R. Timofte, "Plug-and-play image
       restoration with deep denoiser prior", IEEE Trans. Pattern Anal. Mach. Intell. 44(10), 2022.

    Examples
    --------
    >>> import torch
    >>> from fastrestore.nets import UNet
    >>> UNet(widths=(8, 8, 16, 16), blocks=1)(torch.zeros(1, 1, 21, 30), sigma=0.1).shape
    torch.Size([1, 1, 21, 30])
    """

    def __init__(
        self,
        channels: int = 1,
        widths: Sequence[int] = (24, 48, 96, 192),
        blocks: int = 2,
        *,
        takes_sigma: bool = True,
    ) -> None:
        super().__init__()
        if isinstance(widths, str) or not isinstance(widths, Sequence) or not widths:
            raise ValueError(f"widths must be whole numbers, such as (24, 48), got {widths!r}")
        sizes: dict[str, Any] = {f"widths[{k}]": n for k, n in enumerate(widths)}
        check_sizes(channels, blocks=blocks, **sizes)
        validate.flag("takes_sigma", takes_sigma)
        self.channels, self.takes_sigma = channels, takes_sigma
        self._depth = depth = len(widths) - 1
        self.grid = 2**depth
        # Head and tail; downsampling; blocks of encoder and decoder, and at the lowest resolution
        halvings = self.grid - 1
        self.radius = 2 + halvings + 4 * blocks * halvings + 2 * blocks * self.grid
        self.m_head = convolution(channels + takes_sigma, widths[0], bias=False)
        for level in range(depth):
            fine, coarse = widths[level : level + 2]
            here = [block(fine) for _ in range(blocks)]
            down = nn.Conv2d(fine, coarse, 2, stride=2, bias=False)
            setattr(self, f"m_down{level + 1}", nn.Sequential(*here, down))
            up = nn.ConvTranspose2d(coarse, fine, 2, stride=2, bias=False)
            here = [block(fine) for _ in range(blocks)]
            setattr(self, f"m_up{level + 1}", nn.Sequential(up, *here))
        self.m_body = nn.Sequential(*(block(widths[-1]) for _ in range(blocks)))
        self.m_tail = convolution(widths[0], channels, bias=False)
        self._start_from_identity()

    def _start_from_identity(self) -> None:
        """Initialize the network close to the identity, which makes training faster."""
        with torch.no_grad():
            self.m_tail.weight.mul_(0.05)
            for k in range(self.channels):
                self.m_head.weight[k].zero_()
                self.m_head.weight[k, k, 1, 1] = 1
                self.m_tail.weight[k, k, 1, 1] = 1
            for weight in self._ladder("m_up")[0][0].parameters():
                weight.mul_(0.1)

    def forward(self, image: Tensor, sigma: Tensor | float | None = None) -> Tensor:
        """Restore images (B, C, H, W); sigma broadcasts to (B, 1, H, W)."""
        height, width = image.shape[-2:]
        seen = torch.cat([image, noise_map(image, sigma)], 1) if self.takes_sigma else image
        skips = [self.m_head(padded(seen, self.grid))]
        for down in self._ladder("m_down"):
            skips.append(down(skips[-1]))
        features = self.m_body(skips[-1])
        for up in reversed(self._ladder("m_up")):
            features = up(features + skips.pop())
        restored: Tensor = self.m_tail(features + skips.pop())
        return restored[..., :height, :width]

    def _ladder(self, name: str) -> list[nn.Sequential]:
        """Return the modules of every resolution but the lowest, from fine to coarse."""
        return [getattr(self, f"{name}{level + 1}") for level in range(self._depth)]
