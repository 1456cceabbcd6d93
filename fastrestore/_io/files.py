"""Common parts of all formats: extensions, checks of paths, atomic writing."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Collection
from pathlib import Path

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
    if extension(path) not in known:
        raise FileError(f"{path}: unknown extension {path.suffix!r}; use one of {', '.join(known)}")


def check_input(path: Path, known: Collection[str]) -> None:
    """Raise if `path` is not an existing file of a known format."""
    if path.is_dir():
        raise FileError(f"{path} is a directory; specify the files in it, such as {path / '*.png'}")
    if not path.exists():
        raise FileError(f"{path}: no such file")
    check_extension(path, known)


def check_output(path: Path, known: Collection[str]) -> None:
    """Raise if a file of a known format cannot be created or replaced at `path`."""
    if path.is_dir():
        raise FileError(f"{path} is a directory; specify a file name")
    check_extension(path, known)
    if path.exists() and not path.is_file():
        raise FileError(f"{path} is not a regular file")
    if not path.parent.is_dir():
        raise FileError(f"{path}: there is no directory {path.parent}; create it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise FileError(f"{path}: the directory {path.parent} is not writable")


def temporary_name(path: Path) -> tuple[Path, Path]:
    """Return the file to write, links resolved, and a temporary name in the same directory."""
    # A symbolic link stays, and the file that it points to is replaced.
    target = Path(os.path.realpath(path))
    return target, target.with_name(f".fastrestore-{secrets.token_hex(8)}.tmp")


def write_bytes(path: Path, encode: Callable[[], bytes]) -> None:
    """Write the result of `encode` atomically: to a temporary file, which is then renamed."""
    target, temporary = temporary_name(path)
    try:
        data = encode()
        # Not `tempfile`: its files are readable by their owner only, whatever the umask.
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except Exception as error:
        raise FileError(f"cannot write {path}: {reason(error)}") from error
    finally:  # also after Ctrl-C; after a success the name no longer exists
        temporary.unlink(missing_ok=True)
