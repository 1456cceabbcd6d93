"""Zarr, HDF5 and large TIFF files on the command line: restored part by part."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import fastrestore
from fastrestore._io.errors import FileError
from fastrestore._io.files import extension
from fastrestore._io.stores import choose, tiffs, zarrs
from fastrestore._io.stores.partial import Partial, checksum, write_part
from fastrestore._io.stores.regions import Shape, parts_of, region
from fastrestore._io.stores.source import Source, Values, describe, state_of
from fastrestore.cli import layers, lazily, options, records, reports
from fastrestore.cli.errors import CommandError, explained
from fastrestore.cli.layers import Lazy
from fastrestore.cli.schedulers import Runner
from fastrestore.cli.streams import show

Details = dict[str, Any]
LEAST = 64  # rows and columns that are restored at a time


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for stores."""
    add = options.group(parser, options.LARGE).add_argument
    text = "rows and columns that are restored at a time; default: 1024"
    add("--chunks", type=int, metavar="N", help=text)
    from fastrestore.cli import schedulers

    add("--scheduler", metavar="ADDRESS", help=schedulers.HELP)
    text = "limit of the memory of all processes of this computer, such as 3e9; sets --chunks"
    add("--memory", type=float, metavar="BYTES", help=text)
    add("--dataset", metavar="NAME", help="dataset of an HDF5 file; default: the only image")


def check(args: argparse.Namespace) -> None:
    """Check the options before a file is read."""
    from fastrestore.cli import schedulers

    schedulers.check(args)
    reports.check(args)  # before a scheduler is asked
    if args.chunks is not None and args.chunks < LEAST:
        raise CommandError(f"--chunks {args.chunks} is too small; write {LEAST} or more")
    if args.memory is not None and not 0 < args.memory < float("inf"):
        raise CommandError(f"--memory {args.memory:g} is not a positive number of bytes")


def is_store(source: Path, args: argparse.Namespace) -> bool:
    """Whether a file is restored part by part: a store, or a TIFF with options for stores."""
    asked = any(getattr(args, name) is not None for name in ("chunks", "memory"))
    return choose.is_store(source) or (asked and extension(source) in tiffs.EXTENSIONS)


def restore(
    args: argparse.Namespace, lazy: Lazy, source: Path, target: Path, runner: Runner
) -> Details:
    """Restore a store; continue where an earlier call with the same settings stopped."""
    lazily.check(args, source)
    array = choose.read_source(source, args.dataset)
    choose.check_target(target, array)
    plan = layers.plan(args, array, runner.workers)
    computed, written = parts_of(plan.axes, array.shape, _storage(array, target), plan.sizes)
    runner.check_paths(source, target.parent)
    if text := choose.missing_space(target, array):
        show(f"fastrestore: warning: {text}")
    partial = Partial(target, array, written, _settings(args, source, array))
    try:
        with explained(source):
            run(args, partial, plan, computed, lazy, runner)
        partial.finish()
    finally:
        partial.close()
    count = len(partial.corners())
    note = f"{count} chunk{'' if count == 1 else 's'}"
    shape = {"shape": list(array.shape), "dtype": str(array.dtype), "axes": plan.axes}
    return {**lazily.method(args, plan.kind), **shape, "note": note}


def _storage(source: Source, target: Path) -> Shape:
    """Return the parts that are stored together in the target."""
    same = source.place.kind == "zarr" and extension(target) == zarrs.EXTENSION
    return source.storage if same else tuple(1 for _ in source.shape)


def _settings(args: argparse.Namespace, source: Path, array: Source) -> dict[str, Any]:
    """Return what a result depends on."""
    own = {"fastrestore": fastrestore.__version__, "input": state_of(source),
           "array": array.place.name}  # fmt: skip
    return own | records.settings(args)


def run(
    args: argparse.Namespace,
    partial: Partial,
    plan: layers.Plan,
    computed: Shape,
    lazy: Lazy,
    runner: Runner,
) -> None:
    """Restore the parts that are not complete."""
    import dask

    if partial.notice:
        show(f"fastrestore: {partial.notice}")
    done = _verified(partial, runner)
    missing = [corner for corner in partial.corners() if corner not in done]
    if done:
        show(f"fastrestore: {partial.target}: {len(done)} of {len(partial.corners())} chunks are "
             "complete; the others are restored")  # fmt: skip
    result = layers.result(layers.opened(partial.source, computed), plan, partial.source, lazy)
    if partial.source.dtype.kind == "f" and not done:
        _check_finite(partial, runner)
    blocks = result.rechunk(partial.unit).to_delayed()
    write = dask.delayed(_write, pure=False)
    tasks = [
        write(blocks[_index(corner, partial.unit)], partial.place, corner, partial.unit)
        for corner in missing
    ]
    with _progress(args, partial, missing) as advance:

        def finished(part: tuple[Shape, str]) -> None:
            partial.manifest.add(*part)
            advance(part[0])

        if tasks:
            runner.run(tasks, finished)


def _index(corner: Shape, unit: Shape) -> Shape:
    return tuple(first // size for first, size in zip(corner, unit, strict=True))


def _write(values: Any, place: Any, corner: Shape, unit: Shape) -> tuple[Shape, str]:
    """Write a part where it was computed."""
    return corner, write_part(values, place, corner, unit)


def _checked(place: Any, corner: Shape, unit: Shape) -> tuple[Shape, str]:
    """Return the checksum of a part that was written before."""
    return corner, checksum(place, corner, unit)


def _verified(partial: Partial, runner: Runner) -> set[Shape]:
    """Return the parts that are listed in the manifest and have their checksums."""
    import dask

    known, verified = partial.manifest.parts, set()

    def finished(part: tuple[Shape, str]) -> None:
        if part[1] == known[part[0]]:
            verified.add(part[0])

    check = dask.delayed(_checked, pure=False)
    tasks = [check(partial.place, corner, partial.unit) for corner in partial.recorded()]
    if tasks:
        runner.run(tasks, finished)
    return verified


def _check_finite(partial: Partial, runner: Runner) -> None:
    """Raise if a value is NaN or infinite; hours could pass before its part is restored."""
    import dask

    places: list[str] = []
    find = dask.delayed(_not_finite, pure=False)
    source = partial.source
    tasks = [find(source.values, corner, partial.unit) for corner in partial.corners()]
    runner.run(tasks, lambda place: places.append(place) if place else None)
    if places:
        plural = "" if len(places) == 1 else "s"
        raise FileError(f"{source.root}: NaN or infinite values in {len(places)} chunk{plural}, "
                        f"the first in {min(places)}; {_REPLACE}")  # fmt: skip


_REPLACE = "replace them by finite values"


def _not_finite(values: Values, corner: Shape, unit: Shape) -> str:
    """Describe a part if it has values that are not finite."""
    part = region(corner, values.shape, unit)
    return "" if np.isfinite(values[part]).all() else describe(part, values.shape)


@contextmanager
def _progress(
    args: argparse.Namespace, partial: Partial, missing: Sequence[Shape]
) -> Iterator[Callable[[Shape], None]]:
    """Show how many chunks and bytes are done and the time left, on a terminal."""
    if args.quiet or not sys.stderr.isatty():
        yield lambda corner: None
        return
    import tqdm

    source, total = partial.source, len(partial.corners())
    count = total - len(missing)

    def size(corner: Shape) -> int:
        part = region(corner, source.shape, partial.unit)
        return int(np.prod([each.stop - each.start for each in part])) * source.dtype.itemsize

    first = source.nbytes - sum(map(size, missing))
    with tqdm.tqdm(total=source.nbytes, initial=first, unit="B", unit_scale=True,
                   desc=f"chunks {count}/{total}", leave=False) as bar:  # fmt: skip

        def advance(corner: Shape) -> None:
            nonlocal count
            count += 1
            bar.set_description(f"chunks {count}/{total}", refresh=False)
            bar.update(size(corner))

        yield advance
