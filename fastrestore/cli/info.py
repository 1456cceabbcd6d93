"""``fastrestore info``: describe files of images, stacks and videos, and noise of images."""

from __future__ import annotations

import argparse
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

import fastrestore
from fastrestore._io import images
from fastrestore._io.errors import FileError
from fastrestore._io.images import Picture
from fastrestore._noise import blind
from fastrestore._noise.choice import MODELS, Choice
from fastrestore._noise.spec_file import as_json
from fastrestore._noise.spec_text import WIDTH, lines
from fastrestore.cli import info_stacks, options
from fastrestore.cli.errors import CommandError, explained
from fastrestore.cli.paths import check_overwrite

EPILOG = """\
examples:
  fastrestore info photo.png stack.tif film.mp4
  fastrestore info --noise photo.png
  fastrestore info --noise *.png --save camera.npz     the mean of images of one camera setting
  fastrestore denoise photo.png -o clean.png --noise camera.npz
"""
WORDS = {
    "white": "white, with a constant level",
    "signal-dependent": "signal-dependent: white, with a level that depends on the brightness",
    "correlated": "correlated, with a constant level",
    "camera": "camera: correlated, with a level that depends on the brightness",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add("inputs", nargs="+", metavar="IN", help="images, stacks, volumes and videos")
    add("--noise", action="store_true", help="estimate the noise, in the units of the files")
    choices = ", ".join(MODELS)
    add("--model", choices=MODELS, metavar="NAME", help=f"model for --noise: {choices}")
    add("--save", metavar="SPEC.npz", help="file for the noise, the mean of all IN, of --noise")
    add("--overwrite", action="store_true", help="replace SPEC.npz if it exists")
    add("--json", action="store_true", help="print a JSON list with an object for each file")
    options.add_channel_axis(parser)


def run(args: argparse.Namespace) -> None:
    """Describe each file, and at the end print the errors of unreadable ones."""
    _check(args)
    found: list[dict[str, Any]] = []
    errors, specs = [], []
    for name in args.inputs:
        try:
            if info_stacks.is_described(name):
                _report_stack(name, args, found)
                continue
            picture, choice = _read(name, args)
        except (FileError, CommandError) as error:
            errors.append(str(error))
            continue
        specs += [] if choice is None else [choice.spec]
        if args.json:
            found.append(_object(name, picture, choice))
        else:
            print("\n".join([description(name, picture), *_noise_lines(choice)]))
    if args.json:
        print(json.dumps(found, indent=2))
    if errors:
        raise CommandError("; ".join(errors))
    if args.save:
        with explained("--save"):
            fastrestore.NoiseSpec.pool(specs).save(args.save)


def _report_stack(name: str, args: argparse.Namespace, found: list[dict[str, Any]]) -> None:
    """Print the properties of a stack, a volume or a film, or add them to those for JSON."""
    if args.noise:
        raise CommandError(f"{name}: --noise is for images; leave it out for stacks and videos")
    fields = info_stacks.describe(name)
    found.append({"file": _shown(name), **fields})
    if not args.json:
        print(f"{_shown(name)}: " + "\n".join(info_stacks.lines(fields)))


def _check(args: argparse.Namespace) -> None:
    """Check the options before a file is read."""
    if not args.noise and (args.save or args.model):
        raise CommandError(f"{'--save' if args.save else '--model'} needs --noise")
    if args.save:
        if not args.save.lower().endswith(".npz"):
            raise CommandError(f"--save {args.save} does not end in .npz")
        check_overwrite(Path(args.save), overwrite=args.overwrite)


def _read(name: str, args: argparse.Namespace) -> tuple[Picture, Choice | None]:
    """Read a file, and estimate its noise if that is wanted."""
    if not args.noise:
        return images.read(Path(name)), None
    picture = images.read_channels_last(Path(name), args.channel_axis)
    axis = None if picture.values.ndim == 2 else -1
    with explained(name):
        return picture, blind.choice_of(picture.values, axis, None, args.model or "auto")


def _shown(name: str) -> str:
    """Return a file name; bytes that are not text are escaped."""
    return os.fsencode(name).decode(errors="backslashreplace")


def description(name: str, picture: Picture) -> str:
    """Return name, size, type and range of an image."""
    image = picture.values
    height, width = image.shape[:2]
    layout = "" if image.ndim == 2 else f"{image.shape[2]} channels, "
    layout += "" if picture.alpha is None else "alpha, "
    return (
        f"{_shown(name)}: {height} x {width}, {layout}{image.dtype}, "
        f"min {image.min()}, max {image.max()}, mean {image.mean(dtype=np.float64):.6g}"
    )


def _noise_lines(choice: Choice | None) -> list[str]:
    """Describe the noise."""
    if choice is None:
        return []
    words = WORDS[choice.spec.model] if choice.spec.sigma.any() else "none"
    first = [f"{'noise':{WIDTH}}{words}", f"{'reason':{WIDTH}}{choice.reason}"]
    return [f"  {line}" for line in first + lines(choice.spec)]


def _object(name: str, picture: Picture, choice: Choice | None) -> dict[str, Any]:
    """Return the description of a file as JSON."""
    image = picture.values
    values = (image.min(), image.max(), image.mean(dtype=np.float64))
    statistics = dict(zip(("min", "max", "mean"), map(_number, values), strict=True))
    fields = {
        "file": _shown(name),
        "height": image.shape[0],
        "width": image.shape[1],
        "channels": 1 if image.ndim == 2 else image.shape[2],
        "alpha": picture.alpha is not None,
        "dtype": str(image.dtype),
        **statistics,
    }
    return fields if choice is None else {**fields, "noise": _noise_object(choice)}


def _number(value: Any) -> float | None:
    """Return a number that JSON can represent."""
    number = float(value)
    return number if math.isfinite(number) else None


def _noise_object(choice: Choice) -> dict[str, Any]:
    """Return the noise as JSON, without its spectrum."""
    spec = choice.spec
    arrays = {name: getattr(spec, name) for name in ("sigma", "brightness", "levels")}
    return {
        "model": spec.model,
        "reason": choice.reason,
        **{name: array.tolist() for name, array in arrays.items()},
        "correlation": spec.correlation.tolist(),
        "distribution": as_json(spec.distribution),
    }
