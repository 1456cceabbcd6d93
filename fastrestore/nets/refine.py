"""A small U-Net that corrects the result of BM3D."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastrestore._arrays import validate
from fastrestore.nets.network import Network, check_sizes, convolution, padded
from fastrestore.nets.unet import block

FACTOR = 2  # the network works on blocks of 2x2 pixels: large features at full size cost most time
START = 0.1  # factor for the initial weights of what is added to the result of BM3D
# Orthonormal rows: luminance, which has most of the structure, and two differences of colors
OPPONENT = ((1 / 3**0.5,) * 3, (0.5**0.5, 0.0, -(0.5**0.5)), (1 / 6**0.5, -2 / 6**0.5, 1 / 6**0.5))


class Refine(Network):
    """Corrects the result of `bm3d` from the noisy image and the noise level, after [1]_.

    A residual U-Net on blocks of 2x2 pixels, for color images of their luminance and two color
    differences. It has no biases: multiplying images and levels by a factor multiplies the result
    by it. In contrast to [1]_ its convolutions are dense, which take less time than depthwise
    separable ones of the same accuracy.

    Parameters
    ----------
    channels : int, default 1
        Number of colors of an image, 1 or 3.
    widths : sequence of int, default (32, 64, 88)
        Number of features at each resolution, from fine to coarse.
    blocks : sequence of int, default (2, 1, 2)
        Number of residual blocks at each resolution; of the encoder and of the decoder, except at
        the last one.

    Attributes
    ----------
    maps : int
        Number of maps of the noise level: of high and of low frequencies, for gray images; for
        color each of the luminance and of the other two components, 4 in all.

    Raises
    ------
    TypeError, ValueError
        If `widths` and `blocks` are not whole numbers from 1 to 10,000, as many of each, or
        `channels` is neither 1 nor 3.

    See Also
    --------
    fastrestore.denoise : Remove noise with it, by ``method="hybrid"``.
    load : Load trained weights.

    References
    ----------
    .. [1] Y. Guo, A. Davy, G. Facciolo, J.-M. Morel, Q. Jin, "Fast, nonlocal and neural: a
       lightweight high quality solution to image denoising", IEEE Signal Process. Lett. 28, 2021.

    Examples
    --------
    >>> import torch
    >>> from fastrestore.nets import Refine
    >>> basic, noisy = torch.rand(2, 1, 1, 21, 30)
    >>> Refine(widths=(8, 16), blocks=(1, 1))(torch.cat([basic, noisy], 1), sigma=0.1).shape
    torch.Size([1, 1, 21, 30])
    """

    takes_sigma = True

    def __init__(
        self,
        channels: int = 1,
        widths: Sequence[int] = (32, 64, 88),
        blocks: Sequence[int] = (2, 1, 2),
    ) -> None:
        super().__init__()
        _check("widths", widths, "(32, 64)")
        _check("blocks", blocks, "(2, 1)")
        if len(widths) != len(blocks):
            raise ValueError(
                f"widths and blocks must have one number for each resolution, got {widths!r} and "
                f"{blocks!r}"
            )
        sizes: dict[str, Any] = _named("widths", widths) | _named("blocks", blocks)
        check_sizes(channels, **sizes)
        self.channels, self.maps = channels, 2 if channels == 1 else 4
        depth = len(widths) - 1
        self.grid = FACTOR * 2**depth
        self.radius = _radius(blocks)
        pixels = FACTOR**2 * channels
        self.head = convolution(2 * pixels + self.maps, widths[0], bias=False)
        self.encoder = nn.ModuleList(map(_blocks, widths[:-1], blocks[:-1]))
        self.decoder = nn.ModuleList(map(_blocks, widths[:-1], blocks[:-1]))
        pairs = [*itertools.pairwise(widths)]
        self.down = nn.ModuleList(
            nn.Conv2d(fine, coarse, 2, stride=2, bias=False) for fine, coarse in pairs
        )
        self.up = nn.ModuleList(
            nn.Conv2d(coarse, 4 * fine, 1, bias=False) for fine, coarse in pairs
        )
        self.body = _blocks(widths[-1], blocks[-1])
        self.tail = convolution(widths[0], pixels, bias=False)
        self._start_from_identity()

    def _start_from_identity(self) -> None:
        """Initialize the network so that it changes little, which makes training faster."""
        with torch.no_grad():
            for weight in self.up.parameters():
                nn.init.normal_(weight, std=START / weight.shape[1] ** 0.5)
            self.tail.weight.mul_(START)

    def begin_with(self, gray: Refine) -> None:
        """Begin the training for color with the weights for gray images, as those of luminance."""
        weights = dict(gray.state_dict())
        head, tail = self.head.weight.detach().clone(), self.tail.weight.detach().clone()
        pixels, count = FACTOR**2, FACTOR**2 * self.channels
        # Result of BM3D, what it removed, and the maps, of luminance and chrominance in turns
        luminance = [*range(pixels), *range(count, count + pixels), 2 * count, 2 * count + 2]
        head *= START
        head[:, luminance] = weights["head.weight"]
        tail[:pixels] = weights["tail.weight"]
        self.load_state_dict(weights | {"head.weight": head, "tail.weight": tail})

    def forward(self, image: Tensor, sigma: Tensor | float | None = None) -> Tensor:
        """Correct images (B, 2 C, H, W), the result of BM3D and the noisy image.

        `sigma` is (B, maps, H, W), or broadcasts to it: a number for white noise.
        """
        if image.shape[1] != 2 * self.channels:
            raise ValueError(
                f"Refine takes {2 * self.channels} channels, the result of bm3d and the noisy "
                f"image, got {image.shape[1]}; write denoise(image, method='hybrid', weights=...)"
            )
        height, width = image.shape[-2:]
        basic, noisy = padded(image, self.grid).chunk(2, dim=1)
        # bfloat16 would round the image by more than many corrections
        with torch.autocast(image.device.type, enabled=False):
            features = self.head(self._seen(basic, noisy, sigma))
        skips = []
        for encoder, down in zip(self.encoder, self.down, strict=True):
            skips.append(encoder(features))
            features = down(skips[-1])
        features = self.body(features)
        for decoder, up in zip(reversed(self.decoder), reversed(self.up), strict=True):
            features = decoder(nn.functional.pixel_shuffle(up(features), 2) + skips.pop())
        added = nn.functional.pixel_shuffle(self.tail(features), FACTOR)
        with torch.autocast(image.device.type, enabled=False):
            restored: Tensor = basic + self._mixed(added.to(basic.dtype), back=True)
        return restored[..., :height, :width]

    def _mixed(self, image: Tensor, back: bool = False) -> Tensor:
        """Return luminance and color differences of (B, C, H, W), or the colors of these."""
        if self.channels == 1:
            return image
        matrix = image.new_tensor(OPPONENT)
        matrix = matrix.T if back else matrix
        return nn.functional.conv2d(image, matrix[..., None, None].contiguous())

    def _seen(self, basic: Tensor, noisy: Tensor, sigma: Tensor | float | None) -> Tensor:
        """Return the input of the first convolution, at a half of the resolution."""
        if sigma is None:
            raise ValueError("this network needs sigma")
        level = torch.as_tensor(sigma, dtype=basic.dtype, device=basic.device)
        if level.ndim == 1:  # one for each image
            level = level[:, None, None, None]
        height, width = basic.shape[-2:]
        if level.ndim == 4 and level.shape[-2:] != (1, 1):
            level = padded(level, self.grid)[..., ::FACTOR, ::FACTOR]
        level = level.expand(len(basic), self.maps, height // FACTOR, width // FACTOR)
        mixed = map(self._mixed, (basic, noisy - basic))
        pixels = (nn.functional.pixel_unshuffle(each, FACTOR) for each in mixed)
        return torch.cat([*pixels, level], 1).contiguous(memory_format=torch.channels_last)


def _check(name: str, values: Any, example: str) -> None:
    """Raise unless the values are a sequence."""
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise ValueError(
            f"{name} must be whole numbers, such as {example}, got {validate.quoted(values)}"
        )


def _named(name: str, values: Sequence[int]) -> dict[str, int]:
    """Return the values by name, for messages."""
    return {f"{name}[{k}]": value for k, value in enumerate(values)}


def _blocks(width: int, count: int) -> nn.Sequential:
    """Return residual blocks, one after the other."""
    return nn.Sequential(*(block(width) for _ in range(count)))


def _radius(blocks: Sequence[int]) -> int:
    """Return an upper bound of the radius of the receptive field."""
    coarsest = len(blocks) - 1
    radius = 3 * FACTOR  # of head and tail, and of the blocks of pixels
    for level, count in enumerate(blocks):
        pixels = FACTOR * 2**level
        # Two convolutions in a block, in encoder and decoder; downsampling
        radius += 2 * count * pixels * (1 if level == coarsest else 2) + pixels
    return radius
