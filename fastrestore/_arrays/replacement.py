"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

PATTERN = ".fastrestore-*.tmp"  # of the names of temporary files


class Replacement:
    """A file that is written under a temporary name, and renamed when it is complete."""

    def __init__(self, path: Path) -> None:
        # A symbolic link stays, and the file that it points to is replaced.
        self._target = Path(os.path.realpath(path))
        self.temporary = self._target.with_name(PATTERN.replace("*", secrets.token_hex(8)))
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
