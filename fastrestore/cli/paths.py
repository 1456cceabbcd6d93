"""Where results go, and where channels are."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from fastrestore._io.errors import CliError, reason
from fastrestore._io.images import JPEG, READERS, check_output
from fastrestore._io.picture import Image


def outputs(
    inputs: list[Path], output: str, *, overwrite: bool, folder: bool = False
) -> list[Path]:
    """Return where each result goes, all of them checked; `folder` says that IN was one."""
    place = Path(output)
    if not _is_folder(output, len(inputs) + folder):
        check_output(place, overwrite=overwrite)
        return [place]
    found = [place / _name(path) for path in inputs]
    for k, path in enumerate(found):
        if path in found[:k]:
            first = inputs[found.index(path)]
            raise CliError(f"{first} and {inputs[k]} would both be written to {path}")
    _make_folder(place)
    for path in found:
        check_output(path, overwrite=overwrite)
    return found


def _name(path: Path) -> str:
    """Call a result as its input, but for JPEG, which is not written."""
    return path.with_suffix(".png").name if path.suffix.lower() in JPEG else path.name


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


def channels_last(image: Image, source: Path, axis: int | None) -> tuple[Image, int | None]:
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
        raise CliError(f"--channel-axis {axis} is not an axis of {source}, shape {image.shape}")
    return np.moveaxis(image, axis, -1), axis
