"""``fastrestore deblur``: blurred files in, sharp files out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore._io.errors import CliError, explained
from fastrestore._io.images import read
from fastrestore._io.picture import Image
from fastrestore.cli import batch, noise_options


def run(args: argparse.Namespace) -> None:
    """Check all that can be checked, then deblur file by file."""
    import fastrestore

    noise_options.check(args)
    if args.denoiser is not None and args.method != "pnp":
        raise CliError(f"--denoiser {args.denoiser} is for --method pnp; write that, too")
    psf = spread(Path(args.psf))

    def work(image: Image, source: Path) -> Any:
        return fastrestore.deblur(
            image, psf, batch.level(args, image, source),
            method=args.method, boundary=args.boundary, denoiser=args.denoiser,
            **batch.shared(args, image),
        )  # fmt: skip

    batch.each(args, work)


def spread(path: Path) -> Image:
    """Read a point spread function; a picture of one, which has no units, is divided by its sum."""
    with explained(path):
        values = read(path).values
    if values.ndim != 2:
        raise CliError(f"{path}: a point spread function has rows and columns, not {values.shape}")
    if values.dtype.kind == "f":
        return values
    total = int(values.sum(dtype=np.int64))
    if total <= 0:
        raise CliError(f"{path}: the point spread function is all 0")
    return values / total
