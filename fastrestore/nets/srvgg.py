"""SRVGG: a sequence of convolutions at low resolution, followed by a pixel shuffle."""

from __future__ import annotations

from torch import Tensor, nn

from fastrestore.nets.network import Network, check_sizes, convolution


class SRVGG(Network):
    """The compact network of Real-ESRGAN [1]_: fast, as all convolutions are at low resolution.

    Names of its parameters are those of public files of weights.

    Parameters
    ----------
    channels : int, default 3
        Number of colors of an image, 1 or 3.
    scale : {1, 2, 3, 4}, default 4
        Factor by which rows and columns are multiplied.
    layers : int, default 16
        Number of convolutions between the first and the last.
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
    RRDBNet : A larger network.

    References
    ----------
    .. [1] X. Wang, L. Xie, C. Dong, Y. Shan, "Real-ESRGAN: training real-world blind
       super-resolution with pure synthetic data", ICCV Workshops 2021.

    Examples
    --------
    >>> import torch
    >>> from fastrestore.nets import SRVGG
    >>> SRVGG(scale=2, layers=2, width=8)(torch.zeros(1, 3, 20, 30)).shape
    torch.Size([1, 3, 40, 60])
    """

    def __init__(
        self, channels: int = 3, scale: int = 4, layers: int = 16, width: int = 64
    ) -> None:
        super().__init__()
        check_sizes(channels, scales=(1, 2, 3, 4), scale=scale, layers=layers, width=width)
        self.channels, self.scale, self.radius = channels, scale, layers + 2
        chain: list[nn.Module] = [convolution(channels, width), nn.PReLU(width)]
        for _ in range(layers):
            chain += [convolution(width, width), nn.PReLU(width)]
        self.body = nn.Sequential(*chain, convolution(width, channels * scale**2))
        self.upsampler = nn.PixelShuffle(scale)

    def forward(self, image: Tensor, sigma: object = None) -> Tensor:
        """Enlarge images (B, C, H, W)."""
        result: Tensor = self.upsampler(self.body(image))
        return result + nn.functional.interpolate(image, scale_factor=self.scale, mode="nearest")
