"""Memory that a call may use."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastrestore._arrays import validate

GIB = 2**30  # bytes


def check_memory(needed: float, name: str, value: Any) -> None:
    """Raise if a call needs more bytes than this process can have, because of one argument."""
    most = memory()
    if needed > most:
        raise MemoryError(
            f"{name}={validate.quoted(value)} needs about {needed / GIB:.3g} GiB of memory, but "
            f"only {most / GIB:.3g} GiB can be used; write a smaller {name} or use a smaller image"
        )


def check_address_space(needed: int, reason: str) -> None:
    """Raise if fewer bytes of address space are left for code that would abort without them."""
    with suppress(ImportError, OSError, ValueError):  # not on Linux
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        left = limit - pages * resource.getpagesize()
        if left < needed:
            raise MemoryError(
                f"{reason} needs {needed / GIB:.3g} GiB of address space, but the limit of the "
                f"process leaves {left / GIB:.3g} GiB"
            )


def memory() -> float:
    """Return the memory of the computer, limited by the cgroup and the limits of the process."""
    sizes = [math.inf]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(OSError, ValueError):  # no such file or no limit
        sizes.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    with suppress(ImportError):  # on Windows
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        sizes.append(math.inf if limit == resource.RLIM_INFINITY else limit)
    return min(sizes)
