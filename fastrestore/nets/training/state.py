"""The state of a training, with checkpoints from which it resumes with identical results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from fastrestore.nets.discriminators import DISCRIMINATORS
from fastrestore.nets.files import load
from fastrestore.nets.frnet import VSRGAN
from fastrestore.nets.layouts import described
from fastrestore.nets.network import Network
from fastrestore.nets.srresnet import SRResNet
from fastrestore.nets.training.checks import differences
from fastrestore.nets.training.recipe import Recipe

NAME = "checkpoint"
SHARED = ("channels", "blocks", "width")  # sizes that SRResNet and VSRGAN have in common
MOMENTS = ("exp_avg", "exp_avg_sq")  # names of the moments in the state of Adam
Tensors = dict[str, Tensor]


def initialize(net: Network, other: Network, name: str) -> None:
    """Copy the weights of a network of the same kind, or of an SRResNet into a VSRGAN."""
    _check_alike(net, other, name)
    if not isinstance(net, VSRGAN) or not isinstance(other, SRResNet):
        own = {k: v for k, v in other.state_dict().items() if "upsample_func" not in k}
        net.load_state_dict(own)
        return
    weights = net.state_dict()
    weights["srnet.conv_in.0.weight"].zero_()  # the result for the frame before has no effect yet
    for name, value in other.state_dict().items():
        name = name.replace("conv_first", "srnet.conv_in.0").replace("body", "srnet.resblocks")
        name = name.replace("conv1", "conv.0").replace("conv2", "conv.2")
        if name.startswith("srnet."):
            weights[name][tuple(map(slice, value.shape))] = value
    net.load_state_dict(weights)


def _check_alike(net: Network, other: Network, name: str) -> None:
    """Raise if two networks have different kinds or sizes."""
    here, there = described(net), described(other)
    partial = (there.kind, here.kind) == ("srresnet", "vsrgan")
    if here.kind != there.kind and not partial:
        kinds = type(other).__name__, type(net).__name__
        raise ValueError(f"begin={name!r} is a {kinds[0]}, and the recipe trains a {kinds[1]}")
    sizes = [
        {"channels": each.channels, **each.sizes, "upsample": None}  # may differ
        for each in (there, here)
    ]
    if partial:
        sizes = [{k: each[k] for k in SHARED} for each in sizes]
    if sizes[0] != sizes[1]:
        raise ValueError(f"begin={name!r} has other sizes than the recipe: {differences(*sizes)}")


class State:
    """Weights, their running means, and the optimizer; also those of a discriminator, if any."""

    def __init__(self, recipe: Recipe, device: str) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.step, self.seconds = recipe, device, 0, 0.0
        net = recipe.make()
        for name in recipe.beginnings():
            initialize(net, load(name), name)
        self.net, self.adam = net, _optimizer(net, recipe.rate, device)
        self.mean: Tensors = {k: v.detach().clone() for k, v in net.state_dict().items()}
        # Networks with their optimizers, by the prefix of their files
        self._networks: dict[str, tuple[nn.Module, Adam]] = {"": (net, self.adam)}
        self.discriminator: nn.Module | None = None
        if recipe.adversary:
            sizes = {"side": recipe.patch} if recipe.adversary == "film" else {}
            sizes |= recipe.adversary_sizes
            discriminator = DISCRIMINATORS[recipe.adversary](recipe.channels, **sizes)
            self.discriminator = discriminator
            self.discriminator_adam = _optimizer(discriminator, recipe.adversary_rate, device)
            self._networks["adversary_"] = discriminator, self.discriminator_adam

    def random(self) -> torch.Generator:
        """Return the random generator of this step; it depends only on the seed and the step."""
        return torch.Generator(self.device).manual_seed(self.recipe.seed * 2**40 + self.step)

    def average(self) -> None:
        """Update the running means."""
        with torch.no_grad():
            # Reduces the influence of the random initial weights
            keep = min(self.recipe.average, (1 + self.step) / (10 + self.step))
            for name, value in self.net.state_dict().items():
                if value.is_floating_point():
                    self.mean[name].lerp_(value, 1 - keep)
                else:
                    self.mean[name].copy_(value)

    def averaged(self) -> Network:
        """Return a network with the running means as its weights."""
        net = self.recipe.make().to(self.device)
        net.load_state_dict(self.mean)
        return net.eval()

    def save(self, folder: Path) -> None:
        """Write a checkpoint atomically: after a crash this one or the one before is complete.

        Each file has about four bytes for each parameter.
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
        """Return the tensors of a checkpoint, by the names of the files."""
        parts: dict[str, Tensors] = {"mean": self.mean}
        for prefix, (net, adam) in self._networks.items():
            parts[f"{prefix}weights"] = net.state_dict()
            for which in MOMENTS:
                parts[f"{prefix}{which}"] = {
                    name: adam.state[value][which]
                    for name, value in net.named_parameters()
                    if value in adam.state
                }
        return parts

    @classmethod
    def load(cls, folder: Path, recipe: Recipe, device: str) -> State:
        """Read the checkpoint in a folder; raise if it is that of another recipe."""
        from safetensors.torch import load_file

        place = checkpoint(folder)
        assert place is not None
        saved = Recipe.read(place / "recipe.json")
        there, here = (json.loads(each.text()) for each in (saved, recipe))
        if there != here:
            raise ValueError(
                f"{folder} has a checkpoint of another recipe: {differences(there, here)}; choose "
                "another folder, or the same recipe"
            )
        state = cls(recipe, device)
        numbers: dict[str, Any] = json.loads((place / "state.json").read_text(encoding="utf-8"))
        state.step, state.seconds = numbers["step"], numbers["seconds"]
        parts = {path.stem: load_file(path, device=device) for path in place.glob("*.safetensors")}
        state.mean |= parts["mean"]
        for prefix, (net, adam) in state._networks.items():
            net.load_state_dict(parts[f"{prefix}weights"])
            moments = {which: parts[f"{prefix}{which}"] for which in MOMENTS}
            for name, value in net.named_parameters():
                if name in moments["exp_avg"]:
                    adam.state[value] = {"step": torch.tensor(float(state.step))} | {
                        which: _like(part[name], value) for which, part in moments.items()
                    }
        return state


def _optimizer(net: nn.Module, rate: float, device: str) -> Adam:
    """Move a network to a device, and return its optimizer."""
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Adam(net.parameters(), lr=rate, betas=(0.9, 0.99))


def _like(source: Tensor, value: Tensor) -> Tensor:
    """Copy in the memory order of another tensor, which keeps sums identical bit for bit."""
    return torch.empty_like(value, requires_grad=False).copy_(source)


def checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint in a folder, or None."""
    for name in (NAME, f"{NAME}.old"):
        if (folder / name / "state.json").is_file():
            return folder / name
    return None
