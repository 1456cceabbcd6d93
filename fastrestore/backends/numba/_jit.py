"""All options of Numba, with reasons, and the folder of compiled kernels.

A kernel contains the functions it calls. The folder of the disk cache (see `_disk`) is therefore
named after the versions of the package and of Numba, and a hash of all code of this backend.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import platformdirs

import fastrestore
from fastrestore.backends.numba._compiler import KernelCompiler, Part, PartCompiler
from fastrestore.backends.numba._disk import KernelCache

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
    compiled: F = numba.njit(
        nogil=True,
        error_model="numpy",
        _nrt=False,
        no_cfunc_wrapper=True,
        pipeline_class=KernelCompiler,
    )(function)
    folder = cache_folder()
    if folder is not None:
        compiled._cache = KernelCache(function, folder)  # type: ignore[attr-defined]
    return compiled


def part(function: F) -> F:
    """Compile a function as part of kernels only, without an entry for Python.

    Entries of functions with large structures take longer to compile than the functions. They are
    always inlined by LLVM, because passing large structures takes time, too.
    """
    return _part(function, is_inlined=True)


def routine(function: F) -> F:
    """Compile a function as part of kernels only, without an entry for Python, and not inlined."""
    return _part(function, is_inlined=False)


def _part(function: F, is_inlined: bool) -> F:
    options = {
        "nopython": True,
        "nogil": True,
        "error_model": "numpy",
        "_nrt": False,
        "forceinline": is_inlined,
        "no_cpython_wrapper": True,
        "no_cfunc_wrapper": True,
    }
    compiled: F = Part(function, targetoptions=options, pipeline_class=PartCompiler)
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
    """Return the folder of compiled kernels, which may not exist, or None without a cache."""
    chosen, stamp = os.environ.get(VARIABLE, ""), _code_stamp()
    if stamp is None or chosen.lower() in ("0", "off"):
        return None
    home = chosen or os.environ.get("NUMBA_CACHE_DIR") or platformdirs.user_cache_dir("fastrestore")
    return Path(home) / f"{fastrestore.__version__}-numba{numba.__version__}-{stamp}"


def _code_stamp() -> str | None:
    """Return a hash that changes with the code of this backend; None if there is no such file.

    It is that of the sources or the bytecode, including the files with constants of the kernels. An
    archive, or the executable of a frozen application, is identified by its size and time.
    """
    here = Path(__file__)
    digest = hashlib.sha256()
    try:
        files = sorted(here.parent.glob(f"*{here.suffix}"))
        if files:
            shared = [here.parents[1] / f"{name}{here.suffix}" for name in ("limits", "protocol")]
            for file in [*files, *shared]:
                digest.update(file.read_bytes())
        else:
            frozen = getattr(sys, "frozen", False)
            archives = [Path(sys.executable)] if frozen else filter(Path.is_file, here.parents)
            status = next(iter(archives)).stat()
            digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
    except (OSError, StopIteration):
        return None
    return digest.hexdigest()[:12]
