"""Compiled kernels on disk: compile, count and remove them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from fastrestore import bm3d
from fastrestore.backends.numba._jit import cache_folder

KERNELS = ("*.nbi", "*.nbc")  # index and code files of Numba


def warm() -> float:
    """Compile the kernels of the default profile; return the time in seconds."""
    start = time.perf_counter()
    bm3d(np.add.outer(np.arange(16.0), np.arange(16.0)), 1.0, backend="numba")
    return time.perf_counter() - start


def info() -> dict[str, object]:
    """Return the folder, or None without a cache, its number of files and their size in bytes."""
    files = _files()
    return {
        "path": cache_folder(),
        "files": len(files),
        "bytes": sum(file.stat().st_size for file in files),
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
    if folder is None:
        return []
    homes = [home for home in folder.parent.iterdir() if "-numba" in home.name]
    return [file for home in homes for pattern in KERNELS for file in home.rglob(pattern)]
