"""``fastrestore info``: what is in an image file."""

import argparse
import os
from pathlib import Path

import numpy as np

from fastrestore.cli._io import read


def run(args: argparse.Namespace) -> None:
    """Print one line for each file."""
    for name in args.inputs:
        image = read(Path(name))
        height, width = image.shape
        # A file name need not be text; what is not is escaped.
        shown = os.fsencode(name).decode(errors="backslashreplace")
        print(
            f"{shown}: {height} x {width}, {image.dtype}, "
            f"min {image.min()}, max {image.max()}, mean {image.mean(dtype=np.float64):.6g}"
        )
