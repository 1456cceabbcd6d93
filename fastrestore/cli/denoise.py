"""``fastrestore denoise``: noisy files in, restored files out."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from fastrestore._io.errors import CliError
from fastrestore._io.picture import Image
from fastrestore.cli import noise_options
from fastrestore.cli.batch import each


def run(args: argparse.Namespace) -> None:
    """Check all that can be checked, then denoise file by file; the first error ends it."""
    _check_numbers(args)

    def work(image: Image, source: Path) -> Any:
        noise = noise_options.arguments(args, image, source)
        result = _restored(image, noise, args)
        return result if args.blend == 1 else args.blend * result + (1 - args.blend) * image

    each(args, work)


def _check_numbers(args: argparse.Namespace) -> None:
    """Refuse options that make no sense, before a file is read."""
    noise_options.check(args)
    _check_method(args)
    if not 0 <= args.blend <= 1:
        raise CliError(f"--blend {args.blend:g} is no share from 0 to 1")
    if not 0 < args.chroma_strength < math.inf:
        raise CliError(f"--chroma-strength {args.chroma_strength:g} is no number above 0")


# What networks do not take, and the defaults
BM3D_ONLY = {
    "noise": None, "psd": None, "kernel": None, "colorspace": "auto", "chroma_strength": 1.0,
    "profile": "np", "stage": "final", "workers": None, "max_memory": None, "backend": None,
}  # fmt: skip


def _check_method(args: argparse.Namespace) -> None:
    """Refuse what the method does not take."""
    if args.method == "bm3d":
        if args.weights is not None:
            raise CliError("--weights is for networks; write --method dncnn, unet or hybrid too")
        return
    for name, usual in BM3D_ONLY.items():
        if getattr(args, name) != usual:
            raise CliError(
                f"--{name.replace('_', '-')} is for bm3d, not for --method {args.method}"
            )
    from fastrestore.nets import need_torch

    try:
        need_torch()
    except ImportError as error:
        raise CliError(str(error)) from None


def _restored(image: Image, noise: dict[str, Any], args: argparse.Namespace) -> Any:
    """Restore by the method that was asked for."""
    import fastrestore

    colour: dict[str, Any] = {} if image.ndim == 2 else {"channel_axis": -1}
    shared = {
        "data_range": args.data_range,
        "progress": sys.stderr.isatty() and not args.quiet,
    }
    if args.method != "bm3d":
        weights = {} if args.weights is None else {"weights": args.weights}
        return fastrestore.denoise(
            image, **noise, method=args.method, **weights, **colour, **shared
        )
    if colour:
        space = None if args.colorspace == "none" else args.colorspace
        strength = args.chroma_strength
        colour |= {"colorspace": space, "chroma_strength": strength}
    return fastrestore.bm3d(
        image,
        **noise,
        **colour,
        **shared,
        profile=args.profile,
        stage=args.stage,
        workers=args.workers,
        max_memory=args.max_memory,
        backend=args.backend,
    )
