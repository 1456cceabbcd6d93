"""Kernel launches on the current stream, and what a recorded call has to keep."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastrestore._arrays import interop
from fastrestore._cuda import module

FREE_SHARED = 48 * 1024  # bytes of shared memory per thread block without opting in

_NOTHING = np.uintp(0)  # a null pointer


def current() -> int:
    """Return the number of the current GPU."""
    device: int = interop.load_cupy().cuda.runtime.getDevice()
    return device


def launch(
    name: str,
    constants: module.Constants,
    grid: tuple[int, ...],
    threads: tuple[int, ...],
    arguments: tuple[Any, ...],
    shared: int = 0,
) -> None:
    """Launch a kernel on the current stream; None is a null pointer."""
    kernel = module.kernel(current(), name, constants)
    if shared > FREE_SHARED and kernel.max_dynamic_shared_size_bytes < shared:
        kernel.max_dynamic_shared_size_bytes = shared
    given = tuple(_NOTHING if value is None else value for value in arguments)
    _keep(given)
    kernel(grid, threads, given, shared_mem=shared)


_keeping = threading.local()


@contextmanager
def arguments_kept(kept: list[Any]) -> Iterator[None]:
    """Keep the arguments of all kernels that this thread launches."""
    _keeping.arguments = kept
    try:
        yield
    finally:
        _keeping.arguments = None


def _keep(arguments: tuple[Any, ...]) -> None:
    """Keep the arguments of a kernel, if it is recorded."""
    kept = getattr(_keeping, "arguments", None)
    if kept is not None:
        kept.append(arguments)
