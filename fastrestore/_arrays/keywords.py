"""Calls of public functions: advice on keywords that another function has, and their stream."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from fastrestore._arrays import interop, streams

# Keywords of the package bm3d
OTHER_SPELLINGS = {
    "z": "the image is the first argument, image=",
    "sigma_psd": "write sigma= for a standard deviation, or psd= for a power spectrum",
    "stage_arg": "write stage='basic' for hard thresholding alone, or pilot= for an estimate",
    "blockmatches": "write matches=True and return_info=True, then matches=info.matches",
}

P = ParamSpec("P")
T = TypeVar("T")


def without(
    stream_of: str | None = None, **advice: str
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Raise with advice if a function is called with one of these keywords, which it lacks.

    It runs on the stream of its argument `stream_of`, see `streams.on_stream_of`. One decorator
    does both, because every one of them is a line in tracebacks.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        on_stream = None if stream_of is None else streams.on_stream_of(stream_of)(function)

        @functools.wraps(function)
        def checked(*args: P.args, **options: P.kwargs) -> T:
            for name in advice:
                if name in options:
                    raise TypeError(f"{function.__name__} has no argument {name}; {advice[name]}")
            if on_stream is not None and interop.has_gpu_tensor((*args, *options.values())):
                return on_stream(*args, **options)
            return function(*args, **options)

        return checked

    return decorate
