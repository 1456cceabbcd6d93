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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastrestore._profile import Profile
from fastrestore._stage import Channels, FloatArray, Image, Matches, Run, Stage
from fastrestore._volume import CubeMatches, Volume, Volumes, VolumeStage
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


class Availability(Protocol):
    """What every row of the table has, whether it can run or not."""

    NAME: str

    def why_unavailable(self) -> str | None:
        """Return None, or the reason and the cure in one line."""
        ...


class Backend(Availability, Protocol):
    """The functions of a backend; images are C-ordered float32.

    Images go in by `load` and out by `store`; in between they are where the backend works, and only
    its functions read them. Blocks are matched on one image and filtered in every channel, by the
    same groups.
    """

    def memory(self) -> Any:
        """Return what `Run.memory` holds: buffers that may be used again, or None."""
        ...

    def warm(
        self, profile: Profile, stages: tuple[str, ...], dtype: np.dtype[Any], run: Run
    ) -> None:
        """Get ready for the stages of images of a type."""
        ...

    def bm3d_memory(
        self, shape: tuple[int, int, int], maps: int, profile: Profile, run: Run
    ) -> int:
        """Return how many bytes restoring (C, M, N) takes, about, beside image and result.

        `maps` is how many numbers a pixel are told of its noise.
        """
        ...

    def bring(self, array: Any) -> Any:
        """Return an array that `load` takes: on the host for a backend that works there."""
        ...

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any], like: Any) -> Any:
        """Return memory for a result, of the kind of the array `like`."""
        ...

    def load(
        self,
        name: str,
        planes: Any,
        exponent: int,
        matrix: FloatArray,
        least: int,
        run: Run,
    ) -> Channels:
        """Times 2**exponent, times a matrix of colours, mirrored to at least (least, least).

        What is loaded next by the same name takes its place.
        """
        ...

    def luminance(self, channels: Channels, weights: FloatArray, run: Run) -> Image:
        """Return the weighted sum of the channels."""
        ...

    def robust_range(self, image: Image, run: Run) -> Any:
        """Return the range from the 1st to the 99th percentile."""
        ...

    def store(
        self,
        channels: Channels,
        exponent: int,
        matrix: FloatArray,
        exact: NDArray[np.bool_] | None,
        planes: Any,
        out: Any,
        run: Run,
    ) -> None:
        """Undo `load`, into `out`; where `exact` says so, with what is in `planes`."""
        ...

    def fetch(self, channels: Channels) -> Channels:
        """Return channels as a NumPy array."""
        ...

    def put(self, channels: Channels) -> Channels:
        """Return channels that were fetched to where the backend works."""
        ...

    def bm3d_match(self, image: Image, stage: Stage, run: Run) -> Matches:
        """Group the blocks of `image`."""
        ...

    def bm3d_basic(self, noisy: Channels, matches: Matches, stage: Stage, run: Run) -> Channels:
        """Collaborative hard thresholding and aggregation."""
        ...

    def bm3d_sharpened(self, noisy: Channels, matches: Matches, stage: Stage, run: Run) -> Channels:
        """The same, with roots of what is kept; not every backend has it."""
        ...

    def bm3d_final(
        self, noisy: Channels, pilot: Channels, matches: Matches, stage: Stage, run: Run
    ) -> Channels:
        """Collaborative Wiener filtering and aggregation."""
        ...


class VideoStage(Protocol):
    """One stage of V-BM3D over a window of frames that moves along a film.

    Frames lie in slots, in any order; `slots` says which there are, in order of time.
    """

    def put(self, slot: int, matched: Image, noisy: Channels, pilot: Channels | None) -> None:
        """Place a frame: what blocks are matched on, and what is filtered."""
        ...

    def matches(self, slots: Sequence[int], centre: int) -> Matches:
        """Group the blocks of the frames in `slots`, for the references of the one at `centre`.

        Offsets are those in a tall image, in which the slots lie below each other.
        """
        ...

    def filter(self, slots: Sequence[int], centre: int) -> None:
        """Filter the groups of the frame slots[centre], and lay them down."""
        ...

    def take(self, slot: int) -> Channels:
        """Return the estimate of a frame, and make room for another."""
        ...


class VideoBackend(Backend, Protocol):
    """A backend that restores films, too."""

    def video_stage(self, shape: tuple[int, int, int, int], stage: Stage, run: Run) -> VideoStage:
        """Make a stage for windows of (slots, C, M, N)."""
        ...


class VolumeBackend(Backend, Protocol):
    """A backend that restores volumes, too: (P, M, N), and channels of them."""

    def bm4d_match(self, volume: Volume, stage: VolumeStage, run: Run) -> CubeMatches:
        """Group the blocks of `volume`."""
        ...

    def bm4d_basic(
        self, noisy: Volumes, matches: CubeMatches, stage: VolumeStage, run: Run
    ) -> Volumes:
        """Collaborative hard thresholding and aggregation."""
        ...

    def bm4d_final(
        self,
        noisy: Volumes,
        pilot: Volumes,
        matches: CubeMatches,
        stage: VolumeStage,
        run: Run,
    ) -> Volumes:
        """Collaborative Wiener filtering and aggregation."""
        ...


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
