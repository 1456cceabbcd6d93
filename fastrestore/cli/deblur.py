"""``fastrestore deblur``: undo a known blur."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import fastrestore
from fastrestore._io import images
from fastrestore._io.images import Image
from fastrestore.cli import batch, noise, options
from fastrestore.cli.errors import CommandError

EPILOG = """\
examples:
  fastrestore deblur blurred.png -o sharp.png --psf psf.npy --sigma 2/255
  fastrestore deblur *.tif -o sharp/ --psf psf.png --sigma auto --boundary taper
  fastrestore deblur blurred.png -o sharp.png --psf psf.npy --sigma 0.01 --method pnp

--psf is what a point of light becomes, its middle being where the point was, no larger than the
picture. Floats have to sum to 1; a picture of integers is divided by its sum. Noise came after the
blur. Beyond the border lies the mirrored picture (reflect), the opposite border (periodic, as in
simulations by Fourier transforms), or nobody knows (taper: where reflect leaves stripes). --sigma
that is too little makes noise large; if in doubt take more, or auto.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    options.add_files(parser)
    options.add_channel_axis(parser)
    options.add_data_range(parser)
    add = parser.add_argument
    add("--psf", required=True, metavar="FILE", help="what a point becomes: a picture, or NPY")
    options.add_optional_sigma(parser, "auto")
    add("--method", choices=("bm3d", "pnp"), default="bm3d", help="default: bm3d")
    add(
        "--boundary",
        choices=("reflect", "periodic", "taper"),
        default="reflect",
        help="what lies beyond the border, see below; default: reflect",
    )
    add(
        "--denoiser",
        choices=("bm3d", "unet", "hybrid"),
        help="of --method pnp; networks need PyTorch; default: bm3d",
    )
    options.add_profile(parser, "np")
    options.add_execution(parser)


def run(args: argparse.Namespace) -> None:
    """Deblur file by file."""
    noise.check(args)
    if args.denoiser is not None and args.method != "pnp":
        raise CommandError(f"--denoiser {args.denoiser} needs --method pnp; add it")
    psf = read_psf(Path(args.psf))

    def restore(image: Image, source: Path) -> Any:
        return fastrestore.deblur(
            image,
            psf,
            batch.sigma_of(args, image, source),
            method=args.method,
            boundary=args.boundary,
            denoiser=args.denoiser,
            **batch.common_arguments(args, image),
        )

    batch.restore_images(args, restore)


def read_psf(path: Path) -> Image:
    """Read a point spread function; integers, which have no units, are divided by their sum."""
    values = images.read(path).values
    if values.ndim != 2:
        raise CommandError(
            f"{path}: a point spread function has two axes, this file has shape {values.shape}"
        )
    if values.dtype.kind == "f":
        return values
    total = int(values.sum(dtype=np.int64))
    if total <= 0:
        raise CommandError(f"{path}: the point spread function is all 0")
    return values / total
