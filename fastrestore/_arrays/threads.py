"""Threads for independent parts of work in NumPy and SciPy, which release the GIL.

The pool exists within one call, as that of the Numba backend does. Parts may be divided further on
the same threads: a part that no thread has begun is computed where its result is needed, so nothing
waits for a part that cannot begin. Results do not depend on the number of threads.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Generic, TypeVar

# Bytes of addresses that another thread may need, for its stack and for buffers of BLAS. Without
# them OpenBLAS ends the process.
RESERVE = 2**27

T = TypeVar("T")
R = TypeVar("R")

_pool: ContextVar[ThreadPoolExecutor | None] = ContextVar("pool", default=None)


@contextlib.contextmanager
def limited_to(workers: int) -> Iterator[None]:
    """Let parts of work run on up to this many threads, including the one that waits for them."""
    if workers == 1 or not _is_free((workers - 1) * RESERVE):
        yield
        return
    pool = ThreadPoolExecutor(workers - 1, "fastrestore")
    prepare()
    token = _pool.set(pool)
    try:
        yield
    finally:
        _pool.reset(token)
        pool.shutdown(cancel_futures=True)


def prepare() -> None:
    """Import SciPy before threads begin: their first imports of its parts would fail at times."""
    import scipy  # noqa: F401


def _is_free(size: int) -> bool:
    """Whether so many bytes can be reserved; none of them is used."""
    try:
        mmap.mmap(-1, size).close()
    except (OSError, ValueError, OverflowError):
        return False
    return True


class Begun(Generic[R]):
    """Work that another thread may do meanwhile."""

    def __init__(self, work: Callable[[], R]) -> None:
        self._work = work
        self._future: Future[R] | None = None
        pool = _pool.get()
        if pool is not None:
            with contextlib.suppress(RuntimeError):  # too little memory for a thread
                self._future = pool.submit(copy_context().run, work)

    def result(self) -> R:
        """Wait for the result, or compute it if no thread has begun."""
        if self._future is None or self._future.cancel():
            return self._work()
        return self._future.result()

    def drop(self) -> None:
        """Do not begin any more."""
        if self._future is not None:
            self._future.cancel()


def in_order(work: Callable[[T], R], parts: Sequence[T]) -> list[R]:
    """Return the result of each part."""
    if _pool.get() is None or len(parts) < 2:
        return [work(part) for part in parts]
    others = [Begun(lambda part=part: work(part)) for part in parts[1:]]  # type: ignore[misc]
    try:
        return [work(parts[0]), *(other.result() for other in others)]
    finally:
        for other in others:
            other.drop()
