"""``fastrestore inpaint``: fill in missing pixels."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import fastrestore
from fastrestore._io import images
from fastrestore._io.images import Image
from fastrestore.cli import batch, noise, options
from fastrestore.cli.errors import CommandError

EPILOG = """\
examples:
  fastrestore inpaint scratched.png -o restored.png --mask scratches.png
  fastrestore inpaint dead.tif -o restored.tif --mask pixels.npy --sigma 5/255

The mask has the shape of the images. Pixels are missing where the mask is not 0. If the mask has
transparent pixels, all pixels are missing where it is not transparent. With --sigma 0 the known
pixels are not changed.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    options.add_files(parser)
    options.add_channel_axis(parser)
    options.add_data_range(parser)
    add = parser.add_argument
    add(
        "--mask",
        required=True,
        metavar="FILE",
        help="image that is not black where pixels are missing",
    )
    options.add_optional_sigma(parser, "0", auto=False)
    add("--iterations", type=int, default=16, metavar="N", help="number of iterations; default: 16")
    options.add_profile(parser, "lc")
    options.add_execution(parser)


def run(args: argparse.Namespace) -> None:
    """Fill in file by file."""
    noise.check(args)
    if args.sigma == "auto":
        raise CommandError(
            "--sigma auto cannot distinguish missing pixels from noise; write a number, "
            "0 for no noise"
        )
    mask = read_mask(Path(args.mask))

    def restore(image: Image, source: Path) -> Any:
        sigma = batch.sigma_of(args, image, source) or 0.0
        common = batch.common_arguments(args, image)
        return fastrestore.inpaint(image, mask, sigma, iterations=args.iterations, **common)

    batch.restore_images(args, restore)


def read_mask(path: Path) -> Any:
    """Read a mask: True where a pixel is not black, or, with transparency, not transparent."""
    if images.is_lossy(path):
        raise CommandError(f"{path}: JPEG adds artifacts around marks; save the mask as PNG")
    picture = images.read(path)
    if picture.alpha is not None and (picture.alpha == 0).any():
        mask = picture.alpha != 0  # painted on a transparent layer
    else:
        mask = picture.values != 0
        if mask.ndim == 3:  # any color marks a pixel
            mask = mask.any(-1)
    if not mask.any():
        raise CommandError(f"{path}: the mask is all black, so no pixel is missing")
    return mask
