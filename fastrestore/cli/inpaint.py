"""``fastrestore inpaint``: fill in missing pixels."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import fastrestore
from fastrestore._io import images
from fastrestore._io.images import Image
from fastrestore._io.picture import as_stored, displayed
from fastrestore.cli import noise, options, restoring
from fastrestore.cli.batch import Details
from fastrestore.cli.errors import CommandError
from fastrestore.cli.noise import Sigma

EPILOG = """\
examples:
  fastrestore inpaint scratched.png -o restored.png --mask scratches.png
  fastrestore inpaint dead.tif -o restored.tif --mask pixels.npy --sigma 5/255
  fastrestore inpaint photo.png -o restored.png --mask hole.png --model lama.safetensors

The mask has the shape of the images as viewers show them, turned as their EXIF says. Pixels are
missing where the mask is not 0. If the mask has transparent pixels, all pixels are missing where it
is not transparent. With --sigma 0 the known
pixels are not changed; --strength has a meaning only with another level.
"""
# Options that networks do not use, and their defaults
BM3D_ONLY = {
    "sigma": "0",
    "strength": 1.0,
    "iterations": 16,
    "profile": "lc",
    "workers": None,
    "backend": None,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    options.add_files(parser, required="--mask FILE [options]")
    options.add_channel_axis(parser)
    options.add_data_range(parser)
    parser.add_argument(
        "--mask",
        required=True,
        metavar="FILE",
        help="image that is not black where pixels are missing",
    )
    options.add_optional_sigma(parser, "0", auto=False)
    options.add_strength(parser, "--sigma")
    add = options.group(parser, options.METHOD).add_argument
    add("--iterations", type=int, default=16, metavar="N", help="number of iterations; default: 16")
    add("--model", metavar="FILE", help="weights of a network such as LaMa, to use instead of bm3d")
    options.add_network(parser)
    options.add_profile(parser, "lc")
    options.add_execution(parser)


def run(args: argparse.Namespace) -> int:
    """Fill in file by file."""
    noise.check(args)
    if args.sigma == "auto":
        raise CommandError(
            "--sigma auto cannot distinguish missing pixels from noise; write a number, "
            "0 for no noise"
        )
    _check_unused(args)
    if args.strength != 1 and Sigma.parse(args).value == 0:
        raise CommandError(
            f"--strength {args.strength:g} multiplies --sigma, which is 0; add --sigma"
        )
    mask = read_mask(Path(args.mask))
    net = restoring.load_network(args.model)

    def restore(image: Image, source: Path, details: Details) -> Any:
        missing = as_stored(mask, details.get("orientation", 1))
        if net is not None:
            used = restoring.network_arguments(args, image)
            details["method"] = args.model
            show = options.show_progress(args)
            return fastrestore.inpaint(image, missing, model=net, progress=show, **used)
        sigma = args.strength * (restoring.sigma_of(args, image, source) or 0.0)
        details |= restoring.given(args, sigma)
        common = restoring.common_arguments(args, image)
        return fastrestore.inpaint(image, missing, sigma, iterations=args.iterations, **common)

    return restoring.restore_images(args, restore)


def _check_unused(args: argparse.Namespace) -> None:
    """Raise on options that are not used with, or without, a network."""
    unused = {"tile": None, "device": None} if args.model is None else BM3D_ONLY
    for name, default in unused.items():
        if getattr(args, name) != default:
            why = "needs --model" if args.model is None else "is for bm3d, not for --model"
            raise CommandError(f"{options.spelled(name)} {why}")


def read_mask(path: Path) -> Any:
    """Read a mask as viewers show it: True where a pixel is not black, or not transparent."""
    if images.is_lossy(path):
        raise CommandError(f"{path}: JPEG adds artifacts around marks; save the mask as PNG")
    picture = images.read(path, booleans=True)
    if picture.alpha is not None and (picture.alpha == 0).any():
        mask = picture.alpha != 0  # painted on a transparent layer
    else:
        mask = picture.values != 0
        if mask.ndim == 3:  # any color marks a pixel
            mask = mask.any(-1)
    if not mask.any():
        raise CommandError(f"{path}: the mask is all black, so no pixel is missing")
    return displayed(mask, picture.orientation)
