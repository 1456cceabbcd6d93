"""``fastrestore sharpen``: soft files in, sharper and less noisy ones out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fastrestore._io.picture import Image
from fastrestore.cli import batch, noise_options


def run(args: argparse.Namespace) -> None:
    """Check all that can be checked, then sharpen file by file."""
    import fastrestore

    noise_options.check(args)

    def work(image: Image, source: Path) -> Any:
        sigma = batch.level(args, image, source)
        return fastrestore.sharpen(image, sigma, args.alpha, **batch.shared(args, image))

    batch.each(args, work)
