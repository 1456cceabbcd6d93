"""Progress of a call: a bar, a callable, or nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

Progress = bool | Callable[[int, int], object]

_TICKS = 100  # a whole call, as progress counts it


@contextmanager
def reporting(progress: Progress, name: str) -> Iterator[Callable[[float], None]]:
    """Turn `progress` into a function that is told shares of the whole."""
    if not (isinstance(progress, (bool, np.bool_)) or callable(progress)):
        raise TypeError(f"progress must be True, False or a callable, got {progress!r}")
    if callable(progress):
        yield _counter(progress)
    elif progress:
        import tqdm

        with tqdm.tqdm(total=_TICKS, desc=name, unit="%", leave=False) as bar:
            yield _counter(lambda done, _total: bar.update(done - bar.n))
    else:
        yield lambda share: None


def _counter(report: Callable[[int, int], object]) -> Callable[[float], None]:
    """Add up shares and report whole ticks, each once; the last share completes the count."""
    done, told = 0.0, 0

    def tick(share: float) -> None:
        nonlocal done, told
        done += share
        ticks = min(_TICKS, math.floor(done * _TICKS + 1e-6))
        if ticks > told:
            told = ticks
            report(told, _TICKS)

    return tick
