"""Working memory of threads, kept between calls.

New pages cost a tenth of the time of a call: the system clears them, and threads wait for each
other meanwhile. So the calling thread allocates the memory of all threads, and keeps it.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba._simd import aligned_empty

T = TypeVar("T")
S = TypeVar("S")

MOST = 2**26  # bytes that a calling thread keeps
LINE = 8  # float64 numbers


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


def lending(work: Callable[[T, S], None], spaces: Sequence[S]) -> Callable[[T], None]:
    """Give `work` one of the spaces, as many as threads, as its working memory."""
    free = list(spaces)

    def lent(band: T) -> None:
        space = free.pop()
        work(band, space)
        free.append(space)

    return lent
