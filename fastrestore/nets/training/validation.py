"""PSNR on photographs and videos that are not used for training, and an image of some results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fastrestore.nets.frnet import VSRGAN
from fastrestore.nets.network import Network
from fastrestore.nets.training.clips import Clips
from fastrestore.nets.training.data import smaller
from fastrestore.nets.training.noise import varying_noise, white_noise
from fastrestore.nets.training.pairs import Draw, split
from fastrestore.nets.training.recipe import Recipe
from fastrestore.nets.training.tasks import DEGRADATIONS, degraded_videos

CROP = 160  # side of the validation images, in pixels
SHOWN = 4  # number of validation crops in the image of results
FRAMES = 12  # of a validation video
LEVELS = (15.0, 25.0, 50.0)  # sigmas of 255
CAMERA = 8.0  # mean sigma of camera noise


class Validation:
    """Degraded crops of photographs, the same in each evaluation."""

    def __init__(self, images: list[np.ndarray], recipe: Recipe, scale: int, device: str) -> None:
        crops = [center(image, _side(images, scale)) for image in images]
        self.clean = torch.from_numpy(np.stack(crops)).to(device).float() / 255
        self._seen: dict[str, tuple[Tensor, float | None]] = {}
        random = torch.Generator("cpu").manual_seed(1)
        if recipe.task == "small":
            small = torch.from_numpy(np.stack([smaller(crop, scale) for crop in crops]))
            self._seen["small"] = small.to(device).float() / 255, None
        elif recipe.task in DEGRADATIONS:
            seen = DEGRADATIONS[recipe.task](self.clean.cpu(), random).to(device)
            self._seen[recipe.task] = seen, None
        else:
            noise = torch.randn(self.clean.shape, generator=random).to(device)
            low, high = recipe.sigma
            inside = [level for level in LEVELS if low <= level <= high]
            for level in inside or [(low + high) / 2]:
                self._seen[f"{level:g}"] = self.clean + level / 255 * noise, level / 255

    def restored(self, net: Network, name: str) -> Tensor:
        """Restore the crops with one degradation."""
        seen, sigma = self._seen[name]
        with torch.inference_mode():
            return torch.cat([net(each[None], sigma) for each in seen])

    def scores(self, net: Network) -> dict[str, float]:
        """Return the mean PSNR for each degradation: its name or sigma."""
        scores = {}
        for name in self._seen:
            error = (self.restored(net, name) - self.clean).square().mean((1, 2, 3))
            scores[name] = float(-10 * error.log10().mean())
        return scores

    def picture(self, net: Network, path: Path) -> None:
        """Write rows of a degraded, a restored and a clean crop."""
        from PIL import Image

        name = list(self._seen)[len(self._seen) // 2]
        noisy = self._seen[name][0][:, -self.clean.shape[1] :]  # of the inputs of a `Refine`
        seen = nn.functional.interpolate(noisy, size=self.clean.shape[-2:])
        columns = (seen, self.restored(net, name), self.clean)
        shown = range(min(SHOWN, len(self.clean)))
        rows = [torch.cat([column[k] for column in columns], -1) for k in shown]
        values = torch.cat(rows, -2).clamp(0, 1).mul(255).round().byte().cpu().numpy()
        image = values[0] if len(values) == 1 else values.transpose(1, 2, 0)
        Image.fromarray(image).save(path)


class VideoValidation(Validation):
    """Degraded videos made from photographs, the same in each evaluation of their last frames."""

    def __init__(self, images: list[np.ndarray], recipe: Recipe, scale: int, device: str) -> None:
        random = torch.Generator("cpu").manual_seed(1)
        size = (FRAMES, _side(images, 8 * scale))
        videos = torch.cat([Clips([image], size, "cpu").draw(1, random) for image in images])
        seen = degraded_videos(recipe, videos, random, scale)
        self.clean = videos[:, -1].to(device)
        self._videos = seen.to(device)
        self._seen = {"film": (self._videos[:, -1], None)}

    def restored(self, net: Network, name: str) -> Tensor:
        """Restore the last frames."""
        assert isinstance(net, VSRGAN)
        with torch.inference_mode():
            return torch.cat([net.video(video[None])[0][:, -1] for video in self._videos])


class PairValidation(Validation):
    """Crops with noise, restored by BM3D: white noise of several levels, and camera noise."""

    def __init__(self, images: list[np.ndarray], recipe: Recipe, device: str) -> None:
        crops = [center(image, _side(images, 8)) for image in images]
        self.clean = torch.from_numpy(np.stack(crops)).to(device).float() / 255
        low, high = recipe.sigma
        levels = [level for level in LEVELS if low <= level <= high] or [(low + high) / 2]
        channels = recipe.channels
        noises = {f"{level:g}": white_noise(level, channels) for level in levels}
        mean = min(CAMERA, high)
        noises["camera"] = varying_noise(np.random.default_rng(1), "camera", mean, channels)
        self._maps: dict[str, Tensor] = {}
        self._seen = {}
        for name, noise in noises.items():
            draws = [Draw(noise, np.random.default_rng([1, k])) for k in range(len(crops))]
            planes = [draw.planes(crop) for draw, crop in zip(draws, crops, strict=True)]
            stacked = torch.from_numpy(np.stack(planes)).to(device).float() / 255
            seen, self._maps[name], _ = split(stacked, channels)
            self._seen[name] = seen, None

    def restored(self, net: Network, name: str) -> Tensor:
        """Restore the crops with one kind of noise."""
        pairs = zip(self._seen[name][0], self._maps[name], strict=True)
        with torch.inference_mode():
            return torch.cat([net(seen[None], maps[None]) for seen, maps in pairs])


def _side(images: list[np.ndarray], grid: int) -> int:
    """Return the side of the crops, a multiple of `grid`."""
    side: int = min(CROP, *(n for image in images for n in image.shape[1:]))
    return side - side % grid


def center(image: np.ndarray, side: int) -> np.ndarray:
    """Crop a square from the center."""
    top, left = ((n - side) // 2 for n in image.shape[1:])
    return image[:, top : top + side, left : left + side]
