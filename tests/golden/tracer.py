"""Measure the path from a public call to its first compiled kernel.

``python tests/golden/tracer.py`` prints for hot calls of `bm3d`, `bm4d` and `vbm3d`, in one thread
of the backend "numba": how many functions of the package lie on the stack when the first kernel is
called, from the public function to the one that calls the kernel, both included; and how many
functions and modules have been entered by then. It does so twice: of all code, and without
lambdas, comprehensions and generators. The kernel itself does not count.
"""

import inspect
import sys
import threading
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from inputs import GRAY, SIGMA, VIDEO, VOLUME
from numba.core.registry import CPUDispatcher

import fastrestore

HOME = str(Path(fastrestore.__file__).parent)
ONE = {"workers": 1, "backend": "numba"}

PATHS = {
    "bm3d": lambda: fastrestore.bm3d(GRAY, SIGMA, **ONE),
    "bm4d": lambda: fastrestore.bm4d(VOLUME, SIGMA, **ONE),
    "vbm3d": lambda: fastrestore.vbm3d(VIDEO, SIGMA, **ONE),
}


class Route(NamedTuple):
    """Codes on the stack at the first kernel, the innermost first, and all that were entered."""

    stack: list
    entered: set


class Counts(NamedTuple):
    """Depth of the stack, and different modules and functions."""

    depth: int
    modules: int
    functions: int


class _Arrived(BaseException):
    """Raised at the first kernel to stop the call."""


def traced(call):
    """Follow the second call up to its first kernel."""
    call()
    entered, stack, here = set(), [], threading.get_ident()

    def arrive(dispatcher, *args, **kwargs):
        sys.setprofile(None)
        if threading.get_ident() == here:
            stack.extend(_codes(sys._getframe(1)))
        raise _Arrived

    def enter(frame, event, arg):
        if event == "call" and _is_ours(frame.f_code):
            entered.add(frame.f_code)

    # Not every Python's profiler sees calls of kernels, but all of them go by their type's call
    with mock.patch.object(CPUDispatcher, "__call__", arrive):
        _profiled(call, enter)
    if not stack:
        raise RuntimeError("no kernel was called in this thread")
    return Route(stack, entered)


def _profiled(call, enter):
    before = sys.getprofile()
    sys.setprofile(enter)
    try:
        call()
    except _Arrived:
        pass
    finally:
        sys.setprofile(before)


def _codes(frame):
    """Codes of the package from a frame outwards."""
    found = []
    while frame is not None:
        if _is_ours(frame.f_code):
            found.append(frame.f_code)
        frame = frame.f_back
    return found


def _is_ours(code):
    return code.co_filename.startswith(HOME)


def is_named(code):
    """Whether it is a plain function: no lambda, comprehension or generator."""
    return not code.co_name.startswith("<") and not code.co_flags & inspect.CO_GENERATOR


def counts(path, wanted=lambda code: True):
    """Count those codes of a path that are wanted."""
    entered = set(filter(wanted, path.entered))
    modules = {code.co_filename for code in entered}
    return Counts(sum(map(wanted, path.stack)), len(modules), len(entered))


def module_of(code):
    return code.co_filename.removeprefix(HOME)[1:]


def report(name, path, listed):
    """Print the counts of a path, and where it goes."""
    for kind, wanted in (("all", lambda code: True), ("plain functions", is_named)):
        depth, modules, functions = counts(path, wanted)
        print(f"{name:6} {kind:16} depth {depth:2}, {modules:2} modules, {functions:3} functions")
    if listed:
        for code in reversed(path.stack):
            print(f"       {module_of(code)} {code.co_qualname}")


def main():
    for name, call in PATHS.items():
        report(name, traced(call), "--stack" in sys.argv)


if __name__ == "__main__":
    main()
