"""``fastrestore deblur``: undo a known blur."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import fastrestore
from fastrestore._io import images
from fastrestore._io.images import Image
from fastrestore.cli import noise, options, restoring
from fastrestore.cli.batch import Details
from fastrestore.cli.errors import CommandError

EPILOG = """\
examples:
  fastrestore deblur blurred.png -o sharp.png --psf psf.npy --sigma 2/255
  fastrestore deblur *.tif -o sharp/ --psf psf.png --sigma auto --boundary unknown
  fastrestore deblur blurred.png -o sharp.png --psf psf.npy --sigma 0.01 --method pnp

--psf is the point spread function, the image of a point of light. Its center is the middle of the
array, and it must not be larger than the image. Floats must sum to 1; integers are divided by their
sum. A color image is accepted if its channels are equal.

--sigma is the level of the noise, which is added after the blur. A value that is too small
amplifies the noise; if in doubt, use a larger value or auto. --strength 0.7 treats the noise as
weaker than estimated or given: the result is sharper and noisier. 1.5 gives a smoother one.

--boundary is the assumption about the image beyond its border: mirrored (reflect); continued at the
opposite border (periodic), as in simulations with Fourier transforms; unknown and estimated
(unknown); or unknown and blended (taper), which is faster and less accurate. auto chooses reflect
or periodic if the image agrees with it, and otherwise unknown.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    options.add_files(parser, required="--psf FILE [options]")
    options.add_channel_axis(parser)
    options.add_data_range(parser)
    parser.add_argument(
        "--psf",
        required=True,
        metavar="FILE",
        help="point spread function: an image or NPY file; see below",
    )
    options.add_optional_sigma(parser, "auto")
    options.add_strength(parser)
    add = options.group(parser, options.METHOD).add_argument
    add(
        "--method",
        choices=("bm3d", "pnp"),
        default="bm3d",
        help="bm3d: BM3D deblurring; pnp: plug-and-play; default: bm3d",
    )
    add(
        "--boundary",
        choices=("auto", "unknown", "reflect", "periodic", "taper"),
        default="auto",
        help="image beyond its border; see below; default: auto",
    )
    add(
        "--denoiser",
        choices=("bm3d", "unet", "hybrid"),
        help="denoiser for --method pnp; networks need PyTorch; default: bm3d",
    )
    options.add_profile(parser, "np")
    options.add_execution(parser)


def run(args: argparse.Namespace) -> int:
    """Deblur file by file."""
    noise.check(args)
    if args.denoiser is not None and args.method != "pnp":
        raise CommandError(f"--denoiser {args.denoiser} needs --method pnp; add it")
    psf = read_psf(Path(args.psf))

    def restore(image: Image, source: Path, details: Details) -> Any:
        sigma = restoring.sigma_of(args, image, source)
        details |= restoring.given(args, sigma)
        return fastrestore.deblur(
            image,
            psf,
            sigma,
            strength=args.strength,
            method=args.method,
            boundary=args.boundary,
            denoiser=args.denoiser,
            **restoring.common_arguments(args, image),
        )

    return restoring.restore_images(args, restore)


def read_psf(path: Path) -> Image:
    """Read a point spread function; integers are divided by their sum."""
    values = _gray(images.read(path).values, path)
    if values.dtype.kind == "f":
        return _checked(values, path)
    total = int(values.sum(dtype=np.int64))
    if total <= 0:
        raise CommandError(f"{path}: the point spread function is all 0")
    return values / total


def _gray(values: Image, path: Path) -> Image:
    """Return a point spread function of two axes; equal channels are one."""
    if values.ndim == 3 and (values == values[..., :1]).all():
        return values[..., 0]
    if values.ndim == 3:
        raise CommandError(f"{path}: the planes or channels of the point spread function of shape "
                           f"{values.shape} differ; save one of two axes, as .npy or as a gray "
                           "image")  # fmt: skip
    if values.ndim != 2:
        raise CommandError(
            f"{path}: a point spread function must have two axes, got shape {values.shape}"
        )
    return values


def _checked(values: Image, path: Path) -> Image:
    """Raise if a point spread function has values that a blur cannot have."""
    if not np.isfinite(values).all():
        raise CommandError(f"{path}: the point spread function has values that are not finite; "
                           "set them to 0")  # fmt: skip
    if (values < 0).any():
        raise CommandError(f"{path}: the point spread function has negative values, such as "
                           f"{values.min():g}; set them to 0")  # fmt: skip
    return values
