"""The loop over image files, shared by the commands that restore images."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import fastrestore
from fastrestore._io import images
from fastrestore._io.images import Image
from fastrestore.cli import stack
from fastrestore.cli.errors import CommandError, explained, require_torch
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
        if "kind" in args and stack.is_stack(source):
            stack.restore(source, target, args, restore)
            return
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


def load_network(path: str | None) -> Any:
    """Return the network in a file of weights, or None for no file."""
    if path is None:
        return None
    require_torch()
    try:
        return fastrestore.nets.load(path)
    except (ValueError, OSError) as error:
        raise CommandError(str(error)) from None


def data_range_of(args: argparse.Namespace, dtype: np.dtype[Any]) -> float | None:
    """Return --data-range, or the range of 8 and 16 bits; None chooses by the values."""
    if args.data_range is None and dtype in (np.uint8, np.uint16):
        return float(np.iinfo(dtype).max)
    data_range: float | None = args.data_range
    return data_range


def network_arguments(args: argparse.Namespace, image: Image) -> dict[str, Any]:
    """Return the keyword arguments that functions with networks accept for images and videos."""
    return {
        "channel_axis": None if image.ndim == 2 else -1,
        "data_range": data_range_of(args, image.dtype),
        "tile": args.tile or "auto",
        "device": args.device,
    }


def sigma_of(args: argparse.Namespace, image: Image, source: Path) -> float | None:
    """Return --sigma in the units of an image; None for ``auto``."""
    return Sigma.parse(args).in_units_of(image.dtype, source)
