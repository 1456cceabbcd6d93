"""Bands of an image or volume, processed by serial kernels that release the GIL, on threads.

A thread pool exists for one call only: it is not inherited by forks, not shared between callers,
and needs no shutdown. Its working memory is kept between calls: new pages take time, because the
system clears them, and threads wait for each other meanwhile.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba._simd import aligned_empty

T = TypeVar("T")

LEAST = 1.5  # milliseconds of work: starting a thread and waiting for it takes up to 0.5
MOST = 2**27  # bytes that a calling thread keeps; 85 MiB for 128x128x32 voxels, two workers
LINE = 8  # float64 numbers


def run_bands(work: Callable[[T], None], bands: Sequence[T], workers: int) -> Iterable[None]:
    """Call `work` for every band, on up to `workers` threads; yield after each band in turn."""
    if workers == 1 or len(bands) == 1:
        return map(work, bands)
    return _run_threads(work, bands, workers)


def useful(workers: int, milliseconds: float) -> int:
    """Return the number of threads that make work of about this length shorter."""
    return workers if milliseconds > LEAST else 1


def _run_threads(work: Callable[[T], None], bands: Sequence[T], workers: int) -> Iterable[None]:
    """Take bands from the left, on the thread of the caller and on others."""
    waiting, done = deque(bands), deque[None]()

    def take() -> None:
        try:
            for band in _taken(waiting):
                work(band)
                done.append(None)
        except BaseException:
            waiting.clear()
            raise

    with ThreadPoolExecutor(min(workers, len(bands)) - 1, "fastrestore") as pool:
        try:
            others = _started(take, min(workers, len(bands)) - 1, pool)
            for band in _taken(waiting):
                work(band)
                done.append(None)
                while done:
                    yield done.popleft()
            for other in others:
                other.result()
            yield from done
        finally:
            waiting.clear()


def _taken(waiting: deque[T]) -> Iterator[T]:
    """Yield bands that no other thread has taken."""
    while True:
        try:
            band = waiting.popleft()
        except IndexError:
            return
        yield band


def _started(work: Callable[[], None], count: int, pool: ThreadPoolExecutor) -> list[Future[None]]:
    """Start the work on some threads."""
    try:
        return [pool.submit(work) for _ in range(count)]
    except RuntimeError as error:
        raise MemoryError(f"{error}: there is too little memory; write workers=1") from None


def cut(size: int, bands: int, least: int, most: int) -> list[range]:
    """Divide `size` rows into about `bands` bands of `least` to `most` rows."""
    rows = min(most, max(least, -(-size // bands)))
    return [range(at, min(at + rows, size)) for at in range(0, size, rows)]


def span(part: range) -> slice:
    """Return the slice of a range."""
    return slice(part.start, part.stop)


def regular(grid: NDArray[np.int64], step: int, start: int = 0) -> list[range]:
    """Split off the last reference if it is nearer to its neighbor than a step."""
    size = len(grid)
    if size > 1 and grid[-1] - grid[-2] != step:
        return [range(start, start + size - 1), range(start + size - 1, start + size)]
    return [range(start, start + size)]


def reach(corners: NDArray[np.int64], size: int, block: int, radius: int) -> range:
    """Range of corners of all possible blocks in groups with these references, along one axis."""
    first = max(0, int(corners[0]) - radius)
    last = min(size - block, int(corners[-1]) + radius)
    return range(first, last + 1)


class _Kept(threading.local):
    """Memory that no call of this thread uses."""

    block: NDArray[np.float64] | None = None


_kept = _Kept()


@contextmanager
def working_memory(sizes: Sequence[int]) -> Iterator[list[NDArray[np.float64]]]:
    """Lend float64 arrays of these sizes, aligned to cache lines and not initialized."""
    ends = list(itertools.accumulate(-(-size // LINE) * LINE for size in sizes))
    block, _kept.block = _kept.block, None  # a callback may begin another call
    if block is None or block.size < ends[-1]:
        block = aligned_empty(ends[-1], np.float64)
    try:
        yield [block[start:end] for start, end in itertools.pairwise([0, *ends])]
    finally:
        if block.nbytes <= MOST:
            _kept.block = block


def view(memory: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the first elements as an array of this shape."""
    return memory[: math.prod(shape)].reshape(shape)
