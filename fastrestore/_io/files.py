"""Common parts of all formats: extensions, checks of paths, atomic writing."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

from fastrestore._arrays.replacement import Replacement
from fastrestore._io.errors import FileError, reason


def extension(path: Path) -> str:
    """Return the extension in lower case; ".nii.gz" counts as one."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def records_axes(path: Path) -> bool:
    """Whether the format records which axis holds channels; NPY does not."""
    return extension(path) != ".npy"


def check_extension(path: Path, known: Collection[str]) -> None:
    """Raise if the extension is not one of `known`."""
    if extension(path) in (".fits", ".fit", ".fts"):
        raise FileError(f"{path}: FITS is neither read nor written; convert it to .npy with "
                        "astropy: numpy.save(name, astropy.io.fits.getdata(file))")  # fmt: skip
    if extension(path) not in known:
        raise FileError(f"{path}: unknown extension {path.suffix!r}; use one of {', '.join(known)}")


def check_input(path: Path, known: Collection[str]) -> None:
    """Raise if `path` is not an existing file of a known format."""
    if path.is_dir():
        raise FileError(f"{path} is a directory; specify the files in it, such as {path / '*.png'}")
    if not path.exists():
        if path.is_symlink():
            raise FileError(f"{path} is a symbolic link to {path.readlink()}, which does not exist")
        raise FileError(f"{path}: no such file")
    check_extension(path, known)


def check_output(path: Path, known: Collection[str]) -> None:
    """Raise if a file of a known format cannot be created or replaced at `path`."""
    if path.is_dir():
        raise FileError(f"{path} is a directory; specify a file name")
    check_extension(path, known)
    check_link(path)
    if path.exists() and not path.is_file():
        raise FileError(f"{path} is not a regular file")
    found = next((each for each in path.parents if each.exists()), path.parent)
    if not found.is_dir() and found.exists():
        raise FileError(f"{path}: {found} is a file, not a directory; choose another output")
    if not path.parent.is_dir():
        raise FileError(f"{path}: there is no directory {path.parent}; create it first")
    folder = path.parent if not path.is_symlink() else Path(os.path.realpath(path)).parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(f"{path}: the directory {folder} is not writable")


def check_link(path: Path) -> None:
    """Raise if `path` is a link to a file that does not exist: writing would create that file."""
    if path.is_symlink() and not path.exists():
        raise FileError(f"{path} is a symbolic link to {path.readlink()}, which does not exist; "
                        "remove the link, or choose another output")  # fmt: skip


def write_bytes(path: Path, encode: Callable[[], bytes]) -> None:
    """Write the result of `encode` atomically: to a temporary file, which is then renamed."""
    check_link(path)
    try:
        data = encode()
        new = Replacement(path)
        try:
            new.temporary.write_bytes(data)
            new.commit()
        finally:  # also after Ctrl-C
            new.discard()
    except Exception as error:
        raise FileError(f"cannot write {path}: {reason(error)}") from error
