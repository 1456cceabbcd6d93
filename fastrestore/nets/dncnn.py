"""DnCNN: a sequence of convolutions that predicts the noise."""

from __future__ import annotations

from torch import Tensor, nn

from fastrestore.nets.network import Network, check_sizes, convolution


class DnCNN(Network):
    """DnCNN of Zhang et al. [1]_: subtracts the noise that 3 x 3 convolutions predict.

    Trained for one noise level, or for all, without an input for it.

    Parameters
    ----------
    channels : int, default 1
        Number of colors of an image, 1 or 3.
    layers : int, default 17
        Number of convolutions; 17 in the paper for one sigma, 20 for any sigma ("blind").
    width : int, default 64
        Number of features between them.
    batch_norm : bool, default False
        Whether batch normalization follows each convolution but the first and the last, as in the
        paper. Networks that `load` returns have none: it is merged into the convolutions.

    Raises
    ------
    TypeError, ValueError
        If a size is not a whole number from 1 to 10,000, `layers` is 1, or `channels` is neither 1
        nor 3.

    See Also
    --------
    load : Load trained weights.
    apply : Restore an image with it.
    FFDNet : A network whose input is the noise level, too.

    References
    ----------
    .. [1] K. Zhang, W. Zuo, Y. Chen, D. Meng, L. Zhang, "Beyond a Gaussian denoiser: residual
       learning of deep CNN for image denoising", IEEE Trans. Image Process. 26(7), 2017.

    Examples
    --------
    >>> import torch
    >>> from fastrestore.nets import DnCNN
    >>> DnCNN(layers=5, width=8)(torch.zeros(1, 1, 20, 30)).shape
    torch.Size([1, 1, 20, 30])
    """

    def __init__(
        self, channels: int = 1, layers: int = 17, width: int = 64, *, batch_norm: bool = False
    ) -> None:
        super().__init__()
        check_sizes(channels, layers=layers, width=width)
        if layers < 2:
            raise ValueError(f"layers must be 2 or more, got {layers!r}")
        self.channels, self.radius = channels, layers
        chain: list[nn.Module] = [convolution(channels, width), nn.ReLU(inplace=True)]
        for _ in range(layers - 2):
            chain.append(convolution(width, width))
            if batch_norm:
                chain.append(nn.BatchNorm2d(width, eps=1e-4, momentum=0.9))
            chain.append(nn.ReLU(inplace=True))
        last = convolution(width, channels)
        self.model = nn.Sequential(*chain, last)
        for part in self.model:
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
                assert part.bias is not None
                nn.init.zeros_(part.bias)
        nn.init.normal_(last.weight, std=1e-3)

    def forward(self, image: Tensor, sigma: object = None) -> Tensor:
        """Restore images (B, C, H, W); sigma is not used."""
        restored: Tensor = image - self.model(image)
        return restored
