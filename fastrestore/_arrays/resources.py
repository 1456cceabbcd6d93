"""Threads and memory that a call may use."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastrestore._arrays import validate

GIB = 2**30  # bytes
MOST_WORKERS = 256  # or the number of processors: more threads only take memory


def workers(workers: Any) -> int:
    """Return the number of threads: all usable processors for None and -1."""
    if workers is None:
        return usable_processors()
    count = validate.index_or_none(workers)
    if count is None:
        raise TypeError(
            "workers must be a whole number, -1 for all processors, or None, got "
            f"{validate.quoted(workers)}"
        )
    if count < -1 or count == 0:
        raise ValueError(
            f"workers must be 1 or more, or -1 for all processors, got {validate.quoted(workers)}"
        )
    usable = usable_processors()
    return usable if count == -1 else min(count, max(usable, MOST_WORKERS))


def usable_processors() -> int:
    """Count the processors of this process, limited by its affinity and the cgroup quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        limit = math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return count or 1
    return max(1, min(count or 1, limit))


def max_memory(limit: Any) -> float | None:
    """Return a limit in bytes, or None for no limit."""
    return None if limit is None or limit == math.inf else validate.positive("max_memory", limit)


def check_memory(needed: float, name: str, value: Any) -> None:
    """Raise if a call needs more bytes than this process can have, because of one argument."""
    most = _memory()
    if needed > most:
        raise MemoryError(
            f"{name}={validate.quoted(value)} needs about {needed / GIB:.3g} GiB of memory, but "
            f"only {most / GIB:.3g} GiB can be used; write a smaller {name} or use a smaller image"
        )


def _memory() -> float:
    """Return the memory of the computer, limited by the cgroup and the limits of the process."""
    sizes = [math.inf]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(OSError, ValueError):  # there is none, or no limit
        sizes.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    with suppress(ImportError):  # on Windows
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        sizes.append(math.inf if limit == resource.RLIM_INFINITY else limit)
    return min(sizes)
