"""``fastrestore inpaint``: files with holes in, whole ones out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fastrestore._io.errors import CliError
from fastrestore._io.images import read
from fastrestore._io.picture import Image
from fastrestore.cli import batch, noise_options


def run(args: argparse.Namespace) -> None:
    """Check all that can be checked, then fill in file by file."""
    import fastrestore

    noise_options.check(args)
    if args.sigma == "auto":
        raise CliError("--sigma auto takes holes for noise; write a number, 0 for none")
    missing = marked(Path(args.mask))

    def work(image: Image, source: Path) -> Any:
        return fastrestore.inpaint(
            image, missing, batch.level(args, image, source) or 0.0, iterations=args.iterations,
            **batch.shared(args, image),
        )  # fmt: skip

    batch.each(args, work)


def marked(path: Path) -> Any:
    """Read a mask: what is not black, or not transparent where something is."""
    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise CliError(f"{path}: JPEG leaves specks around marks; save the mask as PNG")
    picture = read(path)
    if picture.alpha is not None and (picture.alpha == 0).any():
        missing = picture.alpha != 0  # painted on a layer of its own
    else:
        missing = picture.values != 0
        if missing.ndim == 3:  # a coloured mark is one
            missing = missing.any(-1)
    if not missing.any():
        raise CliError(f"{path}: the mask is black all over, so that no pixel is missing")
    return missing
