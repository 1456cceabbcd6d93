"""The disk cache of compiled kernels: one file for each kernel, signature and processor.

A file begins with the length of its content and a digest of its name and content. They are compared
before the content is used, because damaged machine code can crash the process. Nothing that is
wrong with the cache reaches a call: a file that cannot be used counts as absent. Its kernel is
compiled again, and the file is replaced if the disk permits it.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from fastrestore._arrays.resources import check_address_space

ADDRESS_SPACE = 2**28  # bytes; LLVM ends the process if it gets none
SUFFIX = ".nbc"
LENGTH, DIGEST = 8, 32  # bytes


class KernelCache(FunctionCache):
    """The cache of one kernel, for Numba, with files in a folder of ours.

    Numba's own caches need the source file of a function, trust what they read, and raise errors of
    the disk.
    """

    def __init__(self, function: Any, folder: Path) -> None:
        # The base class, whose initialization looks for source files, only computes the keys
        self._name, self._py_func, self._enabled = repr(function), function, True
        self._cache_path = str(folder)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the compiled kernel, or None if there is no file that can be used."""
        check_address_space(ADDRESS_SPACE, "compiling or loading a kernel")
        # No `target.refresh()`, which imports what only compilation needs, among it SciPy
        if not self._enabled:
            return None
        try:
            content = read(self._file(signature, target.codegen()))
            return CompileResult._rebuild(target, *pickle.loads(content))
        except Exception:
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Write the compiled kernel, unless it depends on this process or the disk refuses it."""
        dynamic = compiled.library.has_dynamic_globals
        if not self._enabled or dynamic or any(not part.can_cache for part in compiled.lifted):
            return
        try:
            path = self._file(signature, compiled.codegen)
            # Environments without constants are not used, and loading them would import modules
            *others, environments = compiled._reduce()
            needed = tuple(each for each in environments if each.consts)
            write(path, dumps((*others, needed)))
        except Exception:
            return

    def flush(self) -> None:
        """Remove nothing: Numba calls this to compile a changed function again."""

    def _file(self, signature: Any, codegen: Any) -> Path:
        """Return the file of a kernel; different keys have different files."""
        _, *rest = self._index_key(signature, codegen)
        key = repr((str(signature), rest, sys.implementation.cache_tag)).encode()
        module = self._py_func.__module__.rpartition(".")[2]
        name = f"{module}.{self._py_func.__qualname__}".replace("<", "").replace(">", "")
        return Path(self._cache_path) / f"{name}-{hashlib.sha256(key).hexdigest()[:24]}{SUFFIX}"


def read(path: Path) -> bytes:
    """Return the content of a file; raise `ValueError` if it is not the one written."""
    data = path.read_bytes()
    content = data[LENGTH + DIGEST :]
    if len(data) < LENGTH + DIGEST or len(content) != int.from_bytes(data[:LENGTH], "little"):
        raise ValueError("its length is wrong")
    if _digest(path, content) != data[LENGTH : LENGTH + DIGEST]:
        raise ValueError("its checksum is wrong")
    return content


def write(path: Path, content: bytes) -> None:
    """Write a file with its length and digest, and move it into its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with new.open("wb") as file:
            file.write(len(content).to_bytes(LENGTH, "little"))
            file.write(_digest(path, content))
            file.write(content)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _digest(path: Path, content: bytes) -> bytes:
    """Return the digest of the name of a file and its content."""
    digest = hashlib.sha256(path.name.encode())
    digest.update(content)
    return digest.digest()
