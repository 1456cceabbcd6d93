"""``fastrestore denoise``: remove noise from images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import fastrestore
from fastrestore._io.images import Image
from fastrestore.cli import batch, noise, options
from fastrestore.cli.errors import CommandError, require_torch

EPILOG = """\
how the noise is told, in one of these ways:
  integer file   --sigma 25/255                   a fraction of the type's maximum
                 --sigma 25 --sigma-scale 8bit    on the scale 0..255, whatever the type
                 --sigma 25 --sigma-scale native  in the file's own grey levels
  float file     --sigma 0.1                      in the file's own units
  any file       --sigma auto                     estimated from each image
  counts         --noise poisson:2.5,3            variance 2.5 * value + 3**2, own units
                 --noise poisson:auto             estimated from each image
  correlated     --psd psd.npy                    power spectrum, see fastrestore.bm3d
                 --kernel kernel.npy              white noise of sigma 1 convolved with this

Files are gray or RGB, with or without alpha: PNG (8 and 16 bits) and TIFF (integer and float; other
channels too), and NPY, of which --channel-axis says where channels are. JPEG is read, not written;
in a directory OUT it becomes PNG. The name of OUT says what to write; the type of the numbers stays
that of IN. Results for integer files are rounded, halves to the even number, and clipped to the
type's range. Alpha stays as it is; colour profile, EXIF and orientation are carried over, to NPY
nothing is.
"""
# Options that networks do not support, and their defaults
BM3D_ONLY = {
    "noise": None, "psd": None, "kernel": None, "colorspace": "auto", "chroma_strength": 1.0,
    "profile": "np", "stage": "final", "workers": None, "max_memory": None, "backend": None,
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    options.add_files(parser)
    options.add_sigma(parser)
    options.add_noise(parser)
    add = parser.add_argument
    add("--kernel", metavar="FILE", help="kernel of correlated noise, see below")
    options.add_channel_axis(parser)
    add(
        "--colorspace",
        choices=("auto", "opp", "ycbcr", "pca", "none"),
        default="auto",
        help="in which channels are filtered; default: auto, opponent colours for RGB",
    )
    options.add_chroma_strength(parser)
    add(
        "--blend",
        type=float,
        default=1.0,
        metavar="X",
        help="share of the result, the rest is the noisy image; default: 1",
    )
    options.add_data_range(parser)
    _add_method(parser)
    options.add_profile(parser, "np")
    add(
        "--max-memory",
        type=float,
        metavar="BYTES",
        help="working memory, as 2e9: larger images are done in tiles, with the same result",
    )
    options.add_stage(parser)
    options.add_execution(parser)


def _add_method(parser: argparse.ArgumentParser) -> None:
    """Add --method and --weights."""
    parser.add_argument(
        "--method",
        choices=("bm3d", "dncnn", "unet", "hybrid"),
        default="bm3d",
        help="networks need PyTorch, and take white noise of --sigma alone; default: bm3d",
    )
    text = "of --method, in place of those of the library"
    parser.add_argument("--weights", metavar="FILE", help=text)


def run(args: argparse.Namespace) -> None:
    """Denoise file by file."""
    _check(args)

    def restore(image: Image, source: Path) -> Any:
        specification = noise.arguments(args, image, source)
        denoise = _bm3d if args.method == "bm3d" else _network
        result = denoise(image, specification, args)
        return result if args.blend == 1 else args.blend * result + (1 - args.blend) * image

    batch.restore_images(args, restore)


def _check(args: argparse.Namespace) -> None:
    """Check the options before a file is read."""
    noise.check(args)
    _check_method(args)
    if not 0 <= args.blend <= 1:
        raise CommandError(f"--blend {args.blend:g} is not a number from 0 to 1")
    options.check_chroma_strength(args)


def _check_method(args: argparse.Namespace) -> None:
    """Raise on options that the method does not support."""
    if args.method == "bm3d":
        if args.weights is not None:
            raise CommandError("--weights is for networks; add --method dncnn, unet or hybrid")
        return
    for name, default in BM3D_ONLY.items():
        if getattr(args, name) != default:
            raise CommandError(
                f"{options.spelled(name)} is for bm3d, not for --method {args.method}"
            )
    require_torch()


def _network(image: Image, specification: dict[str, Any], args: argparse.Namespace) -> Any:
    """Denoise with a network."""
    weights = {} if args.weights is None else {"weights": args.weights}
    return fastrestore.denoise(
        image,
        **specification,
        **weights,
        method=args.method,
        channel_axis=None if image.ndim == 2 else -1,
        data_range=args.data_range,
        progress=options.show_progress(args),
    )


def _bm3d(image: Image, specification: dict[str, Any], args: argparse.Namespace) -> Any:
    """Denoise with BM3D."""
    color: dict[str, Any] = {}
    if image.ndim == 3:
        space = None if args.colorspace == "none" else args.colorspace
        color = {"colorspace": space, "chroma_strength": args.chroma_strength}
    return fastrestore.bm3d(
        image,
        **specification,
        **color,
        **batch.common_arguments(args, image),
        stage=args.stage,
        max_memory=args.max_memory,
    )
