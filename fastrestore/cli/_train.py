"""``fastrestore train``: a folder of photographs in, the weights of a network out."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastrestore.cli._error import CliError

if TYPE_CHECKING:
    from fastrestore.nets.training._recipe import Recipe


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
    recipe, device = _recipe(args), _device(args.device)
    _train(args, recipe, folder, device)


def _train(args: argparse.Namespace, recipe: Recipe, folder: Path, device: str) -> None:
    """Read the photographs and train."""
    import torch

    from fastrestore.nets.training import _data, _loop

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    session = _loop.Session(
        Path(args.out), device, args.minutes, judge_every=max(1, min(1000, recipe.steps // 10)),
        board=args.tensorboard,
    )  # fmt: skip
    only = None if args.only is None else Path(args.only)
    try:
        images = _data.photographs(folder, recipe.channels, only)
        rest, kept = _data.split(images)
        path = _with_bar(args, recipe, lambda tell: _loop.train(recipe, rest, kept, session, tell))
    except (ValueError, FloatingPointError) as error:
        raise CliError(str(error)) from None
    if not args.quiet:
        print(path or f"stopped after {args.minutes:g} minutes; the same command goes on")


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
    """Put the recipe together: a file, then what --set changes."""
    from fastrestore.nets.training._recipe import Recipe

    told: dict[str, Any] = {"network": args.network}
    try:
        if args.recipe is not None:
            told = dataclasses.asdict(Recipe.read(Path(args.recipe)))
            if told["network"] != args.network:
                raise CliError(f"--recipe {args.recipe} is for {told['network']}, "
                               f"not {args.network}")  # fmt: skip
        if args.color:
            told["channels"] = 3
        for pair in args.set:
            _set(told, pair)
        return Recipe.of(told)
    except ValueError as error:
        raise CliError(str(error)) from None


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
    if dot:
        told.setdefault(name, {})[inner] = value
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
