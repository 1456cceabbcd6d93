"""``fastrestore info``: describe image files."""

import argparse
import os
from pathlib import Path

import numpy as np

from fastrestore._io import images
from fastrestore._io.errors import FileError
from fastrestore.cli.errors import CommandError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files."""
    parser.add_argument("inputs", nargs="+", metavar="IN", help="input images")


def run(args: argparse.Namespace) -> None:
    """Print one line for each file, and at the end the errors of unreadable ones."""
    errors = []
    for name in args.inputs:
        try:
            print(_description(name))
        except FileError as error:
            errors.append(str(error))
    if errors:
        raise CommandError("; ".join(errors))


def _description(name: str) -> str:
    """Return name, size, type and range of an image."""
    picture = images.read(Path(name))
    image = picture.values
    height, width = image.shape[:2]
    layout = "" if image.ndim == 2 else f"{image.shape[2]} channels, "
    layout += "" if picture.alpha is None else "alpha, "
    # Bytes of a file name that are not text are escaped.
    shown = os.fsencode(name).decode(errors="backslashreplace")
    return (
        f"{shown}: {height} x {width}, {layout}{image.dtype}, "
        f"min {image.min()}, max {image.max()}, mean {image.mean(dtype=np.float64):.6g}"
    )
