"""Backends and the choice among them.

A backend is a module that defines the functions of `Backend`. It never sees user input and
never raises on it. The choice is made in this order: this call (``backend=``), this block
(`use_backend`), this process (``FASTRESTORE_BACKEND``), this array, this hardware. An explicit
wish that cannot run raises; the automatic choice never raises and never warns.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from fastrestore.backends.protocol import Backend
from fastrestore.errors import BackendUnavailableError

# In the order of preference; a module is imported only when its turn comes.
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
        _wanted(name, f"use_backend({name!r})")
    token = _block.set(name)
    try:
        yield
    finally:
        _block.reset(token)


def select(backend: str | None = None, on_host: bool = True, needs: str = "bm3d_match") -> Backend:
    """Return the backend to use for this call (the order is in the module's docstring).

    `needs` names a function that it must have: not every one does everything.
    """
    for name, source in _wishes(backend):
        if name == "auto":
            break
        if name is not None:
            return _able(_wanted(name, source), source, needs)
    if on_host:
        return _automatic(needs)
    return _able(_wanted("cupy", "an image on a GPU"), "an image on a GPU", needs)


def _wishes(backend: str | None) -> list[tuple[str | None, str]]:
    """Who may have asked for a backend, the strongest first: its name or None, and how it was."""
    return [
        (backend, f"backend={backend!r}"),
        (_block.get(), f"use_backend({_block.get()!r})"),
        (os.environ.get(VARIABLE) or None, f"{VARIABLE}={os.environ.get(VARIABLE)!r}"),
    ]


def preferred() -> str | None:
    """Return the backend that a block or the environment asks for, if one does."""
    return next((name for name, _ in _wishes(None) if name is not None), None)


def why_unavailable(name: str) -> str | None:
    """Return None if the backend can run, else the reason and the cure in one line."""
    return _module(name).why_unavailable()


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
    wishes = [(wish, source) for wish, source in _wishes(None) if wish is not None]
    if wishes:
        print(f"{wishes[0][1]} is in force: calls use {wishes[0][0]}")  # noqa: T201


@functools.cache
def _module(name: str) -> Backend:
    """Import a backend by its name in the table."""
    module: Backend = importlib.import_module(MODULES[name])
    return module


def _wanted(name: str, source: str) -> Backend:
    """Return the backend that `source` asks for, or say why not."""
    if not isinstance(name, str):
        raise TypeError(f"backend must be a name, one of {_names()}, got {name!r}")
    if name not in MODULES:
        raise ValueError(f"{source}: there is no such backend; write one of {_names()}")
    reason = why_unavailable(name)
    if reason is not None:
        raise BackendUnavailableError(f"{source} cannot run here: {reason}")
    return _module(name)


def _able(engine: Backend, source: str, needs: str) -> Backend:
    """Refuse a backend that does not do what is needed."""
    if hasattr(engine, needs):
        return engine
    able = ", ".join(repr(name) for name in MODULES if hasattr(_module(name), needs))
    raise BackendUnavailableError(f"{source}: {engine.NAME!r} does not do this; {able} do")


def _automatic(needs: str) -> Backend:
    """Return the first backend that works; numpy always does."""
    able = (name for name in MODULES if hasattr(_module(name), needs))
    name = next(name for name in able if why_unavailable(name) is None)
    _log.debug("backend %s chosen", name)
    return _module(name)


def _names() -> str:
    return ", ".join(repr(name) for name in ("auto", *MODULES))
