"""The loop over image files, shared by the commands that restore images."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastrestore._io import images
from fastrestore._io.images import Image
from fastrestore.cli.errors import explained
from fastrestore.cli.noise import Sigma
from fastrestore.cli.options import show_progress
from fastrestore.cli.paths import output_paths

Restore = Callable[[Image, Path], Any]  # takes an image (M, N) or (M, N, C) and its path


def process_files(
    inputs: list[Path],
    args: argparse.Namespace,
    process: Callable[[Path, Path], None],
    *,
    folder: bool = False,
) -> None:
    """Check all files, then call `process` with each input and output path.

    `folder` means that the inputs are those of a directory.
    """
    for path in inputs:
        images.check_input(path)
    targets = output_paths(inputs, args.output, overwrite=args.overwrite, folder=folder)
    for source, target in zip(inputs, targets, strict=True):
        process(source, target)


def restore_images(args: argparse.Namespace, restore: Restore) -> None:
    """Read, restore and write the images one by one; stop at the first error."""

    def process(source: Path, target: Path) -> None:
        picture = images.read_channels_last(source, args.channel_axis)
        images.check_format(target, picture, source)
        with explained(source):
            result = images.to_type(restore(picture.values, source), picture.values.dtype)
        images.write(target, replace(picture, values=result))

    process_files([Path(name) for name in args.inputs], args, process)


def common_arguments(args: argparse.Namespace, image: Image) -> dict[str, Any]:
    """Return the keyword arguments that all functions for images accept."""
    return {
        "channel_axis": None if image.ndim == 2 else -1,
        "data_range": args.data_range,
        "profile": args.profile,
        "workers": args.workers,
        "backend": args.backend,
        "progress": show_progress(args),
    }


def sigma_of(args: argparse.Namespace, image: Image, source: Path) -> float | None:
    """Return --sigma in the units of an image; None for ``auto``."""
    return Sigma.parse(args).in_units_of(image.dtype, source)
