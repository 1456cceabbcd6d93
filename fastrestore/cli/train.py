"""``fastrestore train``: a folder of photographs in, the weights of a network out."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastrestore._io.errors import CliError

if TYPE_CHECKING:
    from fastrestore.nets.training.perceptual import Perceptual
    from fastrestore.nets.training.recipe import Recipe


def run(args: argparse.Namespace) -> None:
    """Check all that can be checked, then train."""
    from fastrestore.nets import need_torch

    try:
        need_torch()
    except ImportError as error:
        raise CliError(str(error)) from None
    if args.minutes is not None and not 0 < args.minutes < math.inf:
        raise CliError(f"--minutes must be above 0, got {args.minutes:g}")
    if args.threads is not None and args.threads < 1:
        raise CliError(f"--threads must be 1 or more, got {args.threads}")
    folder = Path(args.images)
    if not folder.is_dir():
        raise CliError(f"--images {args.images} is no folder")
    if args.only is not None and not Path(args.only).is_file():
        raise CliError(f"--only {args.only}: no such file")
    if args.films is not None and not Path(args.films).is_dir():
        raise CliError(f"--films {args.films} is no folder")
    recipe, device = _recipe(args), _device(args.device)
    if args.films is not None and recipe.frames == 1:
        raise CliError(f"--films {args.films} is for vsrgan, not for {args.network}")
    _train(args, recipe, folder, device)


def _train(args: argparse.Namespace, recipe: Recipe, folder: Path, device: str) -> None:
    """Read the photographs and train: a GAN by pixels alone first, unless it is to begin with."""
    import torch

    from fastrestore.nets.training import clips, data

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    only = None if args.only is None else Path(args.only)
    begun = time.monotonic()
    perceptual = _perceptual(args, recipe, device)
    try:
        images = data.split(data.photographs(folder, recipe.channels, only))
        films = [] if args.films is None else clips.films(Path(args.films), recipe.channels)
        material = (*images, films, perceptual)
        out, path = Path(args.out), None
        if recipe.adversary and not recipe.begin:
            path = _phase(args, recipe.by_pixels(), material, (out / "pixels", device), begun)
            if path is not None:
                recipe = dataclasses.replace(recipe, begin=str(path))
        if path is not None or recipe.begin or not recipe.adversary:
            path = _phase(args, recipe, material, (out, device), begun)
    except (ValueError, ArithmeticError, RuntimeError, FileNotFoundError) as error:
        raise CliError(str(error)) from None
    if not args.quiet:
        print(path or f"stopped after {args.minutes:g} minutes; the same command goes on")


def _phase(
    args: argparse.Namespace,
    recipe: Recipe,
    data: tuple[Any, Any, Any, Perceptual | None],
    where: tuple[Path, str],
    begun: float,
) -> Path | None:
    """Train once through, or until the time is up."""
    from fastrestore.nets.training import loop

    rest, kept, films, perceptual = data
    left = None if args.minutes is None else args.minutes - (time.monotonic() - begun) / 60
    session = loop.Session(
        *where, left, validate_every=max(1, min(1000, recipe.steps // 10)),
        board=args.tensorboard, perceptual=perceptual, videos=films,
    )  # fmt: skip
    return _with_bar(args, recipe, lambda tell: loop.train(recipe, rest, kept, session, tell))


def _perceptual(args: argparse.Namespace, recipe: Recipe, device: str) -> Perceptual | None:
    """Read the network whose features are compared, if the recipe says so."""
    if not recipe.perceptual:
        return None
    if args.perceptual is None:
        raise CliError(
            f"the recipe has perceptual={recipe.perceptual:g}, for which --perceptual has to name "
            "the weights of SqueezeNet 1.1 as Keras writes them (.h5); or write --set perceptual=0"
        )
    from fastrestore.nets.training.perceptual import Perceptual

    if not Path(args.perceptual).is_file():
        raise CliError(f"--perceptual {args.perceptual}: no such file")
    try:
        return Perceptual.read(Path(args.perceptual)).to(device)
    except (ImportError, ValueError) as error:
        raise CliError(str(error)) from None
    except OSError as error:
        raise CliError(f"--perceptual {args.perceptual} is no file of HDF5: {error}") from None


def _with_bar(args: argparse.Namespace, recipe: Recipe, work: Any) -> Path | None:
    """Show steps, time left and what validation says."""
    import tqdm

    with tqdm.tqdm(
        total=recipe.steps, unit="step", disable=args.quiet or not sys.stderr.isatty()
    ) as bar:

        def tell(step: int, _: int, said: str) -> None:
            bar.update(step - bar.n)
            bar.set_postfix_str(said, refresh=False)

        done: Path | None = work(tell)
    return done


def _recipe(args: argparse.Namespace) -> Recipe:
    """Put the recipe together: what is usual, or a file, then what --set changes."""
    from fastrestore.nets.training.recipe import USUAL, Recipe

    told: dict[str, Any] = {"network": args.network} | USUAL.get(args.network, {})
    try:
        if args.recipe is not None:
            told = dataclasses.asdict(Recipe.read(Path(args.recipe)))
            kind = told["network"]
            if told["adversary"] and kind != "vsrgan":
                kind = "gan"
            if kind != args.network:
                raise CliError(f"--recipe {args.recipe} is for {kind}, not {args.network}")
        if args.color:
            told["channels"] = 3
        for pair in args.set:
            _set(told, pair)
        _compare_features(args, told)
        return Recipe.of(told)
    except ValueError as error:
        raise CliError(str(error)) from None


def _compare_features(args: argparse.Namespace, told: dict[str, Any]) -> None:
    """Let --perceptual mean that features are compared; refuse it where the recipe says no."""
    if args.perceptual is None or told.get("perceptual"):
        return
    by = [] if args.recipe is None else [f"--recipe {args.recipe}"]
    by += [f"--set {pair}" for pair in args.set if pair.partition("=")[0] == "perceptual"]
    if by:
        raise CliError(
            f"--perceptual {args.perceptual} would not be used: {by[-1]} has perceptual=0; write "
            "--set perceptual=1, or leave --perceptual out"
        )
    told["perceptual"] = 1.0


def _set(told: dict[str, Any], pair: str) -> None:
    """Read ``name=value``, where the name may have a dot, and the value is as in JSON."""
    name, equals, text = pair.partition("=")
    if not equals:
        raise CliError(f"--set {pair} is no NAME=VALUE; write for example --set steps=20000")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    name, dot, inner = name.partition(".")
    if dot and name not in ("sizes", "adversary_sizes"):
        raise CliError(f"--set {pair}: only sizes and adversary_sizes have parts, not {name}")
    if dot:
        told[name] = {**told.get(name, {}), inner: value}
    else:
        told[name] = value


def _device(device: str | None) -> str:
    """Choose where to train."""
    import torch

    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        wanted = torch.device(device)
    except RuntimeError:
        raise CliError(f"--device {device} is none; write cpu, cuda or cuda:1") from None
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise CliError(f"--device {device}: PyTorch finds {torch.cuda.device_count()} GPUs")
    return device
