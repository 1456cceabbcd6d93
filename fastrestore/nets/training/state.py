"""The state of a training, with checkpoints from which it resumes with identical results."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Adam

from fastrestore.nets.discriminators import DISCRIMINATORS
from fastrestore.nets.files import load
from fastrestore.nets.frnet import VSRGAN
from fastrestore.nets.layouts import described
from fastrestore.nets.network import Network
from fastrestore.nets.refine import Refine
from fastrestore.nets.srresnet import SRResNet
from fastrestore.nets.storage import read_safetensors, sync_folder, write_through
from fastrestore.nets.training.checks import differences
from fastrestore.nets.training.recipe import Recipe

NAME = "checkpoint"
LAST = "state.json"  # the file that is written last
SHARED = ("channels", "blocks", "width")  # sizes that SRResNet and VSRGAN have in common
MOMENTS = ("exp_avg", "exp_avg_sq")  # names of the moments in the state of Adam
Tensors = dict[str, Tensor]


def initialize(net: Network, other: Network, name: str) -> None:
    """Copy the weights of a network of the same kind, or of a part of it.

    Parts are an SRResNet of a VSRGAN, and a Refine for gray images of one for color.
    """
    _check_alike(net, other, name)
    if isinstance(net, Refine) and isinstance(other, Refine) and net.channels > other.channels:
        net.begin_with(other)
        return
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
    if here.kind == "refine" and there.channels == 1:
        sizes[0]["channels"] = here.channels
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
        """Write a checkpoint; whenever this is interrupted, a complete one is left.

        The checkpoint before is removed after the new one is on the disk under its final name.
        Each file has about four bytes for each parameter.
        """
        new, here, old = (folder / f"{NAME}{end}" for end in (".new", "", ".old"))
        if new.exists():
            shutil.rmtree(new)
        new.mkdir(parents=True)
        try:
            self._write(new)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)  # the disk may be full
            raise
        _replace(new, here, old)

    def _write(self, folder: Path) -> None:
        """Write the files of a checkpoint; the last one marks it as complete."""
        from safetensors.torch import save

        for name, tensors in self._parts().items():
            data = save({k: v.contiguous() for k, v in tensors.items()})
            write_through(folder / f"{name}.safetensors", data)
        write_through(folder / "recipe.json", self.recipe.text().encode())
        numbers = {"step": self.step, "seconds": self.seconds}
        write_through(folder / LAST, json.dumps(numbers).encode())

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
        """Read the checkpoint in a folder; raise if it is damaged or that of another recipe."""
        place = checkpoint(folder)
        assert place is not None
        cure = f"remove {place} to start from the beginning"
        try:
            saved = Recipe.read(place / "recipe.json")
        except ValueError as error:
            raise ValueError(f"{error}; {cure}") from None
        there, here = (json.loads(each.text()) for each in (saved, recipe))
        if there != here:
            raise ValueError(
                f"{folder} has a checkpoint of another recipe: {differences(there, here)}; choose "
                "another folder, or the same recipe"
            )
        state = cls(recipe, device)
        try:
            state._read(place)
        except ValueError as error:
            raise ValueError(f"{error}; {cure}") from None
        return state

    def _read(self, place: Path) -> None:
        """Read the files of a checkpoint."""
        self.step, self.seconds = _numbers(place / LAST, self.recipe.steps)
        device = self.device
        self.mean |= _tensors(place / "mean.safetensors", self.mean, device)
        for prefix, (net, adam) in self._networks.items():
            path = place / f"{prefix}weights.safetensors"
            net.load_state_dict(_tensors(path, net.state_dict(), device))
            values = dict(net.named_parameters())
            moments = {
                which: _tensors(place / f"{prefix}{which}.safetensors", values, device, whole=False)
                for which in MOMENTS
            }
            if len({frozenset(part) for part in moments.values()}) > 1:
                raise ValueError(f"{place}: the moments of Adam are of different parameters")
            for name in moments[MOMENTS[0]]:
                adam.state[values[name]] = {"step": torch.tensor(float(self.step))} | {
                    which: _like(part[name], values[name]) for which, part in moments.items()
                }


def _numbers(path: Path, steps: int) -> tuple[int, float]:
    """Return the step and the seconds of a checkpoint."""
    try:
        numbers = json.loads(path.read_text(encoding="utf-8"))
        step, seconds = numbers["step"], numbers["seconds"]
        good = type(step) is int and 0 <= step <= steps and math.isfinite(seconds)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        good = False
    if not good:
        raise ValueError(f"{path} does not contain the step and the seconds of a checkpoint")
    return step, float(seconds)


def _tensors(
    path: Path, expected: Mapping[str, Tensor], device: str, whole: bool = True
) -> Tensors:
    """Read tensors; raise if one has another shape than expected, or `whole` and one is missing.

    The moments of parameters that have had no gradient yet do not exist.
    """
    tensors, _ = read_safetensors(path, device)
    shapes = {name: value.shape for name, value in tensors.items()}
    wanted = {name: value.shape for name, value in expected.items()}
    wrong = [name for name, shape in shapes.items() if wanted.get(name) != shape]
    wrong += [name for name in wanted if whole and name not in shapes]
    if wrong:
        raise ValueError(f"{path} is of another network: {wrong[0]} is missing or has another size")
    return tensors


def _optimizer(net: nn.Module, rate: float, device: str) -> Adam:
    """Move a network to a device, and return its optimizer."""
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Adam(net.parameters(), lr=rate, betas=(0.9, 0.99))


def _like(source: Tensor, value: Tensor) -> Tensor:
    """Copy in the memory order of another tensor, which keeps sums identical bit for bit."""
    return torch.empty_like(value, requires_grad=False).copy_(source)


def checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint in a folder, or None."""
    places = (folder / NAME, folder / f"{NAME}.old")
    return next(filter(_is_complete, places), None)


def _is_complete(place: Path) -> bool:
    """Return whether a folder has the file of a checkpoint that is written last."""
    return (place / LAST).is_file()


def _replace(new: Path, here: Path, old: Path) -> None:
    """Move a new checkpoint into its place; one that is complete is there at any time.

    `here` and `old` are complete unless they are being removed, which happens to `old` only while
    `here` is complete.
    """
    if _is_complete(here):
        if old.exists():
            shutil.rmtree(old)
        here.replace(old)
    elif here.exists():
        shutil.rmtree(here)
    new.replace(here)
    sync_folder(here.parent)
    shutil.rmtree(old, ignore_errors=True)
