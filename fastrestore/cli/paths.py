"""Where the results are written."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from fastrestore._arrays import replacement
from fastrestore._io import films
from fastrestore._io.errors import FileError, reason
from fastrestore._io.files import extension
from fastrestore._io.stores.zarrs import EXTENSION, is_zarr
from fastrestore.cli.errors import CommandError
from fastrestore.cli.inputs import SUFFIX, Input, ending
from fastrestore.cli.kinds import Kind

LEFTOVER = 24 * 3600  # seconds after which a temporary file belongs to no running process


class Work(NamedTuple):
    """A file to restore, and its result."""

    source: Path
    target: Path


def exists(path: Path) -> bool:
    """Whether a file, or an image of a pattern of numbered images, exists."""
    return films.existing_output(str(path)) is not None


def check_overwrite(path: Path | None, *, overwrite: bool) -> None:
    """Raise if `path` exists and may not be replaced."""
    if path is not None and path.exists() and not overwrite:
        raise CommandError(f"{path} exists already; add --overwrite to replace it")


def plan(
    found: list[Input],
    output: str | None,
    kind: Kind,
    *,
    overwrite: bool,
    resume: bool = False,
    in_place: bool = False,
    several: bool,
) -> list[Work]:
    """Return each file with the path of its result; raise if results would replace other files.

    `output` is a file, or a directory if there are `several` files; by default results are written
    beside the files.
    """
    if output is None:
        targets = _beside([item.path for item in found], kind)
    elif _is_folder(output, kind, several=several):
        targets = _within(Path(output), found, kind)
    else:
        targets = [Path(output)]
        kind.check(targets[0])
        check_overwrite(films.existing_output(output), overwrite=overwrite or resume)
    works = [Work(item.path, target) for item, target in zip(found, targets, strict=True)]
    _check_distinct(works)
    _check_inputs(works, overwrite=overwrite, in_place=in_place)
    return works


def blocked(works: list[Work], kind: Kind, *, replace: bool) -> dict[Work, str]:
    """Return why results cannot be written, without those that exist and are not replaced."""
    reasons = {}
    for work in works:
        if not os.path.lexists(work.target.parent) or (_is_kept(work.target) and not replace):
            continue  # created later, or skipped
        try:
            kind.check(work.target)
        except FileError as error:
            reasons[work] = str(error)
    return reasons


def _is_kept(target: Path) -> bool:
    """Whether a result is skipped, because it is there."""
    found = films.existing_output(str(target))
    return found is not None and (found.is_file() or is_zarr(found))


def make_folder(folder: Path) -> None:
    """Create a directory for results if it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot create directory {folder}: {reason(error)}") from error


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of processes that were killed, if they are older than a day."""
    with contextlib.suppress(OSError):
        for path in folder.glob(replacement.PATTERN):
            if time.time() - path.stat().st_mtime > LEFTOVER:
                path.unlink()


def _beside(paths: list[Path], kind: Kind) -> list[Path]:
    """Return results with a suffix beside the files."""
    targets = [path.with_name(suffixed(path, kind.name(path))) for path in paths]
    return _told_apart(paths, targets)


def suffixed(path: Path, result: str) -> str:
    """Return the name of a result beside its file."""
    last = ending(result)
    stem = result[: len(result) - len(last)]
    return f"{stem}{SUFFIX}{last}" if last else f"{path.name}{SUFFIX}"


def _within(place: Path, found: list[Input], kind: Kind) -> list[Path]:
    """Return results in a directory, in the tree of the folder that was given."""
    targets = []
    for path, folder, _ in found:
        parent = place if folder is None else place / path.parent.relative_to(folder)
        targets.append(parent / kind.name(path))
    return _told_apart([item.path for item in found], targets)


def _told_apart(paths: list[Path], targets: list[Path]) -> list[Path]:
    """Return other names for results whose format, and so whose name, is that of another file.

    The results of ``a.jp2`` and ``a.tif`` are ``a.jp2.tif`` and ``a.tif``.
    """
    taken = {
        str(target) for path, target in zip(paths, targets, strict=True)
        if path.suffix == target.suffix
    }  # fmt: skip
    return [
        target.with_name(target.stem + path.suffix + target.suffix)
        if path.suffix != target.suffix and str(target) in taken
        else target
        for path, target in zip(paths, targets, strict=True)
    ]


def _check_distinct(works: list[Work]) -> None:
    """Raise if two results have the same path, or will have where a file system ignores case."""
    exact: dict[str, Work] = {}
    folded: dict[str, Work] = {}
    ignores_case: dict[Path, bool] = {}
    for work in works:
        target, folder = str(work.target), work.target.parent
        before = exact.setdefault(target, work)
        if before is work:
            before = folded.setdefault(target.casefold(), work)
        if before is work:
            continue
        if str(before.target) != target and folder not in ignores_case:
            ignores_case[folder] = _ignores_case(folder)
        if str(before.target) == target or ignores_case[folder]:
            raise CommandError(
                f"{before.source} and {work.source} would both be written to {work.target}"
            )


def _ignores_case(folder: Path) -> bool:
    """Whether a file system takes names that differ by case for the same file."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:  # the only certain way: folders of one system may differ
        with tempfile.NamedTemporaryFile(prefix=".fastrestore-a", dir=folder) as file:
            return Path(file.name).with_name(Path(file.name).name.swapcase()).exists()
    except OSError:
        return False


def _check_inputs(works: list[Work], *, overwrite: bool, in_place: bool) -> None:
    """Raise if a result would replace an input, of which there may be no other copy."""
    if overwrite and in_place:
        return
    sources = {os.path.realpath(source) for source, _ in works}
    for _, target in works:
        if os.path.realpath(target) in sources:
            check_overwrite(target, overwrite=overwrite)
            raise CommandError(
                f"{target} is both input and output; choose another name or directory, or add "
                "--in-place to replace originals without a copy"
            )


def is_zarr_name(path: Path, kind: Kind) -> bool:
    """Whether a result of this name is a Zarr store, which is a directory, too."""
    return extension(path) == EXTENSION and kind.is_known(path)


def _is_folder(output: str, kind: Kind, *, several: bool) -> bool:
    """Whether the output is a directory, existing or to be created."""
    if not output:
        raise CommandError("the name after -o is empty; write a file or a directory")
    separators = tuple(filter(None, (os.sep, os.altsep)))
    path = Path(output)
    if not several and (kind.is_one(path) or is_zarr_name(path, kind)):
        return False
    if path.is_dir():
        return True
    if several and kind.is_known(path) and not output.endswith(separators):
        raise CommandError(f"{output}: several inputs need a directory; write {output}{os.sep}")
    if (several or output.endswith(separators)) and path.exists():
        if several and not output.endswith(separators):
            raise CommandError(f"{output}: several inputs need a directory; write {output}{os.sep}")
        raise FileError(f"cannot create directory {path}: File exists")
    return several or output.endswith(separators) or not (path.suffix or os.path.lexists(path))
