"""Reading, restoring and writing one image, and arguments that the commands for images share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import fastrestore
from fastrestore._io import images, volumes
from fastrestore._io.files import extension
from fastrestore._io.images import Image
from fastrestore.cli import batch, stack
from fastrestore.cli.batch import Details
from fastrestore.cli.errors import CommandError, explained, require_torch
from fastrestore.cli.kinds import IMAGES, Kind
from fastrestore.cli.noise import Sigma
from fastrestore.cli.options import show_progress

# Takes an image (M, N) or (M, N, C) as it is stored, its path, and details for the report, which
# contain its orientation unless it is 1, and to which it may add
Restore = Callable[[Image, Path, Details], Any]


def restore_images(args: argparse.Namespace, restore: Restore, kind: Kind = IMAGES) -> int:
    """Read, restore and write the images one by one; return the exit status."""

    def process(source: Path, target: Path) -> Details:
        return restore_image(args, restore, source, target)

    return batch.process_files(args, process, kind)


def restore_image(
    args: argparse.Namespace, restore: Restore, source: Path, target: Path
) -> Details:
    """Read, restore and write an image or a stack; return details for the report."""
    details: Details = {}
    if stack.is_stack(source) or extension(source) in volumes.NIFTI:
        return stack.restore(source, target, args, restore)
    images.check_output(target)
    picture = images.read_channels_last(source, args.channel_axis)
    images.check_format(target, picture, source)
    if picture.orientation != 1:
        details["orientation"] = picture.orientation
    with explained(source):
        result = images.to_type(restore(picture.values, source, details), picture.values.dtype)
    images.write(target, replace(picture, values=result))
    if getattr(args, "kind", None) in ("film", "volume"):
        details["note"] = f"one image, to which --as {args.kind} does not apply"
    return details | described(picture.values)


def described(image: Image) -> Details:
    """Return shape and type of an image for the report."""
    return {"shape": list(image.shape), "dtype": str(image.dtype)}


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


def given(args: argparse.Namespace, sigma: float | None) -> Details:
    """Return the noise level that was given, if it was, and the method, for the report."""
    noise = {} if sigma is None else {"noise": {"model": "white", "sigma": [sigma]}}
    method, strength = getattr(args, "method", "bm3d"), getattr(args, "strength", 1.0)
    return {**noise, "method": method, "profile": args.profile, "strength": strength}


def sigma_of(args: argparse.Namespace, image: Image, source: Path) -> float | None:
    """Return --sigma in the units of an image; None for ``auto``."""
    return Sigma.parse(args).in_units_of(image.dtype, source)
