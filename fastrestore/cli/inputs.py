"""The files that a command restores: named one by one, in folders, or by patterns."""

from __future__ import annotations

import argparse
import glob
import os
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from fastrestore._io.errors import reason
from fastrestore._io.films import files_of, is_sequence
from fastrestore._io.stores.choose import is_begun
from fastrestore.cli.errors import CommandError
from fastrestore.cli.kinds import Kind
from fastrestore.cli.streams import shown

SUFFIX = "-restored"  # of the names of results beside their inputs
_DOUBLE = (".nii.gz", ".ome.tif", ".ome.tiff")  # extensions of two parts
SHOWN = 8  # names of files in a warning


class Input(NamedTuple):
    """A file to restore, and the folder that was given, if it is in one."""

    path: Path
    folder: Path | None = None
    problem: str = ""  # why it cannot be restored, if that is known


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


def ending(name: str) -> str:
    """Return the extension of a name, with two parts where both count."""
    double = next((each for each in _DOUBLE if name.lower().endswith(each)), "")
    return name[-len(double) :] if double else Path(name).suffix


def check_two(args: argparse.Namespace) -> None:
    """Raise if the second of two inputs is rather meant as the output."""
    if len(args.inputs) == 2 and args.output is None and not _is_there(args.inputs[1]):
        name = args.inputs[1]
        raise CommandError(f"{name}: no such file; if this is the output, write -o {name}")


def _is_there(name: str) -> bool:
    """Whether a file, numbered images or files of a pattern exist."""
    if is_sequence(name):
        return bool(files_of(Path(name)))
    return os.path.lexists(name) or glob.has_magic(name)


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


def warn_skipped(folder: Path, what: str, files: Collection[Path], advice: str = "") -> None:
    """Warn about files in a folder that are not restored, if there are any."""
    names = ", ".join(shown(file.relative_to(folder)) for file in list(files)[:SHOWN])
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    if files:
        warnings.warn(f"{shown(folder)}: skipped {what}: {names}{more}{advice}", stacklevel=1)


def _files(path: Path, kind: Kind, *, recursive: bool, output: str | None) -> Iterator[Input]:
    """Return a file, or those of a kind in a folder; warn about its other files."""
    if not path.is_dir() or kind.is_one(path):
        yield Input(path)
        return
    walk = _Walk(path, recursive, output, kind)
    entries = list(walk.files())
    known = [file for file in entries if kind.is_known(file)]
    if not known:
        raise CommandError(
            walk.problems[0].problem
            if walk.problems
            else _none_known(path, kind, recursive=recursive)
        )
    others = sorted(file for file in entries if not kind.is_known(file))
    warn_skipped(path, f"files that are not {kind.words}", others)
    if not recursive:
        folders = sorted(each for each in _folders(path, output) if not kind.is_one(each))
        one = len(folders) == 1
        what = "1 directory" if one else f"{len(folders)} directories"
        warn_skipped(path, what, folders, f"; add --recursive to include {'it' if one else 'them'}")
    warn_skipped(path, "links to directories", walk.links)
    yield from walk.problems
    yield from (Input(file, path) for file in known)


class _Walk:
    """A walk through a folder, without hidden files and without the results.

    Links to directories, which may be loops, are not followed.
    """

    def __init__(self, folder: Path, recursive: bool, output: str | None, kind: Kind) -> None:
        self.folder, self.recursive, self.kind = folder, recursive, kind
        self.output = None if output is None else Path(output).resolve()
        self.problems: list[Input] = []  # folders that cannot be listed
        self.links: list[Path] = []

    def files(self) -> Iterator[Path]:
        """Return the files, sorted."""
        for place, folders, names in os.walk(self.folder, onerror=self._failed):
            here = Path(place)
            stores = [name for name in folders if self.kind.is_one(here / name)]
            others = set(folders).difference(stores)
            folders[:] = sorted(name for name in others if self._is_entered(here / name))
            names = [*names, *stores]
            made = _results(names)
            yield from (here / name for name in sorted(names)
                        if not name.startswith(".") and name not in made)  # fmt: skip

    def _is_entered(self, folder: Path) -> bool:
        if not self.recursive or folder.name.startswith(".") or folder.resolve() == self.output:
            return False
        if is_begun(folder):
            return False
        if folder.is_symlink():
            self.links.append(folder)
            return False
        return True

    def _failed(self, error: OSError) -> None:
        place = Path(error.filename)
        text = f"cannot list directory {place}: {reason(error)}"
        self.problems.append(Input(place, self.folder, text))


def _folders(folder: Path, output: str | None) -> list[Path]:
    """Return the folders in a folder, without hidden ones and that of the results."""
    return [entry for entry in folder.iterdir() if entry.is_dir()
            and not entry.name.startswith(".") and not _is_same(entry, output)]  # fmt: skip


def _is_same(path: Path, output: str | None) -> bool:
    """Whether a folder is that of the results, as in ``fastrestore denoise * -o out``."""
    return output is not None and path.is_dir() and path.resolve() == Path(output).resolve()


def _results(names: list[str]) -> set[str]:
    """Return the names of results of files beside them, among the names of a folder."""
    sources = {name: name.rpartition(f"{SUFFIX}.")[0] for name in names if f"{SUFFIX}." in name}
    starts = set()
    if sources:
        starts = {name[:k] for name in names for k, letter in enumerate(name) if letter == "."}
    return {name for name, source in sources.items() if source and source in starts}


def _none_known(folder: Path, kind: Kind, *, recursive: bool) -> str:
    """Return the message for a folder without files of a kind."""
    deeper = any(entry.is_dir() and not entry.name.startswith(".") for entry in folder.iterdir())
    hint = "; add --recursive for the folders in it" if deeper and not recursive else ""
    return f"{folder} contains no {kind.words} ({', '.join(kind.extensions)}){hint}"
