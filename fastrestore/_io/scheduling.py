"""The scheduling of threads that libraries start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TASKS = Path("/proc/self/task")  # Linux: a folder for each thread


@contextmanager
def kept_scheduling() -> Iterator[None]:
    """Schedule this thread, and those that start meanwhile, as this thread was scheduled before.

    As root, the AV1 encoder SVT-AV1 gives real-time priority to its threads and to the one that
    opens it. Such threads, and programs that they start, take the processor from all others.
    """
    if not hasattr(os, "sched_setscheduler") or not _TASKS.is_dir():
        yield
        return
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    others = _threads()
    try:
        yield
    finally:
        for thread in _threads() - others | {0}:
            with suppress(ProcessLookupError):  # it has ended
                if os.sched_getscheduler(thread) != policy:
                    os.sched_setscheduler(thread, policy, parameter)


def _threads() -> set[int]:
    """Return the numbers of the threads of this process."""
    return {int(folder.name) for folder in _TASKS.iterdir()}
