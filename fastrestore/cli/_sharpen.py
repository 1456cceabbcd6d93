"""``fastrestore sharpen``: soft files in, sharper and less noisy ones out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fastrestore.cli import _each, _noise
from fastrestore.cli._picture import Image


def run(args: argparse.Namespace) -> None:
    """Check all that can be checked, then sharpen file by file."""
    import fastrestore

    _noise.check(args)

    def work(image: Image, source: Path) -> Any:
        sigma = _each.level(args, image, source)
        return fastrestore.sharpen(image, sigma, args.alpha, **_each.shared(args, image))

    _each.each(args, work)
