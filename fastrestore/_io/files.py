"""Common parts of all formats: extensions, checks of paths, atomic writing."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
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
    check_link(path)
    if path.exists() and not path.is_file():
        raise FileError(f"{path} is not a regular file")
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


class Replacement:
    """A file that is written under a temporary name, and renamed when it is complete."""

    def __init__(self, path: Path) -> None:
        # A symbolic link stays, and the file that it points to is replaced.
        self._target = Path(os.path.realpath(path))
        self.temporary = self._target.with_name(f".fastrestore-{secrets.token_hex(8)}.tmp")
        # Not `tempfile`: its files are readable by their owner only, whatever the umask.
        mode = 0o600 if self._target.exists() else 0o666
        os.close(os.open(self.temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))

    def commit(self) -> None:
        """Replace the target, whose owner, group and permissions are kept."""
        with self.temporary.open("rb+") as file:  # on the disk before the name points to it
            os.fsync(file.fileno())
        if self._target.exists():
            _copy_access(self._target.stat(), self.temporary)
        self.temporary.replace(self._target)

    def discard(self) -> None:
        """Remove the temporary file; do nothing after `commit`."""
        self.temporary.unlink(missing_ok=True)


def _copy_access(old: os.stat_result, path: Path) -> None:
    """Give a file the owner, the group and the permissions of another one, as far as allowed."""
    mode, new = stat.S_IMODE(old.st_mode) & 0o777, path.stat()
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        with contextlib.suppress(OSError, AttributeError):  # only root may change the owner
            os.chown(path, -1, old.st_gid)
            os.chown(path, old.st_uid, -1)
        if path.stat().st_gid != old.st_gid:  # another group gets no more than all others
            mode = mode & ~0o070 | (mode & 0o007) << 3
    path.chmod(mode)


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
