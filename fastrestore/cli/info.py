"""``fastrestore info``: what is in an image file."""

import argparse
import os
from pathlib import Path

import numpy as np

from fastrestore._io.errors import CliError
from fastrestore._io.images import read


def run(args: argparse.Namespace) -> None:
    """Print one line for each file; a file that cannot be read does not hide those after it."""
    errors = []
    for name in args.inputs:
        try:
            picture = read(Path(name))
        except CliError as error:
            errors.append(str(error))
            continue
        image = picture.values
        height, width = image.shape[:2]
        layout = "" if image.ndim == 2 else f"{image.shape[2]} channels, "
        layout += "" if picture.alpha is None else "alpha, "
        # A file name need not be text; what is not is escaped.
        shown = os.fsencode(name).decode(errors="backslashreplace")
        print(
            f"{shown}: {height} x {width}, {layout}{image.dtype}, "
            f"min {image.min()}, max {image.max()}, mean {image.mean(dtype=np.float64):.6g}"
        )
    if errors:
        raise CliError("; ".join(errors))
