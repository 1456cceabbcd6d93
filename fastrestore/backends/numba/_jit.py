"""All options of Numba, with reasons, and the disk cache of compiled kernels.

Numba's disk cache detects changes of the file of a function, but not of the functions it calls. The
folder of the cache is therefore named after the versions of the package and of Numba, and a hash of
all sources of this backend.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numba
import platformdirs

import fastrestore

VARIABLE = "FASTRESTORE_NUMBA_CACHE"  # "0" or "off" for no cache, else a folder

F = TypeVar("F", bound=Callable[..., Any])
_lock = threading.RLock()


def kernel(function: F) -> F:
    """Compile a function on its first call.

    Kernels are serial and release the GIL, because the package has its own threads (see `_pool`).
    Without fast-math the order of additions is fixed, so results do not depend on the division of
    work. Kernels allocate nothing and get their working memory from the caller, so reference
    counting is switched off; its atomic operations take a tenth of the time.
    """
    folder = cache_folder()
    with _lock, _numba_cache(folder):
        compiled: F = numba.njit(
            nogil=True, error_model="numpy", _nrt=False, cache=folder is not None
        )(function)
    return compiled


def inlined(function: F) -> F:
    """Inline a function into its callers, to avoid passing large structures."""
    compiled: F = numba.njit(inline="always", nogil=True, error_model="numpy")(function)
    return compiled


def once(make: F) -> F:
    """Cache the kernels that a function compiles, so that threads compile each one once."""
    made = functools.cache(make)

    @functools.cache  # a hit needs no lock
    @functools.wraps(make)
    def locked(*args: Any) -> Any:
        with _lock:
            return made(*args)

    return locked  # type: ignore[return-value]


@functools.cache
def cache_folder() -> Path | None:
    """Return the folder of compiled kernels, or None without a cache."""
    chosen = os.environ.get(VARIABLE, "")
    if chosen.lower() in ("0", "off"):
        return None
    home = chosen or os.environ.get("NUMBA_CACHE_DIR") or platformdirs.user_cache_dir("fastrestore")
    folder = Path(home) / f"{fastrestore.__version__}-numba{numba.__version__}-{_source_hash()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None  # read-only: every process compiles its kernels


def _source_hash() -> str:
    """Hash of the sources of this backend, and of the file with constants of its kernels."""
    digest = hashlib.sha256()
    constants = Path(fastrestore.__file__).parent / "backends" / "protocol.py"
    for source in [*sorted(Path(__file__).parent.glob("*.py")), constants]:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def _numba_cache(folder: Path | None) -> Iterator[None]:
    """Set the cache folder of Numba while it decorates a function."""
    before = numba.config.CACHE_DIR
    try:
        if folder is not None:
            numba.config.CACHE_DIR = str(folder)
        yield
    finally:
        numba.config.CACHE_DIR = before
