"""Degradation of photographs as by cameras and JPEG files, on the device.

In the order of a camera: blur of the lens, noise of a sensor behind a color filter array in linear
light, development, and JPEG with chroma of full or half resolution. Ranges begin at none, and some
images are not changed, so that a network learns to leave good photographs as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fastrestore.nets.training.degrade import blurred, jpeg

GAMMA = 2.2  # exponent of the development
BALANCE = (1.9, 1.0, 1.6)  # factors of red, green and blue for the white of daylight
# Linear interpolation of the samples of green, and of red or blue, of a Bayer array
GREEN = ((0, 1, 0), (1, 4, 1), (0, 1, 0))
OTHER = ((1, 2, 1), (2, 4, 2), (1, 2, 1))


@dataclass(frozen=True, slots=True)
class Photographs:
    """Ranges of the parameters, which have uniform distributions; images are from 0 to 1."""

    blur: tuple[float, float] = (0.0, 1.2)  # standard deviations along two axes, in pixels
    shot: tuple[float, float] = (0.0, 0.12)  # sigma of the noise of white, in linear light
    read: tuple[float, float] = (0.0, 0.01)  # sigma of the noise of black, in linear light
    quality: tuple[float, float] = (50.0, 98.0)  # of JPEG compression
    halved: float = 0.5  # share of images with chroma of half the resolution
    unchanged: float = 0.1  # share of images

    def __call__(self, clean: Tensor, random: torch.Generator, frames: int = 1) -> Tensor:
        """Degrade images (B, C, H, W), each `frames` images in the same way."""

        def each(bounds: tuple[float, float], *shape: int) -> Tensor:
            share = torch.rand(len(clean) // frames, *shape, generator=random, device=clean.device)
            return (bounds[0] + (bounds[1] - bounds[0]) * share).repeat_interleave(frames, 0)

        image = blurred(clean, each(self.blur, 2), math.pi * each((0, 1)))
        image = sensed(image, each(self.shot, 1, 1, 1), each(self.read, 1, 1, 1), random)
        quality, coarse = each(self.quality), each((0, 1), 1, 1, 1) < self.halved
        image = torch.where(coarse, jpeg(image, quality, halved=True), jpeg(image, quality))
        return torch.where(each((0, 1), 1, 1, 1) < self.unchanged, clean, image)


def sensed(image: Tensor, shot: Tensor, read: Tensor, random: torch.Generator) -> Tensor:
    """Add the noise of a sensor to developed images; of one behind a Bayer array if in color.

    Only the noise is sampled and interpolated, as the images were interpolated before.
    """
    linear = image.clamp(0, 1) ** GAMMA
    colors = len(BALANCE) if image.shape[1] == len(BALANCE) else 1
    factor = linear.new_tensor(BALANCE if colors > 1 else (1.0,)).view(-1, 1, 1)
    level = (shot**2 * factor * linear + (factor * read) ** 2).sqrt()
    noise = level * torch.randn(image.shape, generator=random, device=image.device)
    if colors > 1:
        noise = interpolated_samples(noise)
    return (linear + noise).clamp(0, 1) ** (1 / GAMMA)


def interpolated_samples(image: Tensor) -> Tensor:
    """Keep the samples (B, 3, H, W) of a Bayer array, and interpolate them linearly."""
    rows, columns = (torch.arange(n, device=image.device) % 2 == 0 for n in image.shape[-2:])
    red, blue = (torch.outer(a, b) for a, b in ((rows, columns), (~rows, ~columns)))
    sampled = image * torch.stack([red, ~(red | blue), blue])
    kernels = image.new_tensor([OTHER, GREEN, OTHER])[:, None] / 4
    padded = nn.functional.pad(sampled, (1, 1, 1, 1), mode="reflect")
    return nn.functional.conv2d(padded, kernels, groups=3)
