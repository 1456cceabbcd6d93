"""Progress reports: a bar, a callable, or none."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from fastrestore._arrays import validate

Progress = bool | Callable[[int, int], object]

_TOTAL = 100  # steps of a complete call


@contextmanager
def reporting(progress: Progress, name: str) -> Iterator[Callable[[float], None]]:
    """Yield a function ``report_progress(share)``; the shares of a call sum to 1."""
    if not (isinstance(progress, (bool, np.bool_)) or callable(progress)):
        raise TypeError(
            f"progress must be True, False or a callable, got {validate.quoted(progress)}"
        )
    if callable(progress):
        yield _counter(progress)
    elif progress:
        import tqdm

        with tqdm.tqdm(total=_TOTAL, desc=name, unit="%", leave=False) as bar:
            yield _counter(lambda done, _total: bar.update(done - bar.n))
    else:
        yield lambda share: None


def _counter(report: Callable[[int, int], object]) -> Callable[[float], None]:
    """Sum shares, and report each whole step once."""
    done, reported = 0.0, 0

    def report_progress(share: float) -> None:
        nonlocal done, reported
        done += share
        steps = min(_TOTAL, math.floor(done * _TOTAL + 1e-6))
        if steps > reported:
            reported = steps
            report(steps, _TOTAL)

    return report_progress
