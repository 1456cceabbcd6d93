"""The table of backends and the choice among them.

The order of the choice is: this call (``backend=``), this block (`use_backend`), this process
(``FASTRESTORE_BACKEND``), this array, this hardware. An explicit request that cannot run raises;
the automatic choice never raises and never warns.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import cast

from fastrestore.backends.protocol import Availability, Backend
from fastrestore.errors import BackendUnavailableError

# In the order of preference. A package is imported when its turn comes, its module `engine` when
# the backend is available.
MODULES = {
    "cupy": "fastrestore.backends.cupy",
    "numba": "fastrestore.backends.numba",
    "numpy": "fastrestore.backends.numpy",
}
VARIABLE = "FASTRESTORE_BACKEND"

_log = logging.getLogger("fastrestore")
_block: ContextVar[str | None] = ContextVar("fastrestore_backend", default=None)


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Use one backend inside a ``with`` block, or as a decorator, in this thread or task.

    Parameters
    ----------
    name : str
        "numpy", "numba", "cupy", or "auto" for the automatic choice.

    Raises
    ------
    ValueError
        If there is no such backend.
    BackendUnavailableError
        If it cannot run here. The array type of a result is that of the input all the same:
        an array of another kind is copied to the backend and back.

    Examples
    --------
    >>> with fastrestore.use_backend("numba"):  # doctest: +SKIP
    ...     restored = fastrestore.bm3d(noisy, sigma=25)
    """
    if name != "auto":
        _requested(name, f"use_backend({name!r})")
    token = _block.set(name)
    try:
        yield
    finally:
        _block.reset(token)


def select(backend: str | None = None, on_host: bool = True, capability: str = "image") -> Backend:
    """Return the backend for this call, which must have a capability."""
    for name, source in _requests(backend):
        if name == "auto":
            break
        if name is not None:
            return _capable(_requested(name, source), source, capability)
    if on_host:
        return _automatic(capability)
    source = "an image on a GPU"
    return _capable(_requested("cupy", source), source, capability)


def _requests(backend: str | None) -> list[tuple[str | None, str]]:
    """Return the requested backends, the strongest request first: name or None, and its source."""
    block, variable = _block.get(), os.environ.get(VARIABLE)
    return [
        (backend, f"backend={backend!r}"),
        (block, f"use_backend({block!r})"),
        (variable or None, f"{VARIABLE}={variable!r}"),
    ]


def preferred() -> str | None:
    """Return the backend that a block or the environment requests, if one does."""
    return next((name for name, _ in _requests(None) if name is not None), None)


@functools.cache
def why_unavailable(name: str) -> str | None:
    """Return None if the backend can run, else the reason and the cure in one line."""
    return _package(name).why_unavailable()


if hasattr(os, "register_at_fork"):  # a driver of a GPU does not survive a fork
    os.register_at_fork(after_in_child=why_unavailable.cache_clear)


def show_backends() -> None:
    """Print every backend, whether it can run here and, if not, why and what helps.

    Examples
    --------
    >>> fastrestore.show_backends()  # doctest: +SKIP
    cupy   unavailable: ...
    numba  available (automatic choice)
    numpy  available
    """
    chosen = select("auto").NAME
    for name in MODULES:
        reason = why_unavailable(name)
        state = "available" if reason is None else f"unavailable: {reason}"
        print(f"{name:6} {state}{' (automatic choice)' if name == chosen else ''}")  # noqa: T201
    requests = [(name, source) for name, source in _requests(None) if name is not None]
    if requests:
        print(f"calls use {requests[0][0]}, by {requests[0][1]}")  # noqa: T201


@functools.cache
def _package(name: str) -> Availability:
    """Import the package of a backend by its name in the table."""
    return cast(Availability, importlib.import_module(MODULES[name]))


@functools.cache
def _engine(name: str) -> Backend:
    """Import the functions of an available backend."""
    return cast(Backend, importlib.import_module(f"{MODULES[name]}.engine"))


def _requested(name: str, source: str) -> Availability:
    """Return the backend that `source` requests; raise if it cannot run."""
    if not isinstance(name, str):
        raise TypeError(f"backend must be a name, one of {_names()}, got {name!r}")
    if name not in MODULES:
        raise ValueError(f"{source}: there is no such backend; use one of {_names()}")
    reason = why_unavailable(name)
    if reason is not None:
        raise BackendUnavailableError(f"{source} cannot run here: {reason}")
    return _package(name)


def _capable(package: Availability, source: str, capability: str) -> Backend:
    """Return the functions of a backend; raise if it lacks a capability."""
    if capability in package.capabilities:
        return _engine(package.NAME)
    capable = ", ".join(repr(name) for name in MODULES if capability in _package(name).capabilities)
    raise BackendUnavailableError(
        f"{source}: {package.NAME!r} lacks the capability {capability!r}; use one of {capable}"
    )


def _automatic(capability: str) -> Backend:
    """Return the first backend that can run; numpy always can."""
    capable = (name for name in MODULES if capability in _package(name).capabilities)
    name = next(name for name in capable if why_unavailable(name) is None)
    _log.debug("backend %s chosen", name)
    return _engine(name)


def _names() -> str:
    return ", ".join(repr(name) for name in ("auto", *MODULES))
