"""``fastrestore demosaic``: color images from Bayer mosaics."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import fastrestore
from fastrestore._io import images
from fastrestore._io.formats import format_of
from fastrestore._io.images import Image
from fastrestore.cli import noise, options, restoring
from fastrestore.cli.batch import Details
from fastrestore.cli.errors import CommandError
from fastrestore.cli.kinds import Kind

PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
EPILOG = """\
examples:
  fastrestore demosaic raw.tif
  fastrestore demosaic frames -o color --pattern GRBG
  fastrestore demosaic raw.png -o color.png --sigma 3/255

A mosaic is an image of one channel with one color at each pixel. --pattern has the colors of the
first two pixels of the first row, then of the second row. The noise is estimated, and removed; with
--sigma 0 the known values are not changed. The result is RGB in the units of the mosaic: black
level, white balance and color space are not changed.

Camera raw files are developed by LibRaw when they are read, so that they have colors already; use
`fastrestore denoise`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    options.add_files(parser)
    add = parser.add_argument
    text = "colors of the first two rows; default: RGGB"
    add("--pattern", type=str.upper, choices=PATTERNS, default="RGGB", help=text)
    options.add_data_range(parser)
    options.add_optional_sigma(parser, "auto")
    options.add_strength(parser)
    add = options.group(parser, options.METHOD).add_argument
    add("--iterations", type=int, default=8, metavar="N", help="number of iterations; default: 8")
    options.add_profile(parser, "lc")
    options.add_execution(parser)
    parser.set_defaults(channel_axis=None)


def run(args: argparse.Namespace) -> int:
    """Demosaic file by file."""
    noise.check(args)
    if args.iterations < 0:
        raise CommandError(f"--iterations {args.iterations} is not a number of 0 or more")

    def restore(image: Image, source: Path, details: Details) -> Any:
        if image.ndim != 2:
            raise CommandError(_not_a_mosaic(source, image))
        sigma = restoring.sigma_of(args, image, source)
        details |= {"pattern": args.pattern, **restoring.given(args, sigma)}
        if sigma is None:
            sigma = sigma_of_mosaic(image)
            details["noise"] = {"model": "white", "sigma": [sigma], "estimated": True}
        common = restoring.common_arguments(args, image)
        del common["channel_axis"]
        return fastrestore.demosaic(
            image, args.pattern, args.strength * sigma, iterations=args.iterations, **common
        )

    return restoring.restore_images(args, restore, Kind(name=output_name))


def _not_a_mosaic(source: Path, image: Image) -> str:
    """Return the message for a color image."""
    found = f"has {image.shape[2]} channels, and a mosaic has one"
    if format_of(source).library == "rawpy":
        found = "is a camera raw file, which has colors already when it is read"
    return f"{source} {found}; to remove its noise, use `fastrestore denoise`"


def sigma_of_mosaic(mosaic: Image) -> float:
    """Estimate the noise of a mosaic from its four images of one color; 0 if it has NaN."""
    if not np.isfinite(mosaic).all():
        return 0.0
    rows, columns = (n // 2 * 2 for n in mosaic.shape)
    pixels = [mosaic[i:rows:2, k:columns:2] for i in (0, 1) for k in (0, 1)]
    levels = fastrestore.estimate_sigma(np.stack(pixels, -1), channel_axis=-1)
    return float(np.sqrt(np.square(levels).mean()))


def output_name(path: Path) -> str:
    """Return the name for a result; PGM files have no colors."""
    name = images.output_name(path)
    return Path(name).with_suffix(".ppm").name if name.lower().endswith(".pgm") else name
