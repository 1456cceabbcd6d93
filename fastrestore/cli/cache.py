"""``fastrestore cache``: the compiled kernels on disk."""

import argparse

from fastrestore.backends.numba import cache


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the action."""
    parser.add_argument(
        "action",
        choices=("warm", "info", "clear"),
        help="compile all kernels; show where they are stored; remove them",
    )


def run(args: argparse.Namespace) -> None:
    """Compile the kernels, describe their directory, or empty it."""
    if args.action == "warm":
        print(f"kernels ready in {cache.warm():.1f} s")
    elif args.action == "clear":
        print(f"files removed: {cache.clear()}")
    else:
        _describe()


def _describe() -> None:
    """Print the directory of the compiled kernels, its size and what is wrong with it."""
    info = cache.info()
    if info["path"] is not None:
        print(f"path   {info['path']}\nfiles  {info['files']}\nbytes  {info['bytes']}")
    for problem in info["problems"]:
        print(problem)
