"""A discriminator of three consecutive frames, which penalizes flicker."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastrestore.nets.frnet import VSRGAN, enlarged
from fastrestore.nets.network import check_sizes

SLOPE = 0.2
KEPT = 0.75  # part of each side of warped frames; the rest is masked, as it has no source
COUNT = 3  # frames


class VideoDiscriminator(nn.Module):
    """The spatio-temporal discriminator of TecoGAN [1]_, for frames of one size.

    It is used in training only, see ``fastrestore train vsrgan``.

    Parameters
    ----------
    channels : int, default 3
        Number of colors of a frame, 1 or 3.
    width : int, default 64
        Number of features of the first convolution.
    side : int, default 128
        Side of the frames in pixels; a multiple of 16.

    Raises
    ------
    TypeError, ValueError
        If a size is not a whole number from 1 to 10,000, `channels` is neither 1 nor 3, or `side`
        is not a multiple of 16.

    See Also
    --------
    VGGDiscriminator : A discriminator of images.
    VSRGAN : The generator that is trained with it.

    References
    ----------
    .. [1] M. Chu et al., "Learning temporal coherence via self-supervision for GAN-based video
       generation", ACM Transactions on Graphics 39(4), 2020.

    Examples
    --------
    >>> import torch
    >>> from fastrestore.nets import VideoDiscriminator
    >>> VideoDiscriminator(width=4, side=32)(torch.zeros(1, 27, 32, 32)).shape
    torch.Size([1, 1])
    """

    def __init__(self, channels: int = 3, width: int = 64, side: int = 128) -> None:
        super().__init__()
        check_sizes(channels, width=width, side=side)
        if side % 16:
            raise ValueError(f"side must be a multiple of 16, got {side}")
        self.side = side
        self.conv_in = nn.Sequential(
            nn.Conv2d(3 * COUNT * channels, width, 3, 1, 1), nn.LeakyReLU(SLOPE, inplace=True)
        )
        self.discriminator_block = nn.Module()
        widths = [width, width, width, 2 * width, 4 * width]
        for k in (1, 2, 3, 4):
            block = nn.Sequential(
                nn.Conv2d(widths[k - 1], widths[k], 4, 2, 1, bias=False),
                nn.BatchNorm2d(widths[k]),
                nn.LeakyReLU(SLOPE, inplace=True),
            )
            self.discriminator_block.add_module(f"block{k}", block)
        self.dense = nn.Linear(widths[-1] * (side // 16) ** 2, 1)

    def features(self, seen: Tensor) -> list[Tensor]:
        """Return the features at each resolution, for a feature matching loss."""
        if seen.shape[-2:] != (self.side, self.side):
            raise ValueError(
                f"frames must be {self.side} x {self.side} here, got {tuple(seen.shape[-2:])}"
            )
        levels, now = [], self.conv_in(seen)
        for block in self.discriminator_block.children():
            now = block(now)
            levels.append(now)
        return levels

    def forward(self, seen: Tensor) -> Tensor:
        """Return logits (B, 1), above 0 for frames classified as real."""
        logits: Tensor = self.dense(self.features(seen)[-1].flatten(1))
        return logits


def triplets(net: VSRGAN, videos: Tensor, small: Tensor) -> Tensor:
    """Return the input of the discriminator (B T // 3, 9 C, s H, s W).

    It consists of three frames of `videos` (B, T, C, s H, s W), the same frames warped to the
    middle one, and interpolated frames of `small` (B, T, C, H, W).
    """
    count = videos.shape[1] // COUNT
    shown, below = (
        each[:, : COUNT * count].reshape(-1, COUNT, *each.shape[2:]) for each in (videos, small)
    )
    middle = below[:, 1]
    with torch.no_grad():
        flows = [net.flow(middle, below[:, k]) for k in (0, 2)]
    before, after = (
        net.warp_result(shown[:, k], flow) for k, flow in zip((0, 2), flows, strict=True)
    )
    warped = _without_border(torch.stack([before, shown[:, 1], after], 1))
    large = enlarged(below.flatten(0, 1), net.scale, net.upsample).view_as(shown)
    # Channels in the order (color, frame)
    parts = [part.transpose(1, 2).flatten(1, 2) for part in (shown, warped, large)]
    return torch.cat(parts, 1)


def _without_border(videos: Tensor) -> Tensor:
    """Set the pixels near the border to 0."""
    height, width = videos.shape[-2:]
    top, left = (int(n * (1 - KEPT) / 2) for n in (height, width))
    kept = torch.zeros_like(videos)
    inner = (..., slice(top, height - top), slice(left, width - left))
    kept[inner] = videos[inner]
    return kept
