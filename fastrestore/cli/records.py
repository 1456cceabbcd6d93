"""Records of what results were made from, for --resume.

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

import fastrestore
from fastrestore._io import films
from fastrestore.cli.paths import Work

VARIABLE = "FASTRESTORE_RECORDS"  # another folder, or 0 for none
# Options that do not change a result
_NEUTRAL = {
    "run", "command", "inputs", "output", "overwrite", "resume", "quiet", "jobs", "json", "report",
    "dry_run", "compare", "recursive", "workers", "max_image_gb",
}  # fmt: skip
_CHUNK = 2**20


def is_current(work: Work, settings: str) -> bool | None:
    """Whether a result was made from its file with these settings; None if it is not known.

    A result that was changed since is not known.
    """
    record = _read(work.target).get(_key(work.target))
    if record is None or record.get("result") != _state(work.target):
        return None
    return record.get("source") == digest_of(work.source) and record.get("settings") == settings


def keep(work: Work, source: str | None, settings: str) -> None:
    """Record the hash values of the file and the settings that a result was made from."""
    record = {
        "key": _key(work.target),
        "source": source,
        "settings": settings,
        "result": _state(work.target),
    }
    path = _path(work.target)
    if path is None:
        return
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="ascii") as file:
            file.write(json.dumps(record) + "\n")


def digest(args: argparse.Namespace) -> str:
    """Return a hash value of all settings, with the contents of the files among them."""
    found = [fastrestore.__version__, args.command]
    for name, value in sorted(vars(args).items()):
        if name in _NEUTRAL:
            continue
        found.append(f"{name}={value!r}")
        if isinstance(value, str) and Path(value).is_file():
            found.append(digest_of(Path(value)) or "")
    return hashlib.sha256("\n".join(found).encode(errors="surrogateescape")).hexdigest()


def _read(target: Path) -> dict[str, dict[str, object]]:
    """Return the records of the folder of a result; the last of each counts."""
    found = {}
    path = _path(target)
    with contextlib.suppress(OSError):
        for line in path.read_text("ascii", "replace").splitlines() if path else ():
            with contextlib.suppress(ValueError, KeyError, TypeError):  # a line that was cut
                record = json.loads(line)
                found[record["key"]] = record
    return found


def _path(target: Path) -> Path | None:
    """Return the file of the records for the folder of a result."""
    place = os.environ.get(VARIABLE)
    if place == "0":
        return None
    if place is None:
        import platformdirs

        place = str(platformdirs.user_cache_path("fastrestore", appauthor=False) / "records")
    folder = os.path.realpath(target.parent)
    return Path(place) / f"{_hash(folder)}.jsonl"


def _key(target: Path) -> str:
    return _hash(target.name)


def _hash(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:32]


def _state(path: Path) -> list[int] | None:
    """Return size and time of a file, or of numbered images, which change with the content."""
    try:
        states = [file.stat() for file in films.files_of(path)]
    except OSError:
        return None
    return [number for state in states for number in (state.st_size, state.st_mtime_ns)]


def digest_of(path: Path) -> str | None:
    """Return a hash value of the content of a file, or of numbered images; None if unreadable."""
    value = hashlib.sha256()
    try:
        for name in films.files_of(path):
            with name.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    value.update(chunk)
    except OSError:
        return None
    return value.hexdigest()
