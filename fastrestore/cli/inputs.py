"""The files that a command restores: named one by one, in folders, or by patterns."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fastrestore._io.files import extension
from fastrestore._io.films import is_sequence
from fastrestore.cli.errors import CommandError
from fastrestore.cli.kinds import Kind

SUFFIX = "-restored"  # of the names of results beside their inputs
SHOWN = 8  # names of files in a warning


class Input(NamedTuple):
    """A file to restore, and the folder that was given, if it is in one."""

    path: Path
    folder: Path | None = None


def find(names: list[str], kind: Kind, *, recursive: bool, output: str | None) -> list[Input]:
    """Return the files that are named, those of a kind in folders, and the files of patterns.

    Each file is returned once. Hidden files, results of earlier calls beside their inputs, and
    folders within others that hold the results are left out.
    """
    found: dict[str, Input] = {}
    paths = [path for name in names for path in _matches(name)]
    for path in paths:
        if len(paths) == 1 or not _is_same(path, output):
            for each in _files(path, kind, recursive=recursive, output=output):
                found.setdefault(os.path.abspath(each.path), each)  # noqa: PTH100 (keeps links)
    return list(found.values())


def _matches(name: str) -> list[Path]:
    """Return a path, or those that match a pattern which the shell has not expanded."""
    if not name:
        raise CommandError("the name of an input is empty; write a file or a directory")
    path = Path(name)
    if is_sequence(name):  # numbered images, which make one video
        return [path]
    if os.path.lexists(path) or not glob.has_magic(name):
        if not os.path.lexists(path):
            raise CommandError(f"{path}: no such file")
        return [path]
    matches = [Path(match) for match in sorted(glob.glob(name, recursive=True))]  # noqa: PTH207
    if not matches:
        raise CommandError(f"{name}: no file has a name of this pattern")
    return matches


def _files(path: Path, kind: Kind, *, recursive: bool, output: str | None) -> Iterator[Input]:
    """Return a file, or those of a kind in a folder; warn about its other files."""
    if not path.is_dir():
        yield Input(path)
        return
    entries = [
        file for file in _entries(path, recursive=recursive, output=output) if not _is_result(file)
    ]
    known = [file for file in entries if kind.is_known(file)]
    if not known:
        raise CommandError(_none_known(path, kind, recursive=recursive))
    others = [file for file in entries if not kind.is_known(file)]
    others = sorted(others if recursive else [*others, *_folders(path, output)])
    if others:
        names = ", ".join(str(file.relative_to(path)) for file in others[:SHOWN])
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        warnings.warn(
            f"{path}: skipped files that are not {kind.words}: {names}{more}", stacklevel=1
        )
    yield from (Input(file, path) for file in known)


def _entries(folder: Path, *, recursive: bool, output: str | None) -> Iterator[Path]:
    """Return the files in a folder, sorted, without hidden ones and without the results."""
    results = None if output is None else Path(output).resolve()
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            name for name in folders
            if recursive and not name.startswith(".") and (here / name).resolve() != results
        )  # fmt: skip
        yield from (here / name for name in sorted(names) if not name.startswith("."))


def _folders(folder: Path, output: str | None) -> list[Path]:
    """Return the folders in a folder, without hidden ones and that of the results."""
    return [entry for entry in folder.iterdir() if entry.is_dir()
            and not entry.name.startswith(".") and not _is_same(entry, output)]  # fmt: skip


def _is_same(path: Path, output: str | None) -> bool:
    """Whether a folder is that of the results, as in ``fastrestore denoise * -o out``."""
    return output is not None and path.is_dir() and path.resolve() == Path(output).resolve()


def _is_result(path: Path) -> bool:
    """Whether a file is the result of a file beside it."""
    name = path.name.removesuffix(extension(path)) if extension(path) == ".nii.gz" else path.stem
    if not name.endswith(SUFFIX):
        return False
    stem = name.removesuffix(SUFFIX)
    return bool(stem) and any(path.parent.glob(f"{glob.escape(stem)}.*"))


def _none_known(folder: Path, kind: Kind, *, recursive: bool) -> str:
    """Return the message for a folder without files of a kind."""
    deeper = any(entry.is_dir() and not entry.name.startswith(".") for entry in folder.iterdir())
    hint = "; add --recursive for the folders in it" if deeper and not recursive else ""
    return f"{folder} contains no {kind.words} ({', '.join(kind.extensions)}){hint}"
