"""A training as files, so that it goes on after a kill as if nothing had been."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastrestore.nets.discriminators import make_adversary
from fastrestore.nets.files import load
from fastrestore.nets.frnet import VSRGAN
from fastrestore.nets.layouts import described
from fastrestore.nets.network import Network
from fastrestore.nets.srresnet import SRResNet
from fastrestore.nets.training.checks import differences
from fastrestore.nets.training.recipe import Recipe

NAME = "checkpoint"
PART = ("channels", "blocks", "width")  # of an SRResNet, that a VSRGAN has too
MOMENTS = ("exp_avg", "exp_avg_sq")  # as Adam calls them
Tensors = dict[str, Tensor]


def begun(net: Network, other: Network, name: str) -> None:
    """Begin with the weights of another; for films, with what an image network has learnt.

    Raises
    ------
    ValueError
        If it is of another kind, or of other sizes.
    """
    _check_alike(net, other, name)
    if not isinstance(net, VSRGAN) or not isinstance(other, SRResNet):
        own = {k: v for k, v in other.state_dict().items() if "upsample_func" not in k}
        net.load_state_dict(own)
        return
    weights = net.state_dict()
    weights["srnet.conv_in.0.weight"].zero_()  # what was made before says nothing yet
    for name, value in other.state_dict().items():
        name = name.replace("conv_first", "srnet.conv_in.0").replace("body", "srnet.resblocks")
        name = name.replace("conv1", "conv.0").replace("conv2", "conv.2")
        if name.startswith("srnet."):
            weights[name][tuple(map(slice, value.shape))] = value
    net.load_state_dict(weights)


def _check_alike(net: Network, other: Network, name: str) -> None:
    """Refuse to begin with a network of another kind or of other sizes."""
    here, there = described(net), described(other)
    part = (there.kind, here.kind) == ("srresnet", "vsrgan")
    if here.kind != there.kind and not part:
        kinds = type(other).__name__, type(net).__name__
        raise ValueError(f"begin={name!r} is a {kinds[0]}, and the recipe trains a {kinds[1]}")
    sizes = [
        {"channels": each.channels, **each.sizes, "upsample": None}  # what is added may differ
        for each in (there, here)
    ]
    if part:
        sizes = [{k: each[k] for k in PART} for each in sizes]
    if sizes[0] != sizes[1]:
        raise ValueError(f"begin={name!r} has other sizes than the recipe: {differences(*sizes)}")


class State:
    """Weights, their running means, and what Adam knows; an adversary's, too, if there is one."""

    def __init__(self, recipe: Recipe, device: str) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.step, self.seconds = recipe, 0, 0.0
        net = recipe.make()
        for name in recipe.beginnings():
            begun(net, load(name), name)
        self.net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean: Tensors = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.adam = torch.optim.Adam(self.net.parameters(), lr=recipe.rate, betas=(0.9, 0.99))
        sizes: dict[str, Any] = {"side": recipe.patch} if recipe.adversary == "film" else {}
        sizes |= recipe.adversary_sizes
        self.adversary = make_adversary(recipe.adversary, recipe.channels, **sizes)
        self.adversary_adam: torch.optim.Adam | None = None
        if self.adversary is not None:
            self.adversary.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.adversary_adam = torch.optim.Adam(
                self.adversary.parameters(), lr=recipe.adversary_rate, betas=(0.9, 0.99)
            )

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

    def _players(self) -> dict[str, tuple[nn.Module, torch.optim.Adam]]:
        """Networks with their optimisers, by what their files are called."""
        players: dict[str, tuple[nn.Module, torch.optim.Adam]] = {"": (self.net, self.adam)}
        if self.adversary is not None and self.adversary_adam is not None:
            players["adversary_"] = self.adversary, self.adversary_adam
        return players

    def _parts(self) -> dict[str, Tensors]:
        parts: dict[str, Tensors] = {"mean": self.mean}
        for player, (net, adam) in self._players().items():
            parts[f"{player}weights"] = net.state_dict()
            for which in MOMENTS:
                parts[f"{player}{which}"] = {
                    name: adam.state[value][which]
                    for name, value in net.named_parameters()
                    if value in adam.state
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
        there, here = (json.loads(each.text()) for each in (begun, recipe))
        if there != here:
            raise ValueError(
                f"{folder} holds a training by another recipe: {differences(there, here)}; choose "
                "another folder, or the same numbers"
            )
        state = cls(recipe, device)
        numbers: dict[str, Any] = json.loads((place / "state.json").read_text(encoding="utf-8"))
        state.step, state.seconds = numbers["step"], numbers["seconds"]
        parts = {path.stem: load_file(path, device=device) for path in place.glob("*.safetensors")}
        state.mean |= parts["mean"]
        for player, (net, adam) in state._players().items():
            net.load_state_dict(parts[f"{player}weights"])
            first, second = (parts[f"{player}{which}"] for which in MOMENTS)
            for name, value in net.named_parameters():
                if name in first:
                    adam.state[value] = {
                        "step": torch.tensor(float(state.step)),
                        "exp_avg": _like(first[name], value),
                        "exp_avg_sq": _like(second[name], value),
                    }
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
