"""FFDNet: a sequence of convolutions at half resolution with the noise level as an input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastrestore.nets.network import Network, check_sizes, convolution, noise_map, padded


class FFDNet(Network):
    """FFDNet of Zhang et al. [1]_: its input is four interlaced images and a map of sigma.

    One network is for all noise levels. Half the resolution makes it fast.

    Parameters
    ----------
    channels : int, default 1
        Number of colors of an image, 1 or 3.
    layers : int, optional
        Number of convolutions. The default is that of the paper: 15 for gray, 12 for color.
    width : int, optional
        Number of features between them. The default is 64 for gray, 96 for color.

    Raises
    ------
    TypeError, ValueError
        If a size is not a whole number from 1 to 10,000, `layers` is 1, or `channels` is neither 1
        nor 3.

    See Also
    --------
    load : Load trained weights.
    apply : Restore an image with it.
    DnCNN : A network without an input for the noise level.

    References
    ----------
    .. [1] K. Zhang, W. Zuo, L. Zhang, "FFDNet: toward a fast and flexible solution for CNN-based
       image denoising", IEEE Trans. Image Process. 27(9), 2018.

    Examples
    --------
    >>> import torch
    >>> from fastrestore.nets import FFDNet
    >>> FFDNet(layers=4, width=8)(torch.zeros(1, 1, 21, 30), sigma=0.1).shape
    torch.Size([1, 1, 21, 30])
    """

    grid = 2
    takes_sigma = True

    def __init__(
        self, channels: int = 1, layers: int | None = None, width: int | None = None
    ) -> None:
        super().__init__()
        layers = (15 if channels == 1 else 12) if layers is None else layers
        width = (64 if channels == 1 else 96) if width is None else width
        check_sizes(channels, layers=layers, width=width)
        if layers < 2:
            raise ValueError(f"layers must be 2 or more, got {layers!r}")
        self.channels, self.radius = channels, 2 * layers + 1
        chain: list[nn.Module] = [convolution(4 * channels + 1, width), nn.ReLU(inplace=True)]
        for _ in range(layers - 2):
            chain += [convolution(width, width), nn.ReLU(inplace=True)]
        self.model = nn.Sequential(*chain, convolution(width, 4 * channels))

    def forward(self, image: Tensor, sigma: Tensor | float | None = None) -> Tensor:
        """Restore images (B, C, H, W); sigma broadcasts to (B, 1, H, W)."""
        height, width = image.shape[-2:]
        whole = padded(image, self.grid)
        levels = padded(noise_map(image, sigma), self.grid)[..., ::2, ::2]
        small = nn.functional.pixel_unshuffle(whole, 2)
        restored = nn.functional.pixel_shuffle(self.model(torch.cat([small, levels], 1)), 2)
        return restored[..., :height, :width]
