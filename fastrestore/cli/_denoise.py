"""``fastrestore denoise``: noisy files in, restored files out."""

from __future__ import annotations

import argparse
import math
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore.cli import _noise
from fastrestore.cli._error import CliError, explained, reason
from fastrestore.cli._io import (
    READERS,
    check_format,
    check_input,
    check_output,
    read,
    to_type,
    write,
)
from fastrestore.cli._picture import Image


def run(args: argparse.Namespace) -> None:
    """Check all that can be checked, then denoise file by file; the first error ends it."""
    _check_numbers(args)
    inputs = [Path(name) for name in args.inputs]
    for path in inputs:
        check_input(path)
    for source, target in zip(inputs, _outputs(inputs, args), strict=True):
        _denoise_file(source, target, args)


def _outputs(inputs: list[Path], args: argparse.Namespace) -> list[Path]:
    """Return where each result goes, all of them checked."""
    folder = Path(args.output)
    if not _is_folder(args.output, len(inputs)):
        check_output(folder, overwrite=args.overwrite)
        return [folder]
    outputs = [folder / path.name for path in inputs]
    for k, output in enumerate(outputs):
        if output in outputs[:k]:
            first = inputs[outputs.index(output)]
            raise CliError(f"{first} and {inputs[k]} would both be written to {output}")
    _make_folder(folder)
    for output in outputs:
        check_output(output, overwrite=args.overwrite)
    return outputs


def _is_folder(output: str, count: int) -> bool:
    """Say whether OUT is meant as a directory."""
    if not output:
        raise CliError("the name after -o is empty; write a file or a directory")
    separators = tuple(filter(None, (os.sep, os.altsep)))
    if Path(output).is_dir() or output.endswith(separators):
        return True
    if count > 1 and (Path(output).suffix.lower() in READERS or Path(output).exists()):
        raise CliError(f"{output}: several inputs need a directory; write {output}{os.sep}")
    return count > 1


def _make_folder(folder: Path) -> None:
    """Make the directory for the results unless it is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CliError(f"cannot create directory {folder}: {reason(error)}") from error


def _check_numbers(args: argparse.Namespace) -> None:
    """Refuse options that make no sense, before a file is read."""
    _noise.check(args)
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


def _denoise_file(source: Path, target: Path, args: argparse.Namespace) -> None:
    """Read, denoise and write one image."""
    picture = read(source)
    image, axis = _channels_last(picture.values, source, args.channel_axis)
    picture = replace(picture, values=image)
    check_format(target, picture, source)
    with explained(source):
        noise = _noise.arguments(args, image, source)
    with explained(source):
        result = _restored(image, noise, args)
    if args.blend < 1:
        result = args.blend * result + (1 - args.blend) * image
    result = to_type(result, image.dtype)
    if axis is not None and target.suffix.lower() == ".npy":
        result = np.moveaxis(result, -1, axis)
    write(target, replace(picture, values=result))


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


def _channels_last(image: Image, source: Path, axis: int | None) -> tuple[Image, int | None]:
    """Bring the channels of an array file, which cannot say where they are, to the end."""
    if source.suffix.lower() != ".npy":
        if axis is not None:
            raise CliError(f"--channel-axis is for .npy; {source} says itself what it holds")
        return image, None
    if image.ndim == 2:
        return image, None
    if axis is None:
        raise CliError(
            f"{source} has the shape {image.shape}, and .npy does not say where its channels are; "
            "write --channel-axis -1 for the last axis"
        )
    if not -3 <= axis < 3:
        raise CliError(f"--channel-axis {axis} is no axis of {source}, shape {image.shape}")
    return np.moveaxis(image, axis, -1), axis
