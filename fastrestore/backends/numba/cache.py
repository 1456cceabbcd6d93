"""Compiled kernels on disk: count and remove them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastrestore.backends.numba._disk import SUFFIX, read, write
from fastrestore.backends.numba._jit import VARIABLE, cache_folder

KERNELS = ("*.nbi*", "*.nbc*")  # also index files of earlier versions, and files half written
TRIAL = 2**20  # bytes, more than the largest kernel: to test whether the disk accepts a file


def info() -> dict[str, Any]:
    """Return the folder, or None without a cache, and its number of files and size in bytes.

    "problems" are sentences about what is wrong.
    """
    files = _files()
    return {
        "path": cache_folder(),
        "files": len(files),
        "bytes": sum(file.stat().st_size for file in files),
        "problems": _problems(),
    }


def clear() -> int:
    """Remove the kernels of all versions; return the number of files."""
    files = _files()
    for file in files:
        file.unlink(missing_ok=True)
    return len(files)


def _files() -> list[Path]:
    """Return the files of all kernels, of all versions."""
    folder = cache_folder()
    if folder is None or not folder.parent.is_dir():
        return []
    homes = [home for home in folder.parent.iterdir() if "-numba" in home.name]
    found = [file for home in homes for pattern in KERNELS for file in home.rglob(pattern)]
    return [file for file in found if file.is_file()]


def _problems() -> list[str]:
    """Describe what is wrong with the cache of this version."""
    folder = cache_folder()
    if folder is None:
        return [f"kernels are not cached: {VARIABLE} is 0 or off, or the code has no files"]
    damaged = _damaged(folder)
    problems = [f"{file.name} is damaged: {error}" for file, error in damaged]
    if damaged:
        problems.append("damaged kernels are compiled again and replaced when they are used")
    try:
        write(folder / "trial.nbc", bytes(TRIAL))
        (folder / "trial.nbc").unlink()
    except OSError as error:
        text = error.strerror or str(error)
        problems.append(f"kernels cannot be stored, and each process compiles its own: {text}")
    return problems


def _damaged(folder: Path) -> list[tuple[Path, str]]:
    """Return the files that cannot be used, with the reasons."""
    found = []
    for file in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            read(file)
        except (OSError, ValueError) as error:
            found.append((file, getattr(error, "strerror", None) or str(error)))
    return found
