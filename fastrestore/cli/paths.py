"""Where the results are written."""

from __future__ import annotations

import os
from pathlib import Path

from fastrestore._io import images
from fastrestore._io.errors import reason
from fastrestore.cli.errors import CommandError


def check_overwrite(path: Path | None, *, overwrite: bool) -> None:
    """Raise if `path` exists and may not be replaced."""
    if path is not None and path.exists() and not overwrite:
        raise CommandError(f"{path} exists already; add --overwrite to replace it")


def output_paths(
    inputs: list[Path], output: str, *, overwrite: bool, folder: bool = False
) -> list[Path]:
    """Return and check the path of each result; `folder` means that an input was a directory."""
    place = Path(output)
    if not _is_folder(output, len(inputs) + folder):
        paths = [place]
    else:
        paths = [place / images.output_name(path) for path in inputs]
        _check_distinct(inputs, paths)
        _make_folder(place)
    for path in paths:
        images.check_output(path)
        check_overwrite(path, overwrite=overwrite)
    return paths


def _check_distinct(inputs: list[Path], paths: list[Path]) -> None:
    """Raise if two results have the same path."""
    for k, path in enumerate(paths):
        if path in paths[:k]:
            first = inputs[paths.index(path)]
            raise CommandError(f"{first} and {inputs[k]} would both be written to {path}")


def _is_folder(output: str, count: int) -> bool:
    """Whether the output is a directory, existing or to be created."""
    if not output:
        raise CommandError("the name after -o is empty; write a file or a directory")
    separators = tuple(filter(None, (os.sep, os.altsep)))
    if Path(output).is_dir() or output.endswith(separators):
        return True
    if count > 1 and (images.can_read(Path(output)) or Path(output).exists()):
        raise CommandError(f"{output}: several inputs need a directory; write {output}{os.sep}")
    return count > 1


def _make_folder(folder: Path) -> None:
    """Create the directory for the results if it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot create directory {folder}: {reason(error)}") from error
