"""Training step by step: resumed where it stopped, judged now and then, written when it is done."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastrestore.nets._files import save
from fastrestore.nets._network import Network
from fastrestore.nets.training._data import Patches
from fastrestore.nets.training._recipe import Recipe
from fastrestore.nets.training._state import State, checkpoint

CLIP = 1.0  # largest norm of the gradient
CROP = 160  # pixels of a validation image along a side
SHOWN = 4  # of them, in the picture


@dataclass(frozen=True, slots=True)
class Session:
    """Where and how long to train, other than what makes the result."""

    folder: Path
    device: str = "cpu"
    minutes: float | None = None  # stop after so many; called again it goes on
    judge_every: int = 2000  # steps
    save_every: float = 60.0  # seconds
    board: bool = False  # write for TensorBoard, too


def train(
    recipe: Recipe,
    images: list[np.ndarray],
    kept: list[np.ndarray],
    session: Session,
    tell: Callable[[int, int, str], object],
) -> Path | None:
    """Train; return the file of weights, or None if the time was up before.

    `tell` is called after each step with its number, how many there are, and what to say.
    """
    folder, device = session.folder, session.device
    folder.mkdir(parents=True, exist_ok=True)
    going_on = checkpoint(folder) is not None
    state = State.load(folder, recipe, device) if going_on else State(recipe, device)
    patches = Patches(images, recipe.patch, recipe.shrink, recipe.turned, device)
    judge = Judge(kept, recipe, device)
    begun = saved = time.monotonic()
    before, running, said = state.seconds, 0.0, ""
    with logged(session) as log:
        while state.step < recipe.steps:
            loss = step(state, patches, device)
            running = loss if running == 0 else 0.99 * running + 0.01 * loss
            now = time.monotonic()
            state.seconds = before + now - begun
            last = state.step == recipe.steps
            if last or state.step % session.judge_every == 0:
                scores = judge.scores(state.averaged())
                said = " ".join(f"{level:g}: {score:.2f} dB" for level, score in scores.items())
                log(state, running, scores)
                judge.picture(state.averaged(), folder / "crops.png")
            tell(state.step, recipe.steps, f"loss {running:.5f} {said}")
            up = session.minutes is not None and now - begun > 60 * session.minutes
            if last or up or now - saved > session.save_every:
                state.save(folder)
                saved = time.monotonic()
            if up and not last:
                return None
    path = folder / f"{recipe.network}-{'gray' if recipe.channels == 1 else 'color'}.safetensors"
    save(state.averaged(), path, sigmas=recipe.sigma, steps=recipe.steps)
    return path


def step(state: State, patches: Patches, device: str) -> float:
    """Do one step; return its loss."""
    recipe, net = state.recipe, state.net.train()
    random = state.random(device)
    clean = patches.draw(recipe.batch, random)
    levels = torch.rand(recipe.batch, 1, 1, 1, generator=random, device=device)
    low, high = (level / 255 for level in recipe.sigma)
    levels = low + (high - low) * levels
    noise = torch.randn(clean.shape, generator=random, device=device)
    noisy = (clean + levels * noise).contiguous(memory_format=torch.channels_last)
    with precise(recipe, device):
        error = net(noisy, levels).float() - clean
    loss = error.abs().mean() if recipe.loss == "l1" else error.square().mean()
    for group in state.adam.param_groups:
        group["lr"] = recipe.rate_at(state.step)
    state.adam.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
    state.adam.step()
    state.step += 1
    state.average()
    value = float(loss.detach())
    if not np.isfinite(value):
        raise FloatingPointError(f"the loss of step {state.step} is {value}; try a smaller rate")
    return value


def precise(recipe: Recipe, device: str) -> AbstractContextManager[Any]:
    """Products in the precision of a recipe."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=recipe.precision == "bfloat16")


class Judge:
    """PSNR on photographs that are not trained on."""

    def __init__(self, images: list[np.ndarray], recipe: Recipe, device: str) -> None:
        side = min(CROP, *(n for image in images for n in image.shape[1:]))
        cuts = [_middle(image, side) for image in images]
        self.clean = torch.from_numpy(np.stack(cuts)).to(device).float() / 255
        random = torch.Generator("cpu").manual_seed(1)
        self._noise = torch.randn(self.clean.shape, generator=random).to(device)
        low, high = recipe.sigma
        inside = [level for level in (15.0, 25.0, 50.0) if low <= level <= high]
        self._levels = inside or [(low + high) / 2]

    def restored(self, net: Network, level: float) -> tuple[Tensor, Tensor]:
        """Noisy and restored crops."""
        noisy = self.clean + level / 255 * self._noise
        with torch.inference_mode():
            return noisy, torch.cat([net(each[None], level / 255) for each in noisy])

    def scores(self, net: Network) -> dict[float, float]:
        """Mean PSNR by sigma."""
        found = {}
        for level in self._levels:
            error = (self.restored(net, level)[1] - self.clean).square().mean((1, 2, 3))
            found[level] = float(-10 * error.log10().mean())
        return found

    def picture(self, net: Network, path: Path) -> None:
        """Write crops: noisy, restored and clean side by side, below each other."""
        from PIL import Image

        level = self._levels[len(self._levels) // 2]
        three = (*self.restored(net, level), self.clean)
        shown = range(min(SHOWN, len(self.clean)))
        rows = [torch.cat([kind[k] for kind in three], -1) for k in shown]
        values = torch.cat(rows, -2).clamp(0, 1).mul(255).round().byte().cpu().numpy()
        image = values[0] if len(values) == 1 else values.transpose(1, 2, 0)
        Image.fromarray(image).save(path)


def _middle(image: np.ndarray, side: int) -> np.ndarray:
    """Cut a square from the middle."""
    top, left = ((n - side) // 2 for n in image.shape[1:])
    return image[:, top : top + side, left : left + side]


Log = Callable[[State, float, dict[float, float]], None]


@contextmanager
def logged(session: Session) -> Iterator[Log]:
    """Open log.csv, and files for TensorBoard where they are asked for."""
    path = session.folder / "log.csv"
    board: Any = None
    if session.board:
        from torch.utils.tensorboard import SummaryWriter

        board = SummaryWriter(str(session.folder))

    def log(state: State, loss: float, scores: dict[float, float]) -> None:
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if new:
                heads = [f"psnr_{level:g}" for level in scores]
                writer.writerow(["step", "seconds", "loss", *heads])
            values = [f"{score:.4f}" for score in scores.values()]
            writer.writerow([state.step, f"{state.seconds:.1f}", f"{loss:.6f}", *values])
        if board is not None:
            board.add_scalar("loss", loss, state.step)
            for level, score in scores.items():
                board.add_scalar(f"psnr/{level:g}", score, state.step)

    try:
        yield log
    finally:
        if board is not None:
            board.close()
