"""Which parts of a result are complete: a file with a line for each, beside the result."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import IO, Any

import numpy as np

from fastrestore._io.errors import FileError, reason
from fastrestore._io.picture import Image
from fastrestore._io.stores.regions import Shape

Settings = dict[str, Any]


def digest(values: Image) -> str:
    """Return a hash value of the values of a part."""
    return hashlib.blake2b(np.ascontiguousarray(values).data, digest_size=16).hexdigest()


class Manifest:
    """The settings of a run, and the checksum of each part that is complete.

    It is a text file, to which a line of JSON is appended when a part has been written. A line that
    was not written to its end does not count.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings: Settings = {}
        self.parts: dict[Shape, str] = {}
        try:
            self._file: IO[str] = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise FileError(f"cannot write {path}: {reason(error)}") from error
        self._lock()
        self._read()

    def _lock(self) -> None:
        """Raise if another process has the manifest open; where there are locks, as on Linux."""
        try:
            import fcntl
        except ImportError:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise FileError(f"another process is writing {self.path.parent}; wait until it has "
                            "finished, or choose another output") from None  # fmt: skip
        except OSError:  # a file system without locks
            return

    def _read(self) -> None:
        """Read the settings and the parts."""
        self._file.seek(0)
        lines = self._file.read().split("\n")
        if lines.pop():  # a line that was cut; the next one must not continue it
            self._file.write("\n")
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                record = json.loads(line)
                if "settings" in record:
                    self.settings = record["settings"]
                else:
                    self.parts[tuple(record["part"])] = str(record["digest"])

    def begin(self, settings: Settings) -> None:
        """Forget all parts, and write settings."""
        self._file.truncate(0)
        self.settings, self.parts = settings, {}
        self._append({"settings": settings})

    def add(self, corner: Shape, checksum: str) -> None:
        """Record that the part that begins at `corner` is complete."""
        self.parts[corner] = checksum
        self._append({"part": list(corner), "digest": checksum})

    def _append(self, record: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        except OSError as error:
            raise FileError(f"cannot write {self.path}: {reason(error)}") from error

    @property
    def is_closed(self) -> bool:
        """Whether the lock was given up."""
        return self._file.closed

    def close(self) -> None:
        """Close the file, and give up the lock."""
        if self._file.closed:
            return
        with contextlib.suppress(OSError):
            self._file.flush()
            os.fsync(self._file.fileno())
        self._file.close()
