"""Table and selection of backends.

The order of selection is: the call (``backend=``), the block (`use_backend`), the process
(``FASTRESTORE_BACKEND``), the array library, the hardware and the size of the image. An explicit
request that cannot run raises an error. The automatic choice never raises or warns; a call that
then fails on the GPU is repeated by the next backend, with a warning.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from fastrestore._arrays import validate
from fastrestore.backends.protocol import Availability, Backend
from fastrestore.errors import BackendUnavailableError

# In order of preference. A package is imported to check whether it is available, and its module
# `engine` when it is selected.
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
    """Select the backend for a ``with`` block, or as a decorator for a function.

    Calls in the block that name a `backend` themselves are not affected.

    Parameters
    ----------
    name : {"auto", "cupy", "numba", "numpy"}, or "cupy:1"
        Name of the backend, or "auto" for the automatic choice. A number after "cupy" is that of
        the GPU to which arrays on the host are copied, by default the current one of CuPy.

    Yields
    ------
    None
        Nothing: the block runs with the backend.

    Raises
    ------
    TypeError, ValueError
        If `name` is not the name of a backend.
    BackendUnavailableError
        If the backend cannot run here.

    See Also
    --------
    show_backends : Print which backends can run.
    BackendUnavailableError : The error if the backend cannot run.

    Notes
    -----
    The selection applies to the current thread or asynchronous task. The argument ``backend`` of a
    function takes precedence, and the environment variable ``FASTRESTORE_BACKEND`` sets the
    default. Results are arrays of the same kind as the input for every backend; arrays are copied
    to the device of the backend and back if necessary.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> noisy = np.random.default_rng(0).normal(100, 10, (32, 32))
    >>> with fastrestore.use_backend("numpy"):
    ...     restored = fastrestore.bm3d(noisy, sigma=10, profile="fast")
    """
    if not isinstance(name, str) or name != "auto":
        _requested(name, f"use_backend({name!r})")
    token = _block.set(name)
    try:
        yield
    finally:
        _block.reset(token)


def select(
    backend: str | None = None,
    on_host: bool = True,
    capability: str = "image",
    size: int | None = None,
) -> Backend:
    """Return the backend for a call that requires a capability, for an image of `size` values."""
    requested = _explicit(backend)
    if requested is not None:
        return _capable(_requested(*requested), requested[1], capability)
    if on_host:
        return _automatic(_candidates(capability, size))
    source = "an image on a GPU"
    return _capable(_requested("cupy", source), source, capability)


def substitute(
    chosen: Backend, backend: str | None, on_host: bool, capability: str
) -> Backend | None:
    """Return the backend to use if `chosen` fails; None if it was requested, or is the last."""
    if chosen.NAME != "cupy" or not on_host or _explicit(backend) is not None:
        return None
    return _engine(next(name for name in _candidates(capability) if name != chosen.NAME))


def device(backend: str | None) -> int | None:
    """Return the number of the device that is requested by a name such as "cupy:1", or None."""
    requested = _explicit(backend)
    return None if requested is None else _split(requested[0])[1]


def on_device(name: Any, backend: str | None) -> str:
    """Return the backend for a device of PyTorch: "cpu", "cuda" or "cuda:1"."""
    kind, colon, number = str(name).partition(":")
    if kind == "cuda" and (number.isdecimal() or not colon):
        found = f"cupy{colon}{number}"
    elif str(name) == "cpu":
        found = next(each for each in _candidates("image") if each != "cupy")
        found = backend if backend in ("numba", "numpy") else found
    else:
        raise ValueError(f"device must be 'cpu', 'cuda' or 'cuda:1', got {validate.quoted(name)}")
    if backend not in (None, "auto", found, found.partition(":")[0]):
        raise ValueError(
            f"device={str(name)!r} and backend={validate.quoted(backend)} disagree; leave one out"
        )
    return found


def _explicit(backend: str | None) -> tuple[str, str] | None:
    """Return the name of the requested backend and the source of the request, if there is one."""
    for name, source in _requests(backend):
        if isinstance(name, str) and name == "auto":
            return None
        if name is not None:
            return name, source
    return None


def _requests(backend: str | None) -> list[tuple[str | None, str]]:
    """Return the requested backends, by precedence: name or None, and its source."""
    block, variable = _block.get(), os.environ.get(VARIABLE)
    return [
        (backend, f"backend={validate.quoted(backend)}"),
        (block, f"use_backend({block!r})"),
        (variable or None, f"{VARIABLE}={variable!r}"),
    ]


def preferred() -> str | None:
    """Return the backend that a block or the environment requests, if one does."""
    return next((name for name, _ in _requests(None) if name is not None), None)


@functools.cache
def why_unavailable(name: str) -> str | None:
    """Return None if the backend can run, else the reason and the cure in one line."""
    try:
        return _package(name).why_unavailable()
    except Exception as error:  # of a backend that was added from outside
        return f"the check of this backend failed: {error!r}"


if hasattr(os, "register_at_fork"):  # GPU drivers do not work after a fork
    os.register_at_fork(after_in_child=why_unavailable.cache_clear)


def show_backends() -> None:
    """Print all backends, whether they can run here, and if not, the reason and the cure.

    The list is in order of preference. It can be pasted into a bug report.

    See Also
    --------
    use_backend : Select the backend for a block.
    BackendUnavailableError : The error if a requested backend cannot run.

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
    """Import the module of an available backend."""
    return cast(Backend, importlib.import_module(f"{MODULES[name]}.engine"))


def _requested(name: str, source: str) -> Availability:
    """Return the backend that `source` requests; raise if it cannot run."""
    if not isinstance(name, str):
        raise TypeError(f"backend must be a name, one of {_names()}, got {validate.quoted(name)}")
    kind, number = _split(name)
    if kind not in MODULES:
        raise ValueError(f"{source}: there is no such backend; use one of {_names()}")
    reason = why_unavailable(kind)
    if reason is None and number is not None:
        reason = _package(kind).why_no_device(number)
    if reason is not None:
        raise BackendUnavailableError(f"{source} cannot run here: {reason}")
    return _package(kind)


def _split(name: str) -> tuple[str, int | None]:
    """Return the name of a backend and the number of its device, if there is one."""
    kind, _, number = name.partition(":")
    return (kind, int(number)) if number.isdecimal() else (name, None)


def _capable(package: Availability, source: str, capability: str) -> Backend:
    """Return the module of a backend; raise if it lacks a capability."""
    if capability in package.capabilities:
        return _engine(package.NAME)
    capable = ", ".join(
        repr(name)
        for name in MODULES
        if why_unavailable(name) is None and capability in _package(name).capabilities
    )
    raise BackendUnavailableError(
        f"{source}: {package.NAME!r} lacks the capability {capability!r}; use one of {capable}"
    )


def _candidates(capability: str, size: int | None = None) -> Iterator[str]:
    """Yield the backends that can run, in order of preference; the last is "numpy"."""
    for name in MODULES:
        try:
            package = _package(name)
        except Exception:  # of a backend that was added from outside
            continue
        small = size is not None and size < package.least_size.get(capability, 0)
        if not small and capability in package.capabilities and why_unavailable(name) is None:
            yield name


def _automatic(candidates: Iterator[str]) -> Backend:
    """Return the first backend."""
    name = next(candidates)
    _log.debug("backend %s chosen", name)
    return _engine(name)


def _names() -> str:
    return ", ".join(repr(name) for name in ("auto", *MODULES))
