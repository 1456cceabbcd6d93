"""``fastrestore cache``: the compiled kernels on disk."""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fastrestore import bm3d, bm4d, denoise_burst, vbm3d
from fastrestore._collaborative.profile import CORRELATED, PROFILES, Profile
from fastrestore.backends.numba import cache
from fastrestore.cli.errors import CommandError

# What is restored to compile kernels: blocks fit in all directions, or in a slice only
SLICES, SIDE, FEW = 8, 32, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the action."""
    parser.add_argument(
        "action",
        choices=("warm", "info", "clear"),
        help="compile the kernels; show where they are stored; remove them",
    )
    parser.add_argument(
        "profiles",
        nargs="*",
        metavar="PROFILE",
        help=f"profiles whose kernels are compiled: {', '.join(PROFILES)}; default: all, which "
        "takes a minute",
    )


def run(args: argparse.Namespace) -> None:
    """Compile the kernels, describe their directory, or empty it."""
    if args.profiles and args.action != "warm":
        raise CommandError(f"cache {args.action} takes no profile: {' '.join(args.profiles)}")
    if args.action == "warm":
        _check(args.profiles)
        print(f"kernels ready in {warm(args.profiles or list(PROFILES)):.1f} s")
    elif args.action == "clear":
        print(f"files removed: {cache.clear()}")
    else:
        _describe()


def warm(profiles: list[str]) -> float:
    """Compile the kernels of profiles; return the time in seconds."""
    start = time.perf_counter()
    for name in profiles:
        for call in _calls(name):
            call()
    return time.perf_counter() - start


def _calls(name: str) -> list[Callable[[], Any]]:
    """Return calls that together use all kernels of a profile, for the tasks of that profile."""
    stack = np.random.default_rng(0).normal(0, 1, (SLICES, SIDE, SIDE))
    image = stack[0]
    options: dict[str, Any] = {"backend": "numba"}
    if name == "volume":
        return [partial(bm4d, volume, 1.0, **options) for volume in (stack, stack[:FEW])]
    if name == "video":
        return [lambda: vbm3d(stack, 1.0, **options), lambda: denoise_burst(stack, 1.0, **options)]
    profiles = [PROFILES[name]] + [CORRELATED] * (name == "np")
    return [partial(bm3d, image, 1.0, profile=profile, **options) for profile in profiles]


def _check(names: list[str]) -> None:
    """Raise if a profile is unknown."""
    for name in names:
        try:
            Profile.named(name)
        except ValueError as error:
            raise CommandError(str(error)) from None


def _describe() -> None:
    """Print the directory of the compiled kernels, its size and what is wrong with it."""
    info = cache.info()
    if info["path"] is not None:
        print(f"path   {info['path']}\nfiles  {info['files']}\nbytes  {info['bytes']}")
    for problem in info["problems"]:
        print(problem)
