"""What a network is to undo: pairs of what it sees and what it should give."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastrestore.nets.training.clips import Clips
from fastrestore.nets.training.data import Patches
from fastrestore.nets.training.degrade import Degradation
from fastrestore.nets.training.recipe import Recipe

Pair = tuple[Tensor, Tensor | None, Tensor]  # what is seen, sigma, what is wanted


def drawn(recipe: Recipe, patches: Patches, random: torch.Generator) -> Pair:
    """Draw patches and degrade them."""
    if recipe.task == "small":
        wanted, seen = patches.draw_pairs(recipe.batch, random)
        return seen, None, wanted
    wanted = patches.draw(recipe.batch, random)
    if recipe.task == "degraded":
        return Degradation()(wanted, random), None, wanted
    levels = torch.rand(recipe.batch, 1, 1, 1, generator=random, device=wanted.device)
    low, high = (level / 255 for level in recipe.sigma)
    levels = low + (high - low) * levels
    noise = torch.randn(wanted.shape, generator=random, device=wanted.device)
    return wanted + levels * noise, levels, wanted


BLUR, REACH = 1.5, 6  # pixels: standard deviation and radius of the blur before pixels are left out


def drawn_films(
    recipe: Recipe, clips: Clips, random: torch.Generator, scale: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw films (B, T, C, H, W) and degrade them; and the true flow of the degraded ones."""
    wanted, motion = clips.draw_moving(recipe.batch, random)
    flows = nn.functional.avg_pool2d(motion.flatten(0, 1), scale) / scale
    flows = flows.view(*motion.shape[:3], *flows.shape[-2:])
    return films_seen(recipe, wanted, random, scale), wanted, flows


def films_seen(recipe: Recipe, films: Tensor, random: torch.Generator, scale: int) -> Tensor:
    """Degrade films; what differs from film to film is the same for its frames, but noise."""
    batch, count = films.shape[:2]
    frames = films.flatten(0, 1)
    if recipe.task == "degraded":
        seen = Degradation()(frames, random, count)
    elif recipe.task == "blurred":
        seen = _blurred(frames)[..., ::scale, ::scale]
    elif recipe.task == "small":
        size = [n // scale for n in frames.shape[-2:]]
        seen = nn.functional.interpolate(
            frames, size=size, mode="bicubic", align_corners=False, antialias=True
        )
        seen = seen.clamp(0, 1).mul(255).round() / 255
    else:
        low, high = (level / 255 for level in recipe.sigma)
        share = torch.rand(batch, 1, 1, 1, generator=random, device=films.device)
        levels = (low + (high - low) * share).repeat_interleave(count, 0)
        noise = torch.randn(frames.shape, generator=random, device=films.device)
        seen = frames + levels * noise
    return seen.view(batch, count, *seen.shape[1:])


def _blurred(frames: Tensor) -> Tensor:
    """Convolve with a Gaussian."""
    line = torch.arange(-REACH, REACH + 1, device=frames.device, dtype=frames.dtype)
    taps = torch.exp(-((line / BLUR) ** 2) / 2)
    taps = (taps / taps.sum()).expand(frames.shape[1], 1, 1, -1)
    padded = nn.functional.pad(frames, (REACH,) * 4, mode="reflect")
    groups = frames.shape[1]
    across = nn.functional.conv2d(padded, taps, groups=groups)
    return nn.functional.conv2d(across, taps.mT, groups=groups)
