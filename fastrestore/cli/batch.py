"""What commands do that restore pictures one by one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore._io.errors import explained
from fastrestore._io.images import check_format, check_input, read, to_type, write
from fastrestore._io.picture import Image
from fastrestore.cli import noise_options
from fastrestore.cli.paths import channels_last, outputs

Work = Callable[[Image, Path], Any]  # an image (M, N) or (M, N, C), and where it comes from


def each(args: argparse.Namespace, work: Work) -> None:
    """Restore file by file, all of them checked before; the first error ends it."""
    inputs = [Path(name) for name in args.inputs]
    for path in inputs:
        check_input(path)
    targets = outputs(inputs, args.output, overwrite=args.overwrite)
    for source, target in zip(inputs, targets, strict=True):
        restored(source, target, args.channel_axis, work)


def restored(source: Path, target: Path, channel_axis: int | None, work: Work) -> None:
    """Read, restore and write one image."""
    picture = read(source)
    image, axis = channels_last(picture.values, source, channel_axis)
    picture = replace(picture, values=image)
    check_format(target, picture, source)
    with explained(source):
        result = to_type(work(image, source), image.dtype)
    if axis is not None and target.suffix.lower() == ".npy":
        result = np.moveaxis(result, -1, axis)
    write(target, replace(picture, values=result))


def shared(args: argparse.Namespace, image: Image) -> dict[str, Any]:
    """Return what all functions that restore an image take."""
    return {
        "channel_axis": None if image.ndim == 2 else -1,
        "data_range": args.data_range,
        "profile": args.profile,
        "workers": args.workers,
        "backend": args.backend,
        "progress": sys.stderr.isatty() and not args.quiet,
    }


def level(args: argparse.Namespace, image: Image, source: Path) -> float | None:
    """Return sigma in the units of an image, None for auto."""
    sigma = noise_options.parse_sigma(args.sigma)
    return noise_options.own_units(sigma, args.sigma, args.sigma_scale, image.dtype, source)
