"""All the options of Numba, with their reasons, and where compiled kernels are kept.

Numba's disk cache sees changes in the file of a function, not in the files of what it calls,
so kernels are kept in a folder named after a hash of all sources of this backend, the version
of the package and the version of Numba: what is found there was made from this very text.
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

VARIABLE = "FASTRESTORE_NUMBA_CACHE"  # "0" or "off": none; else the folder to use

F = TypeVar("F", bound=Callable[..., Any])
_lock = threading.RLock()


def kernel(function: F) -> F:
    """Compile a function on its first call, for all processors of this machine's kind.

    Serial and without the interpreter's lock: threads are ours (see `_pool`). No fast-math:
    sums keep their order, so that a result does not depend on how work was divided.

    Kernels allocate nothing, callers give them their working memory: so Numba need not count
    references to arrays, which with atomic counters costs a tenth of the time.
    """
    folder = cache_folder()
    with _lock, _numba_cache(folder):
        compiled: F = numba.njit(
            nogil=True, error_model="numpy", _nrt=False, cache=folder is not None
        )(function)
    return compiled


def inlined(function: F) -> F:
    """Compile a function into its callers, where passing large structures would cost time."""
    compiled: F = numba.njit(inline="always", nogil=True, error_model="numpy")(function)
    return compiled


def once(make: F) -> F:
    """Cache the kernels that a function makes; two threads never make the same one twice."""
    made = functools.cache(make)

    @functools.cache  # so that a hit needs no lock
    @functools.wraps(make)
    def locked(*args: Any) -> Any:
        with _lock:
            return made(*args)

    return locked  # type: ignore[return-value]


@functools.cache
def cache_folder() -> Path | None:
    """Folder of compiled kernels, or None where none can be written."""
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
        return None  # a read-only home: kernels are compiled anew in every process


def _source_hash() -> str:
    """Hash of the sources of this backend, and of the constants that its kernels hold."""
    digest = hashlib.sha256()
    constants = Path(fastrestore.__file__).parent / "_collaborative" / "stage.py"
    for source in [*sorted(Path(__file__).parent.glob("*.py")), constants]:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def _numba_cache(folder: Path | None) -> Iterator[None]:
    """Point Numba at our folder while it decorates: it remembers the folder of that moment."""
    before = numba.config.CACHE_DIR
    try:
        if folder is not None:
            numba.config.CACHE_DIR = str(folder)
        yield
    finally:
        numba.config.CACHE_DIR = before
