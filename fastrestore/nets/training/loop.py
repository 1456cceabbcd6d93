"""Training step by step: resumed where it stopped, judged now and then, written when it is done."""

from __future__ import annotations

import csv
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore.nets.files import save
from fastrestore.nets.training.clips import Clips
from fastrestore.nets.training.data import Patches
from fastrestore.nets.training.judge import FilmJudge, Judge
from fastrestore.nets.training.perceptual import Perceptual
from fastrestore.nets.training.recipe import Recipe
from fastrestore.nets.training.state import State, checkpoint
from fastrestore.nets.training.steps import Balance, step


@dataclass(frozen=True, slots=True)
class Session:
    """Where and how long to train, other than what makes the result."""

    folder: Path
    device: str = "cpu"
    minutes: float | None = None  # stop after so many; called again it goes on
    judge_every: int = 2000  # steps
    save_every: float = 60.0  # seconds
    board: bool = False  # write for TensorBoard, too
    perceptual: Perceptual | None = None
    films: Sequence[np.ndarray] = ()  # real ones, beside those made of photographs


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
    source: Patches | Clips
    if recipe.frames > 1:
        source = Clips(images, recipe.patch, recipe.frames, device, session.films)
        judge: Judge = FilmJudge(kept, recipe, state.net.scale, device)
    else:
        scale = state.net.scale if recipe.task == "small" else 1
        source = Patches(images, recipe.patch, recipe.shrink, recipe.turned, device, scale)
        judge = Judge(kept, recipe, state.net.scale, device)
    begun = saved = time.monotonic()
    balance, before, said = Balance(), state.seconds, ""
    running: dict[str, float] = {}
    with logged(session, state.step) as log, patient() as stopped:
        while state.step < recipe.steps:
            lost = step(state, source, device, session.perceptual)
            if "accuracy" in lost:
                balance.told(lost["accuracy"])
            for name, value in lost.items():
                running[name] = 0.99 * running.get(name, value) + 0.01 * value
            now = time.monotonic()
            state.seconds = before + now - begun
            last = state.step == recipe.steps
            if last or state.step % session.judge_every == 0:
                # Who learns flow alone makes no pictures yet
                scores = {} if recipe.flow_alone else judge.scores(state.averaged())
                said = " ".join(f"{name}: {score:.2f} dB" for name, score in scores.items())
                log(state, running, scores)
                if scores:
                    judge.picture(state.averaged(), folder / "crops.png")
            losses = " ".join(f"{name} {value:.4g}" for name, value in running.items())
            tell(state.step, recipe.steps, f"{losses} {said}")
            up = session.minutes is not None and now - begun > 60 * session.minutes
            if last or up or stopped or now - saved > session.save_every:
                state.save(folder)
                saved = time.monotonic()
            if stopped:
                told = f"{folder} holds step {state.step} of {recipe.steps}"
                raise KeyboardInterrupt(f"{told}; the same command goes on")
            if up and not last:
                return None
    path = folder / f"{named(recipe, state.net.scale)}.safetensors"
    save(state.averaged(), path, sigmas=recipe.sigma, steps=recipe.steps)
    return path


def named(recipe: Recipe, scale: int) -> str:
    """What to call the weights."""
    colours = "gray" if recipe.channels == 1 else "color"
    kind = recipe.network
    if kind == "vsrgan":
        kind = "flow" if recipe.flow_alone else "vsrgan" if recipe.adversary else "vsr"
    elif recipe.adversary:
        kind = "gan"
    return f"{kind}-{colours if scale == 1 else f'x{scale}'}"


Log = Callable[[State, dict[str, float], dict[str, float]], None]


@contextmanager
def patient() -> Iterator[list[int]]:
    """Let Ctrl-C wait for the end of a step, and tell by a list; a second one does not wait."""
    caught: list[int] = []

    def wait(number: int, _: object) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield caught
        return
    signal.signal(signal.SIGINT, wait)
    try:
        yield caught
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _shortened(path: Path, step: int) -> None:
    """Leave out rows of a log after a step: they will be written once more."""
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = [*csv.reader(file)] or [[]]
    kept = [row for row in rows if row and row[0].isdigit() and int(row[0]) <= step]
    if len(kept) == len(rows):
        return
    new = path.with_name(f"{path.name}.new")
    with new.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *kept])
    new.replace(path)


@contextmanager
def logged(session: Session, step: int) -> Iterator[Log]:
    """Open log.csv, and files for TensorBoard where they are asked for; go on after a step."""
    path = session.folder / "log.csv"
    _shortened(path, step)
    board: Any = None
    if session.board:
        from torch.utils.tensorboard import SummaryWriter

        board = SummaryWriter(str(session.folder), purge_step=step + 1)

    def log(state: State, lost: dict[str, float], scores: dict[str, float]) -> None:
        row = {"step": state.step, "seconds": f"{state.seconds:.1f}"}
        row |= {name: f"{value:.6g}" for name, value in lost.items()}
        row |= {f"psnr_{name}": f"{score:.4f}" for name, score in scores.items()}
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, row)
            if new:
                writer.writeheader()
            writer.writerow(row)
        if board is not None:
            for name, value in {**lost, **{f"psnr/{k}": v for k, v in scores.items()}}.items():
                board.add_scalar(name, value, state.step)

    try:
        yield log
    finally:
        if board is not None:
            board.close()
