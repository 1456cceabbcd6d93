"""``fastrestore train``: train a network on a directory of photographs."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastrestore._io.errors import reason
from fastrestore.cli.errors import CommandError, require_torch

if TYPE_CHECKING:
    from fastrestore.nets.training.perceptual import Perceptual
    from fastrestore.nets.training.recipe import Recipe


EPILOG = """\
examples:
  fastrestore train unet --images photographs --out trained
  fastrestore train dncnn --images photographs --out trained --recipe dncnn-gray.json
  fastrestore train dncnn --images photographs --out trained --set sizes.layers=12 --set steps=20000
  fastrestore train srresnet --images photographs --out trained --set sizes.scale=2
  fastrestore train gan --images photographs --out trained

OUT receives the weights (safetensors in half precision), log.csv, crops.png with restored crops of
validation images, and a checkpoint, written every minute and when training stops. The same command
resumes an interrupted training from it. One photograph in 36 is used for validation, every 1000
steps, or ten times in short trainings. dncnn, unet, ffdnet and refine are trained for gray images
unless --color is given; srresnet, srvgg, gan and vsrgan for color images unless --set channels=1 is
given. refine corrects the results of bm3d: photographs with noise, restored by it, are stored in
OUT/pairs, for color 1.7 GB for 400 photographs of BSDS500 and each of --set draws=8.

gan trains an srresnet (--set network=srvgg, rrdb or unet for another network) in two phases, each
of as many steps as the recipe specifies: with the pixel loss only, in OUT/pixels, then together
with a discriminator. --set begin=FILE skips the first phase and starts from these weights. With
--set task=degraded --set sizes.scale=1 the network restores degraded images at the same size.
vsrgan is trained in the same two phases, on videos simulated from the photographs by a moving
camera and on those of --films. --perceptual FILE adds the perceptual loss with weight 1, unless
--set perceptual gives another weight.

A recipe is a JSON file with the parameters of a training; --set changes one of them. The recipes of
the built-in weights are in the same directory as the weights. Parameters:
  network     network (dncnn, unet, ffdnet, refine, srresnet, srvgg, rrdb, vsrgan), channels, begin,
              sizes.NAME (scale, blocks, width, layers, ... of the network)
  data        task: noise (sigma=[0,75]), small (reduced), blurred (videos), degraded, photographs;
              patch, batch, shrink, turned, frames, draws
  optimizer   steps, rate, warm, average, loss (l1, l2, charbonnier), precision (float32, bfloat16),
              seed
  losses      pixel, perceptual, features, adversarial; for videos warp, motion, pingpong
  adversary   adversary (vgg, unet, film), adversary_sizes.NAME, adversary_rate, relativistic, lead
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the network, the files and the options."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add(
        "network",
        choices=("dncnn", "unet", "ffdnet", "refine", "srresnet", "srvgg", "gan", "vsrgan"),
        help="network to train",
    )
    add(
        "--images",
        required=True,
        metavar="DIR",
        help="directory of photographs, with subdirectories",
    )
    add(
        "--only",
        metavar="FILE",
        help="text file of the photographs to use, one path in DIR on each line",
    )
    add("--out", required=True, metavar="OUT", help="directory for weights, log and checkpoint")
    add("--recipe", metavar="FILE", help="JSON file with the parameters of the training")
    add("--color", action="store_true", help="train for color images; default: see below")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a parameter of the recipe: steps, batch, patch, sigma, rate, sizes.layers, ...",
    )
    add(
        "--films",
        metavar="DIR",
        help="directory of videos, each a subdirectory of frames, to train on as well",
    )
    add(
        "--perceptual",
        metavar="FILE",
        help="weights of SqueezeNet 1.1 (Keras, .h5) for the perceptual loss",
    )
    add("--minutes", type=float, metavar="T", help="stop after T minutes; the same command resumes")
    add("--device", metavar="D", help="cpu, cuda or cuda:1; default: a GPU if available")
    add("--threads", type=int, metavar="N", help="number of CPU threads; default: that of PyTorch")
    add("--tensorboard", action="store_true", help="also write logs for TensorBoard")
    add("-q", "--quiet", action="store_true", help="print only errors")


def run(args: argparse.Namespace) -> None:
    """Train the network."""
    require_torch()
    _check(args)
    recipe, device = _recipe(args), _device(args.device)
    if args.films is not None and recipe.frames == 1:
        raise CommandError(f"--films {args.films} is for vsrgan, not for {args.network}")
    _train(args, recipe, device)


def _check(args: argparse.Namespace) -> None:
    """Check the options before a file is read."""
    if args.minutes is not None and not 0 < args.minutes < math.inf:
        raise CommandError(f"--minutes must be above 0, got {args.minutes:g}")
    if args.threads is not None and args.threads < 1:
        raise CommandError(f"--threads must be 1 or more, got {args.threads}")
    if not Path(args.images).is_dir():
        raise CommandError(f"--images {args.images} is not a directory")
    if args.only is not None and not Path(args.only).is_file():
        raise CommandError(f"--only {args.only}: no such file")
    if args.films is not None and not Path(args.films).is_dir():
        raise CommandError(f"--films {args.films} is not a directory")


class _Training(NamedTuple):
    """What all phases of a training share."""

    args: argparse.Namespace
    device: str
    training_set: Any
    validation_set: Any
    films: Any
    perceptual: Perceptual | None
    start: float  # seconds, on the monotonic clock


def _train(args: argparse.Namespace, recipe: Recipe, device: str) -> None:
    """Read the photographs and train; print the path of the weights."""
    import torch

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    start = time.monotonic()
    perceptual = _perceptual(args, recipe, device)
    try:
        training_set, validation_set, films = _data(args, recipe)
        training = _Training(
            args,
            device,
            training_set=training_set,
            validation_set=validation_set,
            films=films,
            perceptual=perceptual,
            start=start,
        )
        path = _phases(training, recipe)
    except OSError as error:
        where = error.filename or args.out
        cause = str(error) if error.errno is None else f"{where}: {error.strerror}"
        raise CommandError(cause) from None
    except (ValueError, ArithmeticError, RuntimeError, MemoryError) as error:
        raise CommandError(reason(error)) from None
    if not args.quiet:
        print(path or f"stopped after {args.minutes:g} minutes; run the same command to resume")


def _data(args: argparse.Namespace, recipe: Recipe) -> tuple[Any, Any, Any]:
    """Read photographs for training and for validation, and videos."""
    from fastrestore.nets.training import clips, data

    only = None if args.only is None else Path(args.only)
    training, validation = data.split(data.photographs(Path(args.images), recipe.channels, only))
    films = [] if args.films is None else clips.films(Path(args.films), recipe.channels)
    return training, validation, films


def _phases(training: _Training, recipe: Recipe) -> Path | None:
    """Train; a GAN without initial weights first with the pixel loss only."""
    out, path = Path(training.args.out), None
    if recipe.adversary and not recipe.begin:
        path = _phase(training, recipe.by_pixels(), out / "pixels")
        if path is None:
            return None
        recipe = dataclasses.replace(recipe, begin=str(path))
    return _phase(training, recipe, out)


def _phase(training: _Training, recipe: Recipe, out: Path) -> Path | None:
    """Train until the last step or the time limit; None for the latter."""
    from fastrestore.nets.training import loop

    args = training.args
    left = args.minutes and args.minutes - (time.monotonic() - training.start) / 60
    session = loop.Session(
        out,
        training.device,
        left,
        validate_every=max(1, min(1000, recipe.steps // 10)),
        board=args.tensorboard,
        perceptual=training.perceptual,
        videos=training.films,
    )

    def train(report_progress: Callable[[int, int, str], None]) -> Path | None:
        return loop.train(
            recipe, training.training_set, training.validation_set, session, report_progress
        )

    return _with_bar(args, recipe, train)


def _perceptual(args: argparse.Namespace, recipe: Recipe, device: str) -> Perceptual | None:
    """Read the network of the perceptual loss, if the recipe uses it."""
    if not recipe.perceptual:
        return None
    if args.perceptual is None:
        raise CommandError(
            f"the recipe has perceptual={recipe.perceptual:g}, which needs --perceptual with the "
            "weights of SqueezeNet 1.1 in the format of Keras (.h5); or write --set perceptual=0"
        )
    from fastrestore.nets.training.perceptual import Perceptual

    if not Path(args.perceptual).is_file():
        raise CommandError(f"--perceptual {args.perceptual}: no such file")
    try:
        return Perceptual.read(Path(args.perceptual)).to(device)
    except (ImportError, ValueError) as error:
        raise CommandError(str(error)) from None


def _with_bar(
    args: argparse.Namespace, recipe: Recipe, train: Callable[..., Path | None]
) -> Path | None:
    """Train with a progress bar that shows steps, time left and the validation."""
    import tqdm

    with tqdm.tqdm(
        total=recipe.steps, unit="step", disable=args.quiet or not sys.stderr.isatty()
    ) as bar:

        def report_progress(step: int, _: int, text: str) -> None:
            bar.update(step - bar.n)
            bar.set_postfix_str(text, refresh=False)

        return train(report_progress)


def _recipe(args: argparse.Namespace) -> Recipe:
    """Return the recipe: defaults or a file, then --color, --set and --perceptual."""
    from fastrestore.nets.training.recipe import USUAL, Recipe

    numbers: dict[str, Any] = {"network": args.network} | USUAL.get(args.network, {})
    try:
        if args.recipe is not None:
            numbers = dataclasses.asdict(Recipe.read(Path(args.recipe)))
            kind = numbers["network"]
            if numbers["adversary"] and kind != "vsrgan":
                kind = "gan"
            if kind != args.network:
                raise CommandError(f"--recipe {args.recipe} is for {kind}, not {args.network}")
        if args.color:
            numbers["channels"] = 3
        for pair in args.set:
            _set(numbers, pair)
        _enable_perceptual(args, numbers)
        return Recipe.of(numbers)
    except ValueError as error:
        raise CommandError(str(error)) from None


def _enable_perceptual(args: argparse.Namespace, numbers: dict[str, Any]) -> None:
    """Enable the perceptual loss for --perceptual; raise if the recipe disables it."""
    if args.perceptual is None or numbers.get("perceptual"):
        return
    causes = [] if args.recipe is None else [f"--recipe {args.recipe}"]
    causes += [f"--set {pair}" for pair in args.set if pair.partition("=")[0] == "perceptual"]
    if causes:
        raise CommandError(
            f"--perceptual {args.perceptual} would not be used: {causes[-1]} has perceptual=0; "
            "write --set perceptual=1, or leave --perceptual out"
        )
    numbers["perceptual"] = 1.0


def _set(numbers: dict[str, Any], pair: str) -> None:
    """Apply ``NAME=VALUE`` or ``NAME.PART=VALUE``, where the value is JSON or text."""
    from fastrestore._arrays.validate import quoted
    from fastrestore.nets.training.checks import from_json

    name, equals, text = pair.partition("=")
    if not equals:
        raise CommandError(f"--set {pair} is not NAME=VALUE; write for example --set steps=20000")
    try:
        value = from_json(text)
    except json.JSONDecodeError:
        value = text
    except ValueError as error:
        raise CommandError(f"--set {name}: the value is not valid: {error}") from None
    name, dot, inner = name.partition(".")
    if dot and name not in ("sizes", "adversary_sizes"):
        raise CommandError(f"--set {pair}: only sizes and adversary_sizes have parts, not {name}")
    if dot:
        sizes = numbers.get(name, {})
        if not isinstance(sizes, dict):
            raise CommandError(f"--set {pair}: {name} is {quoted(sizes)} and has no parts")
        numbers[name] = {**sizes, inner: value}
    else:
        numbers[name] = value


def _device(device: str | None) -> str:
    """Return the device to train on."""
    import torch

    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        wanted = torch.device(device)
    except RuntimeError:
        raise CommandError(
            f"--device {device} is not a device; write cpu, cuda or cuda:1"
        ) from None
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise CommandError(f"--device {device}: PyTorch finds {torch.cuda.device_count()} GPUs")
    return device
