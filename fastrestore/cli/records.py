"""Records of what results were made from: for --resume, and to recognize results in folders.

They are kept in the user's cache folder, one file for each folder of results. They contain hash
values only, no names. If they cannot be written, results are restored as without them.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import fastrestore
from fastrestore._io import films
from fastrestore._io.stores.source import state_of
from fastrestore.cli.inputs import Input
from fastrestore.cli.options import spelled
from fastrestore.cli.paths import Work

VARIABLE = "FASTRESTORE_RECORDS"  # another folder, or 0 for none
# Options that do not change a result
_NEUTRAL = {
    "run", "command", "inputs", "output", "overwrite", "resume", "quiet", "jobs", "json", "report",
    "dry_run", "compare", "in_place", "recursive", "workers", "max_image_gb", "_argv",
    "scheduler", "memory", "chunks",
}  # fmt: skip
_CHUNK = 2**20
_DIGITS = 12  # of a hash value, for a number


class Records:
    """The records of all folders of a call; each file of records is read once."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, dict[str, Any]]] = {}
        self._paths: dict[Path, Path | None] = {}

    def is_current(self, work: Work, settings: str) -> bool | None:
        """Whether a result was made from its file with these settings; None if it is not known.

        A result that was changed since is not known.
        """
        record = self._of(work.target)
        if record is None or record.get("result") != _state(work.target):
            return None
        return record.get("source") == digest_of(work.source) and record.get("settings") == settings

    def keep(self, work: Work, content: str | None, settings: str) -> None:
        """Record the hash values of the file and the settings that a result was made from."""
        path = self._path(work.target)
        if path is None:
            return
        record: dict[str, Any] = {
            "key": _hash(work.target.name),
            "file": _place(work.source),
            "source": content,
            "settings": settings,
            "result": _state(work.target),
        }
        self._read(path)[record["key"]] = record
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="ascii") as file:
                file.write(json.dumps(record) + "\n")

    def split(self, found: list[Input], *, named: bool = False) -> tuple[list[Input], list[Input]]:
        """Return the files to restore, and those that are results of others of them.

        Files that are not in folders may be results only if `named`.
        """
        candidates = (item for item in found if named or item.folder is not None)
        origins = {item: self._origin(item.path) for item in candidates}
        if not any(origins.values()):
            return found, []
        sources = {_place(item.path) for item in found}
        results = [
            item for item, origin in origins.items()
            if origin in sources and origin != _place(item.path)
        ]  # fmt: skip
        left_out = set(results)
        return [item for item in found if item not in left_out], results

    def _origin(self, target: Path) -> str | None:
        """Return the hash value of the path of the file that a result was made from."""
        record = self._of(target)
        return None if record is None else record.get("file")

    def _of(self, target: Path) -> dict[str, Any] | None:
        path = self._path(target)
        known = {} if path is None else self._read(path)
        return known.get(_hash(target.name)) if known else None

    def _path(self, target: Path) -> Path | None:
        """Return the file of the records for the folder of a result."""
        if target.parent not in self._paths:
            self._paths[target.parent] = _path(target.parent)
        return self._paths[target.parent]

    def _read(self, path: Path) -> dict[str, dict[str, Any]]:
        """Return the records of a folder; the last of each result counts."""
        if path in self._folders:
            return self._folders[path]
        found: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(OSError):
            for line in path.read_text("ascii", "replace").splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):  # a line that was cut
                    record = json.loads(line)
                    found[record["key"]] = record
        return self._folders.setdefault(path, found)


def digest(args: argparse.Namespace) -> str:
    """Return a hash value of all settings, with the contents of the files among them."""
    found = [fastrestore.__version__, args.command]
    found += [f"{name}={value}" for name, value in settings(args).items()]
    return hashlib.sha256("\n".join(found).encode(errors="surrogateescape")).hexdigest()


def settings(args: argparse.Namespace) -> dict[str, str]:
    """Return the options that change a result; files among them with a hash value."""
    found = {}
    for name, value in sorted(vars(args).items()):
        if name in _NEUTRAL or value is None:
            continue
        found[spelled(name)] = str(value)
        if isinstance(value, str) and Path(value).is_file():
            found[f"content of {spelled(name)}"] = digest_of(Path(value)) or ""
    return found


def digest_of(path: Path) -> str | None:
    """Return a hash value of the content of a file, or of numbered images; None if unreadable."""
    value = hashlib.sha256()
    try:
        if path.is_dir():  # too large to be read
            return state_of(path)
        for name in films.files_of(path):
            with name.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    value.update(chunk)
    except OSError:
        return None
    return value.hexdigest()


def _path(folder: Path) -> Path | None:
    """Return the file of the records for a folder; None if there are to be none."""
    place = os.environ.get(VARIABLE)
    if place == "0":
        return None
    if place is None:
        import platformdirs

        place = str(platformdirs.user_cache_path("fastrestore", appauthor=False) / "records")
    return Path(place) / f"{_hash(os.path.realpath(folder))}.jsonl"


def _place(path: Path) -> str:
    """Return a hash value of a path, the same for all spellings of it."""
    return _hash(os.path.join(os.path.realpath(path.parent), path.name))  # noqa: PTH118


def _hash(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:32]


def _state(path: Path) -> list[int] | None:
    """Return size and time of a file, or of numbered images, which change with the content."""
    try:
        if path.is_dir():
            return [int(state_of(path)[:_DIGITS], 16)]
        states = [file.stat() for file in films.files_of(path)]
    except OSError:
        return None
    return [number for state in states for number in (state.st_size, state.st_mtime_ns)]
