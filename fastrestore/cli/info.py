"""``fastrestore info``: describe files of images, stacks and videos, and noise of images."""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
from pathlib import Path
from typing import Any

import numpy as np

import fastrestore
from fastrestore._io import files, films, images
from fastrestore._io.errors import FileError
from fastrestore._io.images import Picture
from fastrestore._io.volumes import NIFTI
from fastrestore._noise import blind
from fastrestore._noise.choice import MODELS, Choice
from fastrestore._noise.spec_file import as_json
from fastrestore._noise.spec_text import WIDTH, lines
from fastrestore.cli import info_noise, info_stacks, options
from fastrestore.cli.commands import PROGRAM
from fastrestore.cli.errors import CommandError, explained, status_of
from fastrestore.cli.info_noise import Estimate
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


def run(args: argparse.Namespace) -> int:
    """Describe each file, and at the end print the errors of unreadable ones."""
    _check(args)
    found: list[dict[str, Any]] = []
    errors: list[str] = []
    specs = []
    for name in args.inputs:
        try:
            _check_file(name)
            if info_stacks.is_described(name):
                specs += _report_stack(name, args, found)
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
    if errors and args.save:
        raise CommandError("; ".join([*errors, f"{args.save} was not written"]))
    if args.save:
        with explained("--save"):
            fastrestore.NoiseSpec.pool(specs).save(args.save)
    return status_of(errors, len(args.inputs))


def _report_stack(
    name: str, args: argparse.Namespace, found: list[dict[str, Any]]
) -> list[fastrestore.NoiseSpec]:
    """Print a stack, a volume or a film, or add it to those for JSON; return its noise to save."""
    fields = info_stacks.describe(name)
    noise = info_noise.of_file(name, args.model or "auto") if args.noise else []
    specs = [info_noise.spec_of(name, noise)] if args.save else []
    if args.json:
        objects = [_estimate_object(each) for each in noise]
        several = {"noise": objects[0] if len(objects) == 1 else objects} if objects else {}
        found.append({"file": _shown(name), **fields, **several})
        return specs
    lines = [line for each in noise for line in _estimate_lines(each)]
    print(f"{_shown(name)}: " + "\n".join([*info_stacks.lines(fields), *lines]))
    return specs


def _estimate_lines(found: Estimate) -> list[str]:
    """Describe the noise of a stack or film, or of one channel."""
    first, *rest = _noise_lines(found.choice)
    rows = [f"  {'from':{WIDTH}}{found.source}"]
    if found.chroma:
        levels = ", ".join(f"{level:.3g}" for level in found.chroma)
        rows.append(f"  {'chroma':{WIDTH}}white, sigma {levels}")
    label = f"{found.channel}: " if found.channel else ""
    return [first[: WIDTH + 2] + label + first[WIDTH + 2 :], *rows, *rest]


def _estimate_object(found: Estimate) -> dict[str, Any]:
    """Return the noise of a stack or film, or of one channel, as JSON."""
    fields = {"channel": found.channel, "from": found.source, "chroma": list(found.chroma)}
    return {name: value for name, value in fields.items() if value} | _noise_object(found.choice)


def _check(args: argparse.Namespace) -> None:
    """Check the options before a file is read."""
    if not args.noise and (args.save or args.model):
        raise CommandError(f"{'--save' if args.save else '--model'} needs --noise")
    if args.save:
        if not args.save.lower().endswith(".npz"):
            raise CommandError(f"--save {args.save} does not end in .npz")
        check_overwrite(Path(args.save), overwrite=args.overwrite)


def _check_file(name: str) -> None:
    """Raise if a file is a directory, or of an unknown format."""
    path = Path(name)
    if path.is_dir():
        words = shlex.quote(_shown(name).rstrip(os.sep))
        raise CommandError(f"{_shown(name)} is a directory; `{PROGRAM} {words}` describes it, and "
                           f"`{PROGRAM} info {words}/*` its files")  # fmt: skip
    if not films.is_sequence(name):
        files.check_input(path, (*images.readable_extensions(), *NIFTI, *films.EXTENSIONS))


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
