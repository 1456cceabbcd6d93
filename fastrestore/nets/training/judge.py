"""PSNR on photographs and films that are not trained on, and a picture of some of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fastrestore.nets.frnet import VSRGAN
from fastrestore.nets.network import Network
from fastrestore.nets.training.clips import Clips
from fastrestore.nets.training.data import smaller
from fastrestore.nets.training.degrade import Degradation
from fastrestore.nets.training.recipe import Recipe
from fastrestore.nets.training.tasks import films_seen

CROP = 160  # pixels of a validation image along a side
SHOWN = 4  # of them, in the picture


class Judge:
    """Degraded crops of photographs, the same every time."""

    def __init__(self, images: list[np.ndarray], recipe: Recipe, scale: int, device: str) -> None:
        side = min(CROP, *(n for image in images for n in image.shape[1:]))
        side -= side % scale
        cuts = [_middle(image, side) for image in images]
        self.clean = torch.from_numpy(np.stack(cuts)).to(device).float() / 255
        self._seen: dict[str, tuple[Tensor, float | None]] = {}
        random = torch.Generator("cpu").manual_seed(1)
        if recipe.task == "small":
            small = torch.from_numpy(np.stack([smaller(cut, scale) for cut in cuts]))
            self._seen["small"] = small.to(device).float() / 255, None
        elif recipe.task == "degraded":
            seen = Degradation()(self.clean.cpu(), random).to(device)
            self._seen["degraded"] = seen, None
        else:
            noise = torch.randn(self.clean.shape, generator=random).to(device)
            low, high = recipe.sigma
            inside = [level for level in (15.0, 25.0, 50.0) if low <= level <= high]
            for level in inside or [(low + high) / 2]:
                self._seen[f"{level:g}"] = self.clean + level / 255 * noise, level / 255

    def restored(self, net: Network, name: str) -> Tensor:
        """Restore the crops of one kind."""
        seen, sigma = self._seen[name]
        with torch.inference_mode():
            return torch.cat([net(each[None], sigma) for each in seen])

    def scores(self, net: Network) -> dict[str, float]:
        """Mean PSNR by sigma, or by what was done to the crops."""
        found = {}
        for name in self._seen:
            error = (self.restored(net, name) - self.clean).square().mean((1, 2, 3))
            found[name] = float(-10 * error.log10().mean())
        return found

    def picture(self, net: Network, path: Path) -> None:
        """Write crops: degraded, restored and clean side by side, below each other."""
        from PIL import Image

        name = list(self._seen)[len(self._seen) // 2]
        seen = nn.functional.interpolate(self._seen[name][0], size=self.clean.shape[-2:])
        three = (seen, self.restored(net, name), self.clean)
        shown = range(min(SHOWN, len(self.clean)))
        rows = [torch.cat([kind[k] for kind in three], -1) for k in shown]
        values = torch.cat(rows, -2).clamp(0, 1).mul(255).round().byte().cpu().numpy()
        image = values[0] if len(values) == 1 else values.transpose(1, 2, 0)
        Image.fromarray(image).save(path)


FILM = 12  # frames


class FilmJudge(Judge):
    """Degraded films over photographs, the same every time: their last frames are judged."""

    def __init__(self, images: list[np.ndarray], recipe: Recipe, scale: int, device: str) -> None:
        side = min(CROP, *(n for image in images for n in image.shape[1:]))
        side -= side % (8 * scale)
        random = torch.Generator("cpu").manual_seed(1)
        cuts = [Clips([image], side, FILM, "cpu").draw(1, random) for image in images]
        films = torch.cat(cuts)
        seen = films_seen(recipe, films, random, scale)
        self.clean = films[:, -1].to(device)
        self._films = seen.to(device)
        self._seen = {"film": (self._films[:, -1], None)}

    def restored(self, net: Network, name: str) -> Tensor:
        """Restore the last frames."""
        assert isinstance(net, VSRGAN)
        with torch.inference_mode():
            return torch.cat([net.film(film[None])[0][:, -1] for film in self._films])


def _middle(image: np.ndarray, side: int) -> np.ndarray:
    """Cut a square from the middle."""
    top, left = ((n - side) // 2 for n in image.shape[1:])
    return image[:, top : top + side, left : left + side]
