"""Advice on keywords that a function does not have but another one does."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

# Keywords of the package bm3d
OTHER_SPELLINGS = {
    "z": "the image is the first argument, image=",
    "sigma_psd": "write sigma= for a standard deviation, or psd= for a power spectrum",
    "stage_arg": "write stage='basic' for hard thresholding alone, or pilot= for an estimate",
    "blockmatches": "write matches=True and return_info=True, then matches=info.matches",
}

P = ParamSpec("P")
T = TypeVar("T")


def without(**advice: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Raise with advice if a function is called with one of these keywords, which it lacks."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def checked(*args: P.args, **options: P.kwargs) -> T:
            for name in advice:
                if name in options:
                    raise TypeError(f"{function.__name__} has no argument {name}; {advice[name]}")
            return function(*args, **options)

        return checked

    return decorate
