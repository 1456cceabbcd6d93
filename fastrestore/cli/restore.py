"""``fastrestore restore``: remove noise, and blur or missing pixels if there are any."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np

import fastrestore
from fastrestore._io.images import Image
from fastrestore._io.picture import as_stored
from fastrestore.cli import commands, denoise, noise, options, restoring, stack
from fastrestore.cli.batch import Details
from fastrestore.cli.deblur import read_psf
from fastrestore.cli.errors import CommandError
from fastrestore.cli.inpaint import read_mask

EPILOG = """\
examples:
  fastrestore restore photo.jpg                       noise, whatever it is
  fastrestore restore photos -o restored --recursive
  fastrestore restore film.mp4
  fastrestore restore scan.png --mask scratches.png   noise and missing pixels
  fastrestore restore soft.tif --blur 1.5             noise and a blur
  fastrestore restore blurred.tif --psf psf.tif       noise and a blur that is known exactly

Without --mask, --blur and --psf the noise is estimated and removed, as by `fastrestore denoise`,
which has more options. An image without noise is not changed. --sigma and --noise specify the noise
as in `fastrestore denoise --help`.

--mask is an image that is not black where pixels are missing: scratches, dust, dead pixels, text.
--blur is the standard deviation in pixels of a Gaussian, for example 0.7 for a soft lens and 2 for
bad focus. Too large a value causes halos at edges; --compare shows them. --psf is the image of a
point of light. Both are for images and stacks, not for videos.

Compression artifacts need a network, see `fastrestore denoise --help`; larger images are made by
`fastrestore upscale`.
"""
EXTENT = 4  # standard deviations of a Gaussian on each side of its center
LARGEST = 50.0  # pixels, of --blur


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    options.add_files(parser, "images, volumes, videos")
    add = parser.add_argument
    add("--mask", metavar="FILE", help="image that is not black where pixels are missing")
    add("--blur", type=float, metavar="X", help="standard deviation of a Gaussian blur, in pixels")
    add("--psf", metavar="FILE", help="point spread function of the blur: an image or NPY file")
    options.add_sigma(parser)
    options.add_noise_model(parser)
    options.add_channel_axis(parser)
    stack.add_kind(parser)
    options.add_data_range(parser)
    options.add_execution(parser)


def run(args: argparse.Namespace) -> int:
    """Restore file by file."""
    args = _with_defaults(args)
    noise.check(args)
    if args.mask is None and args.blur is None and args.psf is None:
        return denoise.run(args)
    _check(args)
    psf = _psf(args)
    mask = _mask(args.mask)

    def restore(image: Image, source: Path, details: Details) -> Any:
        missing = None if mask is None else as_stored(mask, details.get("orientation", 1))
        if psf is None:
            return _filled(image, missing, source, args, details)
        return _deblurred(image, missing, psf, source, args, details)

    return restoring.restore_images(args, restore)


def _with_defaults(args: argparse.Namespace) -> argparse.Namespace:
    """Return the arguments with the defaults of `fastrestore denoise` for the others."""
    parser = commands.parsers(commands.parser_of("denoise"))["denoise"]
    defaults = {action.dest: action.default for action in parser._actions if action.dest != "help"}
    return argparse.Namespace(**(defaults | vars(args)))


def _check(args: argparse.Namespace) -> None:
    """Raise on options that do not suit each other."""
    values = {"mask": args.mask, "blur": args.blur, "psf": args.psf}
    given = [f"--{name} {_text(value)}" for name, value in values.items() if value is not None]
    if args.blur is not None and args.psf is not None:
        raise CommandError(f"specify the blur once: got both {given[-2]} and {given[-1]}")
    if args.kind in ("film", "volume"):
        raise CommandError(f"{given[0]} is for images; leave --as {args.kind} out")
    if args.blur is not None and not 0 < args.blur <= LARGEST:
        raise CommandError(
            f"{given[-1]} is not a positive number of pixels, of at most {LARGEST:g}"
        )
    if args.blur is None and args.psf is None:
        return
    if args.noise is not None:
        raise CommandError(
            f"--noise {args.noise} does not apply to blurred images, whose noise is white; use "
            "--sigma"
        )


def _text(value: str | float) -> str:
    """Return the value of an option as it may have been written."""
    return value if isinstance(value, str) else f"{value:g}"


def _mask(name: str | None) -> Any:
    """Return which pixels are missing, or None for none."""
    mask = None if name is None else read_mask(Path(name))
    if mask is not None and mask.all():
        raise CommandError(f"{name}: no pixel is black, so all pixels are missing")
    return mask


def _psf(args: argparse.Namespace) -> Image | None:
    """Return the point spread function, or None for no blur."""
    if args.psf is not None:
        return read_psf(Path(args.psf))
    return None if args.blur is None else gaussian(args.blur)


def gaussian(sigma: float) -> Image:
    """Return a Gaussian point spread function."""
    reach = math.ceil(EXTENT * sigma)
    profile = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    values: Image = np.outer(profile, profile) / profile.sum() ** 2
    return values


def _filled(
    image: Image, mask: Any, source: Path, args: argparse.Namespace, details: Details
) -> Any:
    """Remove the noise of the known pixels, and fill in the others from them."""
    common = restoring.common_arguments(args, image)
    valid = ~mask if image.ndim == 2 else ~mask[..., None]
    specification = noise.of_image(args, image, source)

    def remove_noise(**used: Any) -> Any:
        return fastrestore.bm3d(image, mask=valid, **used, **common)

    result = noise.call(remove_noise, specification, details)
    details |= {"method": "bm3d and inpainting", "profile": args.profile}
    common.pop("profile")
    return fastrestore.inpaint(result, mask, **common)


def _deblurred(
    image: Image,
    mask: Any,
    psf: Image,
    source: Path,
    args: argparse.Namespace,
    details: Details,
) -> Any:
    """Fill in missing pixels, and remove blur and noise."""
    if args.blur is not None and min(image.shape[:2]) < len(psf):
        raise CommandError(
            f"{source}: --blur {args.blur:g} needs an image of at least {len(psf)} x {len(psf)} "
            "pixels"
        )
    common = restoring.common_arguments(args, image)
    sigma = None if args.sigma is None else restoring.sigma_of(args, image, source)
    details |= restoring.given(args, sigma) | {"method": "deblurring"}
    values = image
    if mask is not None:
        rest = {name: value for name, value in common.items() if name != "profile"}
        values = fastrestore.inpaint(image, mask, **rest)
        details["method"] = "inpainting and deblurring"
    return fastrestore.deblur(values, psf, sigma, strength=args.strength, **common)
