"""Networks that judge images: trained against a generator, and not used after."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from fastrestore.nets.network import check_sizes
from fastrestore.nets.video_discriminator import FilmDiscriminator

SIDE = 128  # pixels of what a `VGGDiscriminator` takes
SLOPE = 0.2


class VGGDiscriminator(nn.Module):
    """A verdict on an image of 128 x 128 pixels, after SRGAN [1]_.

    Parameters
    ----------
    channels : int, default 3
        Colours of an image.
    width : int, default 64
        Features of the first convolutions; those of later ones are up to 8 times as many.

    References
    ----------
    .. [1] C. Ledig et al., "Photo-realistic single image super-resolution using a generative
       adversarial network", CVPR 2017.
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
        """What every second convolution gives, for a loss that compares them."""
        if image.shape[-2:] != (SIDE, SIDE):
            raise ValueError(
                f"images must be {SIDE} x {SIDE} here, got {tuple(image.shape[-2:])}; take a "
                "UNetDiscriminator for other sizes"
            )
        found, seen = [], image
        for k in range(5):
            seen = getattr(self, f"conv{k}_0")(seen)
            seen = self.lrelu(getattr(self, f"bn{k}_0")(seen) if k else seen)
            seen = self.lrelu(getattr(self, f"bn{k}_1")(getattr(self, f"conv{k}_1")(seen)))
            found.append(seen)
        return found

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, 1): above 0 where an image is taken for a true one."""
        verdict: Tensor = self.linear2(
            self.lrelu(self.linear1(self.features(image)[-1].flatten(1)))
        )
        return verdict


class UNetDiscriminator(nn.Module):
    """A verdict on every pixel, with spectral norms, after Real-ESRGAN [1]_.

    Parameters
    ----------
    channels : int, default 3
        Colours of an image.
    width : int, default 64
        Features of the first convolution.

    References
    ----------
    .. [1] X. Wang, L. Xie, C. Dong, Y. Shan, "Real-ESRGAN: training real-world blind
       super-resolution with pure synthetic data", ICCV Workshops 2021.
    """

    def __init__(self, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        check_sizes(channels, width=width)
        self.conv0 = nn.Conv2d(channels, width, 3, 1, 1)
        for k in (1, 2, 3):
            wide = width * 2 ** (k - 1)
            conv = nn.Conv2d(wide, 2 * wide, 4, 2, 1, bias=False)
            setattr(self, f"conv{k}", spectral_norm(conv))
        for k in (4, 5, 6):
            wide = width * 2 ** (7 - k)
            setattr(
                self, f"conv{k}", spectral_norm(nn.Conv2d(wide, wide // 2, 3, 1, 1, bias=False))
            )
        for k in (7, 8):
            setattr(self, f"conv{k}", spectral_norm(nn.Conv2d(width, width, 3, 1, 1, bias=False)))
        self.conv9 = nn.Conv2d(width, 1, 3, 1, 1)
        self.lrelu = nn.LeakyReLU(SLOPE, inplace=True)

    def features(self, image: Tensor) -> list[Tensor]:
        """What convolutions give at each resolution, for a loss that compares them."""
        ways = [self.lrelu(self.conv0(image))]
        for k in (1, 2, 3):
            ways.append(self.lrelu(getattr(self, f"conv{k}")(ways[-1])))
        return ways

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, 1, H, W): above 0 where an image is taken for a true one."""
        ways = self.features(image)
        seen = ways.pop()
        for k in (4, 5, 6):
            before = ways.pop()
            larger = nn.functional.interpolate(
                seen, size=before.shape[-2:], mode="bilinear", align_corners=False
            )
            seen = self.lrelu(getattr(self, f"conv{k}")(larger)) + before
        for k in (7, 8):
            seen = self.lrelu(getattr(self, f"conv{k}")(seen))
        verdict: Tensor = self.conv9(seen)
        return verdict


def judged(real: Tensor, fake: Tensor, relativistic: bool) -> tuple[Tensor, Tensor]:
    """Return what a discriminator and a generator lose by verdicts on true and made images.

    Relativistic: whether true images look more true than made ones do on average.
    """
    entropy = nn.functional.binary_cross_entropy_with_logits
    yes, no = torch.ones_like, torch.zeros_like
    if not relativistic:
        return entropy(real, yes(real)) + entropy(fake, no(fake)), entropy(fake, yes(fake))
    more, less = real - fake.mean(), fake - real.mean()
    own = entropy(more, yes(real)) + entropy(less, no(fake))
    other = entropy(more, no(real)) + entropy(less, yes(fake))
    return own / 2, other / 2


ADVERSARIES: dict[str, type[nn.Module]] = {
    "vgg": VGGDiscriminator,
    "unet": UNetDiscriminator,
    "film": FilmDiscriminator,
}


def make_adversary(kind: str, channels: int, **sizes: Any) -> nn.Module | None:
    """Make a discriminator by name; none for no name."""
    return ADVERSARIES[kind](channels, **sizes) if kind else None
