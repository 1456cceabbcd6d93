"""Second-order degradations on the device: blur, resize, noise, JPEG, twice.

After Wang et al., "Real-ESRGAN: training real-world blind super-resolution with pure synthetic
data", ICCV Workshops 2021. Every image of a batch gets its own random parameters. All random
numbers come from one generator, which makes training reproducible.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Quantization tables of JPEG for luminance and chroma at quality 50 (ITU-T T.81, annex K)
LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, *([99] * 32),
)  # fmt: skip
SIDE = 15  # of the kernel of a blur, in pixels


@dataclass(frozen=True, slots=True)
class Degradation:
    """Ranges of the parameters, which have uniform distributions; images are from 0 to 1."""

    blur: tuple[float, float] = (0.2, 2.0)  # standard deviations along two axes, in pixels
    shrink: tuple[float, float] = (0.6, 1.2)  # factor of the size at which noise and JPEG are added
    noise: tuple[float, float] = (0.0, 20.0)  # sigma of 255
    quality: tuple[float, float] = (40.0, 95.0)  # of JPEG compression
    times: int = 2

    def __call__(self, clean: Tensor, random: torch.Generator, frames: int = 1) -> Tensor:
        """Degrade images (B, C, H, W), keeping their size; each `frames` images in the same way."""
        image = clean
        for _ in range(self.times):
            image = self._once(image, clean.shape[-2:], random, frames)
        return image.clamp(0, 1)

    def _once(
        self, image: Tensor, size: torch.Size, random: torch.Generator, frames: int
    ) -> Tensor:
        def drawn(bounds: tuple[float, float], *shape: int) -> Tensor:
            low, high = bounds
            share = torch.rand(shape, generator=random, device=image.device)
            return low + (high - low) * share

        def each(bounds: tuple[float, float], *shape: int) -> Tensor:
            return drawn(bounds, len(image) // frames, *shape).repeat_interleave(frames, 0)

        image = blurred(image, each(self.blur, 2), math.pi * each((0, 1)))
        scale = float(drawn(self.shrink, 1))
        image = resized(image, [max(8, round(n * scale)) for n in size])
        level = each(self.noise, 1, 1, 1) / 255
        noise = torch.randn(image.shape, generator=random, device=image.device)
        gray = each((0, 1), 1, 1, 1) < 0.4  # equal in all colors
        image = image + level * torch.where(gray, noise[:, :1], noise)
        image = jpeg(image.clamp(0, 1), each(self.quality))
        return resized(image, list(size))


def blurred(image: Tensor, widths: Tensor, angles: Tensor) -> Tensor:
    """Convolve images (B, C, H, W) with anisotropic Gaussians; widths (B, 2), angles (B)."""
    batch, channels, _, _ = image.shape
    line = torch.arange(SIDE, device=image.device) - SIDE // 2
    y, x = torch.meshgrid(line, line, indexing="ij")
    cosine, sine = angles.cos()[:, None, None], angles.sin()[:, None, None]
    along, across = cosine * x + sine * y, cosine * y - sine * x
    wide, tall = (widths[:, k, None, None].clamp_min(0.05) for k in (0, 1))
    psf = torch.exp(-((along / wide) ** 2 + (across / tall) ** 2) / 2)
    psf = psf / psf.sum((1, 2), keepdim=True)
    padding = (SIDE // 2,) * 4
    mode = "reflect" if min(image.shape[-2:]) > SIDE // 2 else "replicate"
    flat = nn.functional.pad(image, padding, mode=mode).flatten(0, 1)[None]
    weight = psf.repeat_interleave(channels, 0)[:, None].to(image.dtype)
    return nn.functional.conv2d(flat, weight, groups=batch * channels).view(image.shape)


def resized(image: Tensor, size: list[int]) -> Tensor:
    """Resize with antialiasing."""
    if list(image.shape[-2:]) == size:
        return image
    return nn.functional.interpolate(
        image, size=size, mode="bicubic", align_corners=False, antialias=True
    )


def jpeg(image: Tensor, quality: Tensor, *, halved: bool = False) -> Tensor:
    """Simulate JPEG compression of images (B, C, H, W) from 0 to 1; quality (B), 1 to 100.

    The 8 x 8 cosine transforms of all channels of YCbCr are quantized; with `halved`, those of
    chroma at half the resolution, after which it is enlarged by bilinear interpolation.
    """
    height, width = image.shape[-2:]
    side = 16 if halved else 8
    padded = nn.functional.pad(image, (0, -width % side, 0, -height % side), mode="replicate")
    middle = torch.zeros(image.shape[1], 1, 1, device=image.device)
    middle[0] = 128  # chroma has zero mean already
    mixed = padded * 255
    if image.shape[1] == 3:
        mixed = mix(mixed, to_ycbcr(image))
    mixed = mixed - middle
    step = steps(quality, image.shape[1]).to(image)[:, :, None, None]
    if halved and image.shape[1] == 3:
        small = quantized(nn.functional.avg_pool2d(mixed[:, 1:], 2), step[:, 1:])
        chroma = nn.functional.interpolate(
            small, scale_factor=2, mode="bilinear", align_corners=False
        )
        restored = torch.cat([quantized(mixed[:, :1], step[:, :1]), chroma], 1) + middle
    else:
        restored = quantized(mixed, step) + middle
    if image.shape[1] == 3:
        restored = mix(restored, torch.linalg.inv(to_ycbcr(image)))
    back: Tensor = (restored[..., :height, :width] / 255).clamp(0, 1)
    return back


def quantized(planes: Tensor, step: Tensor) -> Tensor:
    """Quantize the transforms of the blocks of planes (B, C, H, W) by steps (B, C, 1, 1, 8, 8)."""
    rows, columns = planes.shape[2] // 8, planes.shape[3] // 8
    blocks = planes.reshape(len(planes), -1, rows, 8, columns, 8).transpose(3, 4)
    basis = cosines().to(planes)
    coefficients = basis @ blocks @ basis.T
    blocks = basis.T @ ((coefficients / step).round() * step) @ basis
    return blocks.transpose(3, 4).flatten(4, 5).flatten(2, 3)


def steps(quality: Tensor, channels: int) -> Tensor:
    """Return quantization steps (B, C, 8, 8), the standard tables scaled as in libjpeg."""
    quality = quality.clamp(1, 100)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None, None]
    tables = [LUMINANCE] + [CHROMA] * (channels - 1)
    base = torch.tensor(tables, device=quality.device).view(channels, 8, 8)
    return ((base * scale + 50) / 100).floor().clamp(1, 255)


def cosines() -> Tensor:
    """Return the orthonormal cosine transform of 8 samples."""
    k, n = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    basis = torch.cos(math.pi * (2 * n + 1) * k / 16) / 2
    basis[0] /= math.sqrt(2)
    return basis


def to_ycbcr(like: Tensor) -> Tensor:
    """Return the matrix from RGB to Y, Cb and Cr of JFIF, with Cb and Cr around 0."""
    rows = [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
    return torch.tensor(rows, dtype=like.dtype, device=like.device)


def mix(image: Tensor, matrix: Tensor) -> Tensor:
    """Multiply the colors of (B, C, H, W) by a matrix."""
    return torch.einsum("dc,bchw->bdhw", matrix, image)
