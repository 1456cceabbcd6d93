"""The training loop: steps, validation, checkpoints from which it resumes, and the weights."""

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
from fastrestore.nets.training.data import Patches, Sampling
from fastrestore.nets.training.pairs import Pairs
from fastrestore.nets.training.perceptual import Perceptual
from fastrestore.nets.training.recipe import Recipe
from fastrestore.nets.training.state import State, checkpoint
from fastrestore.nets.training.steps import Balance, step
from fastrestore.nets.training.validation import PairValidation, Validation, VideoValidation

Images = list[np.ndarray]
Log = Callable[[State, dict[str, float], dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class Session:
    """Where and how long to train, and data in addition to the photographs."""

    folder: Path
    device: str = "cpu"
    minutes: float | None = None  # stop after this time; the next session resumes
    validate_every: int = 2000  # steps
    save_every: float = 60.0  # seconds
    board: bool = False  # whether to also write logs for TensorBoard
    perceptual: Perceptual | None = None
    videos: Sequence[np.ndarray] = ()  # real ones, in addition to those made from photographs


class Trainer:
    """The state of a training with its data and running losses."""

    def __init__(self, recipe: Recipe, images: Images, kept: Images, session: Session) -> None:
        folder, device = session.folder, session.device
        resumed = checkpoint(folder) is not None
        self.state = State.load(folder, recipe, device) if resumed else State(recipe, device)
        scale = self.state.net.scale
        self.source: Patches | Pairs | Clips
        if recipe.frames > 1:
            size = (recipe.frames, recipe.patch)
            self.source = Clips(images, size, device, session.videos)
            self.validation: Validation = VideoValidation(kept, recipe, scale, device)
        elif recipe.network == "refine":
            self.source = Pairs(images, recipe, folder, device)
            self.validation = PairValidation(kept, recipe, device)
        else:
            reduced = scale if recipe.task == "small" else 1
            sampling = Sampling(recipe.patch, recipe.shrink, recipe.turned, reduced)
            self.source = Patches(images, sampling, device)
            self.validation = Validation(kept, recipe, scale, device)
        self.session, self.recipe = session, recipe
        self.balance = Balance()
        self.losses: dict[str, float] = {}  # running means
        self.scores: dict[str, float] = {}

    def step(self) -> None:
        """Do one step."""
        losses = step(self.state, self.source, self.session.perceptual)
        if "accuracy" in losses:
            self.balance.update(losses["accuracy"])
        for name, value in losses.items():
            self.losses[name] = 0.99 * self.losses.get(name, value) + 0.01 * value

    def validate(self, log: Log) -> None:
        """Compute and log the PSNR; a network with only its flow trained has none yet."""
        if not self.recipe.flow_alone:
            self.scores = self.validation.scores(self.state.averaged())
        log(self.state, self.losses, self.scores)
        if self.scores:
            self.validation.picture(self.state.averaged(), self.session.folder / "crops.png")

    def text(self) -> str:
        """Return the losses and the last scores."""
        losses = " ".join(f"{name} {value:.4g}" for name, value in self.losses.items())
        return f"{losses} " + " ".join(f"{k}: {score:.2f} dB" for k, score in self.scores.items())


def train(
    recipe: Recipe,
    images: Images,
    kept: Images,
    session: Session,
    report: Callable[[int, int, str], object],
) -> Path | None:
    """Train; return the file of weights, or None if the time of the session was too short.

    `kept` are the images for validation. `report` is called after each step with its number, the
    number of all steps, and a text with losses and scores.
    """
    folder = session.folder
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(recipe, images, kept, session)
    state = trainer.state
    begun, before, saved = time.monotonic(), state.seconds, time.monotonic()
    with logged(session, state.step) as log, deferred_interrupt() as interrupted:
        while state.step < recipe.steps:
            trainer.step()
            now = time.monotonic()
            state.seconds = before + now - begun
            last = state.step == recipe.steps
            if last or state.step % session.validate_every == 0:
                trainer.validate(log)
            report(state.step, recipe.steps, trainer.text())
            timeout = session.minutes is not None and now - begun > 60 * session.minutes
            if last or timeout or interrupted or now - saved > session.save_every:
                state.save(folder)
                saved = time.monotonic()
            if interrupted:
                raise KeyboardInterrupt(
                    f"step {state.step} of {recipe.steps} is saved in {folder}; "
                    "run the same command to resume"
                )
            if timeout and not last:
                return None
    path = folder / f"{weights_name(recipe, state.net.scale)}.safetensors"
    save(state.averaged(), path, sigmas=recipe.sigma, steps=recipe.steps)
    return path


def weights_name(recipe: Recipe, scale: int) -> str:
    """Return the name of the file of weights."""
    colors = "gray" if recipe.channels == 1 else "color"
    kind = recipe.network
    if kind == "vsrgan":
        kind = "flow" if recipe.flow_alone else "vsrgan" if recipe.adversary else "vsr"
    elif recipe.adversary:
        kind = "gan"
    return f"{kind}-{colors if scale == 1 else f'x{scale}'}"


@contextmanager
def deferred_interrupt() -> Iterator[list[int]]:
    """Collect Ctrl-C in a list, so that a step can be completed; a second one raises at once."""
    caught: list[int] = []

    def handle(number: int, _: object) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not default or threading.current_thread() is not threading.main_thread():
        yield caught
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield caught
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _truncate(path: Path, step: int) -> None:
    """Remove the rows of a log after a step: they will be written again."""
    if not path.exists():
        return
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = [*csv.reader(file)] or [[]]
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path} is damaged: {error}; remove it") from None
    kept = [row for row in rows if row and row[0].isdigit() and int(row[0]) <= step]
    new = path.with_name(f"{path.name}.new")
    with new.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *kept])
    new.replace(path)


@contextmanager
def logged(session: Session, step: int) -> Iterator[Log]:
    """Open log.csv, and files for TensorBoard if requested, to append rows after a step."""
    path = session.folder / "log.csv"
    _truncate(path, step)
    board: Any = None
    if session.board:
        from torch.utils.tensorboard import SummaryWriter

        board = SummaryWriter(str(session.folder), purge_step=step + 1)

    def log(state: State, losses: dict[str, float], scores: dict[str, float]) -> None:
        row = {"step": state.step, "seconds": f"{state.seconds:.1f}"}
        row |= {name: f"{value:.6g}" for name, value in losses.items()}
        row |= {f"psnr_{name}": f"{score:.4f}" for name, score in scores.items()}
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, row)
            if new:
                writer.writeheader()
            writer.writerow(row)
        if board is not None:
            for name, value in {**losses, **{f"psnr/{k}": v for k, v in scores.items()}}.items():
                board.add_scalar(name, value, state.step)

    try:
        yield log
    finally:
        if board is not None:
            board.close()
