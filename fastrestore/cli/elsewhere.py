"""Files that the processes of a cluster restore, each as one task."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any, NamedTuple

from fastrestore.cli import records
from fastrestore.cli.paths import Work

Process = Callable[[Path, Path], dict[str, Any]]


class Answer(NamedTuple):
    """What a process of a cluster did with a file."""

    details: dict[str, Any]
    content: str | None  # hash value of the file
    seconds: float
    warnings: list[str]


class Elsewhere(NamedTuple):
    """The workers that restore files."""

    executor: Any  # as in `concurrent.futures`
    process: Process
    is_possible: Callable[[Path], bool]  # whether a file is restored by one task

    def restored(self, works: Sequence[Work]) -> Iterator[tuple[Work, Answer | Exception]]:
        """Yield what was done with each file, or what was raised."""
        running = {
            self.executor.submit(_restore, self.process, *_absolute(work)): work for work in works
        }
        try:
            for future in as_completed(running):
                try:
                    yield running[future], future.result()
                except Exception as error:
                    yield running[future], error
        finally:
            for future in running:  # after an interrupt
                future.cancel()


def _absolute(work: Work) -> tuple[Path, Path]:
    """Return the paths of a file and its result; workers may have other working directories."""
    return work.source.absolute(), work.target.absolute()


def _restore(process: Process, source: Path, target: Path) -> Answer:
    """Restore a file, in a process of the cluster."""
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        content = records.digest_of(source)
        details = process(source, target)
    texts = [str(each.message) for each in caught]
    return Answer(details, content, time.perf_counter() - start, texts)
