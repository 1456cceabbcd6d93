"""Threads of our own: bands of an image, each done by a serial kernel without Python's lock.

A pool lives for one call, so there is nothing to inherit over a fork, to share between
callers or to shut down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def run_bands(work: Callable[[T], None], bands: Sequence[T], workers: int) -> Iterable[None]:
    """Do `work` on every band, in up to `workers` threads; yield after each band in turn."""
    if workers == 1 or len(bands) == 1:
        yield from map(work, bands)
        return
    with ThreadPoolExecutor(min(workers, len(bands)), "fastrestore") as pool:
        try:
            yield from pool.map(work, bands)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def cut(size: int, bands: int, least: int, most: int) -> list[range]:
    """Cut `size` rows into about so many bands, each of `least` to `most` rows."""
    rows = min(most, max(least, -(-size // bands)))
    return [range(at, min(at + rows, size)) for at in range(0, size, rows)]
