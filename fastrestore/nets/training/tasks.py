"""Pairs of degraded inputs and targets for training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastrestore.nets.training.camera import Photographs
from fastrestore.nets.training.clips import Clips
from fastrestore.nets.training.data import Patches
from fastrestore.nets.training.degrade import Degradation, resized
from fastrestore.nets.training.recipe import Recipe

DEGRADATIONS: dict[str, Degradation | Photographs] = {
    "degraded": Degradation(),
    "photographs": Photographs(),
}
BLUR, RADIUS = 1.5, 6  # pixels: standard deviation and radius of the blur before decimation


def draw_degraded(
    recipe: Recipe, patches: Patches, random: torch.Generator
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Draw patches and degrade them; return the degraded ones, sigma and the targets."""
    if recipe.task == "small":
        target, seen = patches.draw_pairs(recipe.batch, random)
        return seen, None, target
    target = patches.draw(recipe.batch, random)
    if recipe.task in DEGRADATIONS:
        return DEGRADATIONS[recipe.task](target, random), None, target
    return *_noisy(recipe, target, random), target


def _noisy(
    recipe: Recipe, images: Tensor, random: torch.Generator, frames: int = 1
) -> tuple[Tensor, Tensor]:
    """Add noise to images (B, C, H, W), of one level for each `frames`; return the levels, too."""
    low, high = (level / 255 for level in recipe.sigma)
    share = torch.rand(len(images) // frames, 1, 1, 1, generator=random, device=random.device)
    levels = (low + (high - low) * share).repeat_interleave(frames, 0)
    noise = torch.randn(images.shape, generator=random, device=images.device)
    return images + levels * noise, levels


def draw_degraded_videos(
    recipe: Recipe, clips: Clips, random: torch.Generator, scale: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw videos (B, T, C, H, W) and degrade them; return these, the targets and the true flow.

    The flow is that of the degraded videos, in their pixels.
    """
    target, motion = clips.draw_moving(recipe.batch, random)
    flows = nn.functional.avg_pool2d(motion.flatten(0, 1), scale) / scale
    flows = flows.view(*motion.shape[:3], *flows.shape[-2:])
    return degraded_videos(recipe, target, random, scale), target, flows


def degraded_videos(recipe: Recipe, videos: Tensor, random: torch.Generator, scale: int) -> Tensor:
    """Degrade videos, all frames of one in the same way; noise is independent for each frame."""
    batch, count = videos.shape[:2]
    frames = videos.flatten(0, 1)
    if recipe.task in DEGRADATIONS:
        seen = DEGRADATIONS[recipe.task](frames, random, count)
    elif recipe.task == "blurred":
        seen = _blurred(frames)[..., ::scale, ::scale]
    elif recipe.task == "small":
        seen = resized(frames, [n // scale for n in frames.shape[-2:]])
        seen = seen.clamp(0, 1).mul(255).round() / 255
    else:
        seen, _ = _noisy(recipe, frames, random, count)
    return seen.view(batch, count, *seen.shape[1:])


def _blurred(frames: Tensor) -> Tensor:
    """Convolve with a Gaussian."""
    line = torch.arange(-RADIUS, RADIUS + 1, device=frames.device, dtype=frames.dtype)
    taps = torch.exp(-((line / BLUR) ** 2) / 2)
    taps = (taps / taps.sum()).expand(frames.shape[1], 1, 1, -1)
    padded = nn.functional.pad(frames, (RADIUS,) * 4, mode="reflect")
    groups = frames.shape[1]
    across = nn.functional.conv2d(padded, taps, groups=groups)
    return nn.functional.conv2d(across, taps.mT, groups=groups)
