"""Discriminators for the training of generators."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from fastrestore.nets.network import check_sizes
from fastrestore.nets.video_discriminator import VideoDiscriminator

SIDE = 128  # side of the images for a `VGGDiscriminator`, in pixels
SLOPE = 0.2


class VGGDiscriminator(nn.Module):
    """Discriminator of images of 128 x 128 pixels, after SRGAN [1]_.

    It is used in training only, see ``fastrestore train gan``.

    Parameters
    ----------
    channels : int, default 3
        Number of colors of an image, 1 or 3.
    width : int, default 64
        Number of features of the first convolutions; later ones have up to 8 times as many.

    Raises
    ------
    TypeError, ValueError
        If a size is not a whole number from 1 to 10,000, or `channels` neither 1 nor 3.

    See Also
    --------
    UNetDiscriminator : A discriminator of each pixel.
    VideoDiscriminator : A discriminator of frames.

    References
    ----------
    .. [1] C. Ledig et al., "Photo-realistic single image super-resolution using a generative
       adversarial network", CVPR 2017.

    Examples
    --------
    >>> import torch
    >>> from fastrestore.nets import VGGDiscriminator
    >>> VGGDiscriminator(width=4)(torch.zeros(2, 3, 128, 128)).shape
    torch.Size([2, 1])
    """

    def __init__(self, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        check_sizes(channels, width=width)
        widths = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        before = channels
        for k, wide in enumerate(widths):
            setattr(self, f"conv{k}_0", nn.Conv2d(before, wide, 3, 1, 1, bias=k == 0))
            if k > 0:
                setattr(self, f"bn{k}_0", nn.BatchNorm2d(wide))
            setattr(self, f"conv{k}_1", nn.Conv2d(wide, wide, 4, 2, 1, bias=False))
            setattr(self, f"bn{k}_1", nn.BatchNorm2d(wide))
            before = wide
        self.linear1 = nn.Linear(before * 4 * 4, 100)
        self.linear2 = nn.Linear(100, 1)
        self.lrelu = nn.LeakyReLU(SLOPE, inplace=True)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the features after every second convolution, for a feature matching loss."""
        if image.shape[-2:] != (SIDE, SIDE):
            raise ValueError(
                f"images must be {SIDE} x {SIDE} here, got {tuple(image.shape[-2:])}; use a "
                "UNetDiscriminator for other sizes"
            )
        levels, seen = [], image
        for k in range(5):
            seen = getattr(self, f"conv{k}_0")(seen)
            seen = self.lrelu(getattr(self, f"bn{k}_0")(seen) if k else seen)
            seen = self.lrelu(getattr(self, f"bn{k}_1")(getattr(self, f"conv{k}_1")(seen)))
            levels.append(seen)
        return levels

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B, 1), above 0 for images classified as real."""
        hidden = self.lrelu(self.linear1(self.features(image)[-1].flatten(1)))
        logits: Tensor = self.linear2(hidden)
        return logits


class UNetDiscriminator(nn.Module):
    """Discriminator of each pixel, with spectral normalization, after Real-ESRGAN [1]_.

    It is used in training only, see ``fastrestore train gan``.

    Parameters
    ----------
    channels : int, default 3
        Number of colors of an image, 1 or 3.
    width : int, default 64
        Number of features of the first convolution.

    Raises
    ------
    TypeError, ValueError
        If a size is not a whole number from 1 to 10,000, or `channels` neither 1 nor 3.

    See Also
    --------
    VGGDiscriminator : A discriminator of whole images.
    VideoDiscriminator : A discriminator of frames.

    References
    ----------
    .. [1] X. Wang, L. Xie, C. Dong, Y. Shan, "Real-ESRGAN: training real-world blind
       super-resolution with pure synthetic data", ICCV Workshops 2021.

    Examples
    --------
    >>> import torch
    >>> from fastrestore.nets import UNetDiscriminator
    >>> UNetDiscriminator(width=4)(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 1, 32, 32])
    """

    def __init__(self, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        check_sizes(channels, width=width)
        self.conv0 = nn.Conv2d(channels, width, 3, 1, 1)
        for k in (1, 2, 3):
            wide = width * 2 ** (k - 1)
            conv = nn.Conv2d(wide, 2 * wide, 4, 2, 1, bias=False)
            setattr(self, f"conv{k}", spectral_norm(conv))
        for k in (4, 5, 6, 7, 8):
            wide, narrow = (width * 2 ** max(0, n - k) for n in (7, 6))
            conv = nn.Conv2d(wide, narrow, 3, 1, 1, bias=False)
            setattr(self, f"conv{k}", spectral_norm(conv))
        self.conv9 = nn.Conv2d(width, 1, 3, 1, 1)
        self.lrelu = nn.LeakyReLU(SLOPE, inplace=True)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the features at each resolution, for a feature matching loss."""
        levels = [self.lrelu(self.conv0(image))]
        for k in (1, 2, 3):
            levels.append(self.lrelu(getattr(self, f"conv{k}")(levels[-1])))
        return levels

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B, 1, H, W), above 0 for pixels classified as real."""
        levels = self.features(image)
        seen = levels.pop()
        for k in (4, 5, 6):
            before = levels.pop()
            larger = nn.functional.interpolate(
                seen, size=before.shape[-2:], mode="bilinear", align_corners=False
            )
            seen = self.lrelu(getattr(self, f"conv{k}")(larger)) + before
        for k in (7, 8):
            seen = self.lrelu(getattr(self, f"conv{k}")(seen))
        logits: Tensor = self.conv9(seen)
        return logits


def gan_losses(real: Tensor, fake: Tensor, relativistic: bool) -> tuple[Tensor, Tensor]:
    """Return the losses of a discriminator and a generator, from logits of real and fake images.

    The relativistic average loss is that of logits relative to the mean of the other kind.
    """
    entropy = nn.functional.binary_cross_entropy_with_logits
    one, zero = torch.ones_like, torch.zeros_like
    if not relativistic:
        return entropy(real, one(real)) + entropy(fake, zero(fake)), entropy(fake, one(fake))
    real, fake = real - fake.mean(), fake - real.mean()
    discriminator = entropy(real, one(real)) + entropy(fake, zero(fake))
    generator = entropy(real, zero(real)) + entropy(fake, one(fake))
    return discriminator / 2, generator / 2


DISCRIMINATORS: dict[str, type[nn.Module]] = {
    "vgg": VGGDiscriminator,
    "unet": UNetDiscriminator,
    "film": VideoDiscriminator,
}
