"""A training as files, so that it goes on after a kill as if nothing had been."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastrestore.nets._network import Network
from fastrestore.nets.training._recipe import Recipe

NAME = "checkpoint"
MOMENTS = ("exp_avg", "exp_avg_sq")  # as Adam calls them
Tensors = dict[str, Tensor]


class State:
    """Weights, their running means, and what Adam knows."""

    def __init__(self, recipe: Recipe, device: str) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.step, self.seconds = recipe, 0, 0.0
        self.net = recipe.make().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean: Tensors = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.adam = torch.optim.Adam(self.net.parameters(), lr=recipe.rate, betas=(0.9, 0.99))

    def random(self, device: str) -> torch.Generator:
        """Random numbers of this step, and of no other: nothing of them has to be kept."""
        return torch.Generator(device).manual_seed(self.recipe.seed * 2**40 + self.step)

    def average(self) -> None:
        """Let the running means follow."""
        with torch.no_grad():
            # The first steps are not half the network that nobody trained
            keep = min(self.recipe.average, (1 + self.step) / (10 + self.step))
            for name, value in self.net.state_dict().items():
                if value.is_floating_point():
                    self.mean[name].lerp_(value, 1 - keep)
                else:
                    self.mean[name].copy_(value)

    def averaged(self) -> Network:
        """Return a network of the means."""
        net = self.recipe.make().to(next(self.net.parameters()).device)
        net.load_state_dict(self.mean)
        return net.eval()

    def save(self, folder: Path) -> None:
        """Write all in one piece: a kill leaves this or the one before.

        Each file is less than four bytes a parameter and a little.
        """
        from safetensors.torch import save_file

        new, here, old = (folder / f"{NAME}{end}" for end in (".new", "", ".old"))
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)
        new.mkdir(parents=True)
        for name, tensors in self._parts().items():
            save_file({k: v.contiguous() for k, v in tensors.items()}, new / f"{name}.safetensors")
        (new / "recipe.json").write_text(self.recipe.text(), encoding="utf-8")
        numbers = {"step": self.step, "seconds": self.seconds}
        (new / "state.json").write_text(json.dumps(numbers), encoding="utf-8")
        if here.exists():
            here.replace(old)
        new.replace(here)
        shutil.rmtree(old, ignore_errors=True)

    def _parts(self) -> dict[str, Tensors]:
        parts: dict[str, Tensors] = {"weights": self.net.state_dict(), "mean": self.mean}
        for which in MOMENTS:
            parts[which] = {
                name: self.adam.state[value][which]
                for name, value in self.net.named_parameters()
                if value in self.adam.state
            }
        return parts

    @classmethod
    def load(cls, folder: Path, recipe: Recipe, device: str) -> State:
        """Go on where `save` was called.

        Raises
        ------
        ValueError
            If another recipe was begun there.
        """
        from safetensors.torch import load_file

        place = checkpoint(folder)
        assert place is not None
        begun = Recipe.read(place / "recipe.json")
        if begun.text() != recipe.text():
            raise ValueError(f"{folder} holds a training by another recipe; choose another folder")
        state = cls(recipe, device)
        numbers: dict[str, Any] = json.loads((place / "state.json").read_text(encoding="utf-8"))
        state.step, state.seconds = numbers["step"], numbers["seconds"]
        parts = {
            name: load_file(place / f"{name}.safetensors", device=device)
            for name in ("weights", "mean", *MOMENTS)
        }
        state.net.load_state_dict(parts["weights"])
        state.mean = parts["mean"]
        for name, value in state.net.named_parameters():
            if name in parts["exp_avg"]:
                moments = {which: _like(parts[which][name], value) for which in MOMENTS}
                steps = torch.tensor(float(state.step))
                state.adam.state[value] = {"step": steps, **moments}
        return state


def _like(source: Tensor, value: Tensor) -> Tensor:
    """Copy in the memory order of another tensor: sums are then the same, bit by bit."""
    return torch.empty_like(value, requires_grad=False).copy_(source)


def checkpoint(folder: Path) -> Path | None:
    """Return the newest state in a folder, if there is one."""
    for name in (NAME, f"{NAME}.old"):
        if (folder / name / "state.json").is_file():
            return folder / name
    return None
