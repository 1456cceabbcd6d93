"""``fastrestore cache``: the compiled kernels on disk."""

import argparse

from fastrestore.backends.numba import cache


def run(args: argparse.Namespace) -> None:
    """Compile the kernels, describe the directory they are kept in, or empty it."""
    if args.action == "warm":
        print(f"kernels ready in {cache.warm():.1f} s")
    elif args.action == "clear":
        print(f"files removed: {cache.clear()}")
    else:
        _describe()


def _describe() -> None:
    """Print where the compiled kernels are and how much room they take."""
    info = cache.info()
    if info["path"] is None:
        print("no kernels are kept: FASTRESTORE_NUMBA_CACHE is 0, or the folder cannot be written")
    else:
        print(f"path   {info['path']}\nfiles  {info['files']}\nbytes  {info['bytes']}")
