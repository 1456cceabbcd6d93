"""``fastrestore sharpen``: sharpen and denoise images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import fastrestore
from fastrestore._io.images import Image
from fastrestore.cli import noise, options, outcomes, restoring
from fastrestore.cli.batch import Details

EPILOG = """\
examples:
  fastrestore sharpen soft.png -o sharp.png
  fastrestore sharpen soft.png -o sharp.png --sigma 5/255 --alpha 1.3

The noise is estimated from each image, with its spectrum, so that the noise of cameras is not
sharpened. For photographs --alpha 1.1 to 1.3 is enough, for very soft ones 1.5. Larger values
cause halos at edges. --alpha is how much is sharpened, and --strength how much noise is assumed:
0.7 keeps and sharpens more faint details, with more noise.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    options.add_files(parser)
    options.add_channel_axis(parser)
    options.add_data_range(parser)
    options.add_optional_sigma(parser, "auto")
    options.add_strength(parser)
    parser.add_argument(
        "--alpha",
        type=float,
        default=1.2,
        metavar="X",
        help="amount of sharpening; 1 only denoises; default: 1.2",
    )
    options.add_profile(parser, "np")
    options.add_execution(parser)


def run(args: argparse.Namespace) -> int:
    """Sharpen file by file."""
    noise.check(args)

    def restore(image: Image, source: Path, details: Details) -> Any:
        sigma = restoring.sigma_of(args, image, source)
        common = restoring.common_arguments(args, image)
        result, info = fastrestore.sharpen(
            image, sigma, args.alpha, strength=args.strength, return_info=True, **common
        )
        details |= outcomes.details_of(info)
        details |= restoring.given(args, sigma) | {"alpha": args.alpha}
        return result

    return restoring.restore_images(args, restore)
