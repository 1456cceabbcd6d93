"""Arrays of named axes as Dask arrays: which axes are restored together, and how."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastrestore._arrays import resources
from fastrestore._io.images import to_type
from fastrestore._io.stores.source import Source
from fastrestore.cli import schedulers, stack
from fastrestore.cli.errors import CommandError

if TYPE_CHECKING:
    from fastrestore.cli.cost import Job

# Takes a Dask array (M, N), with one axis before for frames or slices, and S last, and the kind
Lazy = Callable[[Any, str, Path], Any]
_INNER = {"planes": "YXS", "film": "TYXS", "volume": "ZYXS"}  # axes of a part, in this order
SIDES = {"planes": 1024, "volume": 256}  # rows and columns restored at a time
_DEEP = {"film": ("T", 64), "volume": ("Z", 64)}  # frames or slices restored at a time


class Plan(NamedTuple):
    """How an array is divided."""

    axes: str
    kind: str  # "planes", "film" or "volume"
    sizes: dict[str, int]  # by axis: how much is restored at a time; 1 for all other axes


def plan(args: argparse.Namespace, source: Source, workers: int) -> Plan:
    """Return the axes, and what is restored together."""
    kind = args.kind or "planes"
    axes = stack.axes_for(_named(args, source), source.root, kind)
    if kind == "film":  # blocks are followed over whole frames
        if args.chunks is not None:
            raise CommandError(f"--chunks {args.chunks} does not apply to --as film, which takes "
                               "whole frames; leave it out")  # fmt: skip
        return Plan(axes, kind, _frames(axes, source))
    side = SIDES[kind] if args.chunks is None else args.chunks
    if kind == "planes" and args.chunks is not None:
        _check_fits(args, source, axes, workers)
    elif args.memory is not None and args.chunks is None:
        side = _side(args, source, axes, workers)
    deep = dict([_DEEP[kind]]) if kind in _DEEP else {}
    return Plan(axes, kind, {"Y": side, "X": side} | deep)


def _side(args: argparse.Namespace, source: Source, axes: str, workers: int) -> int:
    """Return the rows and columns of chunks that fit in --memory."""
    from fastrestore.cli import cost

    if args.kind not in (None, "planes"):
        raise CommandError(f"--memory does not apply to --as {args.kind}; write --chunks")
    job, processes = _job(args, source, axes, workers)
    side = cost.side_within(args.memory, job, processes)
    if side == 0:
        least = cost.SIDES[-1]
        needed = cost.memory_of_all(job._replace(side=least), processes)
        plural = "" if workers == 1 else "s"
        raise CommandError(f"--memory {args.memory:g} is too little: {workers} worker{plural} with "
                           f"chunks of {least} rows take {needed:.2g} bytes; write fewer "
                           "--workers, or a smaller local:N")  # fmt: skip
    return side


def _check_fits(args: argparse.Namespace, source: Source, axes: str, workers: int) -> None:
    """Raise if chunks of --chunks do not fit in --memory, or in the memory of this computer."""
    from fastrestore.cli import cost

    elsewhere = args.scheduler is not None and not schedulers.is_local(args.scheduler)
    limit = resources.memory() if args.memory is None else args.memory
    if elsewhere and args.memory is None:
        return
    job, processes = _job(args, source, axes, workers)
    needed = cost.memory_of_all(job, processes)
    if needed > limit:
        what = "this computer has" if args.memory is None else "--memory is"
        plural = "" if workers == 1 else "s"
        raise CommandError(f"--chunks {args.chunks} takes {needed:.2g} bytes with {workers} "
                           f"worker{plural}, and {what} {limit:.2g}; write a smaller --chunks, or "
                           "only --memory, which chooses it")  # fmt: skip


def _job(args: argparse.Namespace, source: Source, axes: str, workers: int) -> tuple[Job, int]:
    """Return what is restored, and how many processes load the package."""
    from fastrestore.cli.cost import Job

    shape = tuple(source.shape[axes.index(name)] for name in "YX")
    side = min(args.chunks or SIDES["planes"], max(shape))
    job = Job(shape, source.dtype, side, workers, args.profile, args.stage)
    return job, 1 if args.scheduler is None else 1 + workers


def _frames(axes: str, source: Source) -> dict[str, int]:
    """Return the sizes of some whole frames."""
    sizes = dict(zip(axes, source.shape, strict=True))
    return {"Y": sizes["Y"], "X": sizes["X"]} | dict([_DEEP["film"]])


def _named(args: argparse.Namespace, source: Source) -> str:
    """Return the letters of the axes."""
    shape, given = source.shape, args.axes
    if given is None:
        if source.axes:
            return source.axes
        if len(shape) == 2:
            return "YX"
        example = "ZYX" if len(shape) == 3 else "TZCYX"[-len(shape) :]
        raise CommandError(f"{source.root} has shape {shape} and does not name its axes; write "
                           f"--axes, such as --axes {example}")  # fmt: skip
    letters = str(given).upper()
    if len(letters) != len(shape):
        named = f", axes {source.axes}" if source.axes else ""
        raise CommandError(f"--axes {given} has {len(letters)} letters, and {source.root} has "
                           f"shape {shape}{named}")  # fmt: skip
    if len(set(letters)) < len(letters) or not {"Y", "X"} <= set(letters):
        raise CommandError(f"--axes {given} needs Y and X, and each letter once")
    return letters


def opened(source: Source, chunks: tuple[int, ...]) -> Any:
    """Return a Dask array of the values in a file."""
    import dask.array

    return dask.array.from_array(
        source.values, chunks=chunks, name=False, asarray=True, fancy=False,
        meta=np.empty((0,) * len(source.shape), source.dtype),
    )  # fmt: skip


def result(values: Any, plan: Plan, source: Source, lazy: Lazy) -> Any:
    """Return the restored array as a Dask array of the type of the file."""
    import dask.array

    inner = [name for name in _INNER[plan.kind] if name in plan.axes]
    outer = [name for name in plan.axes if name not in inner]
    order = [plan.axes.index(name) for name in (*outer, *inner)]

    def restored(part: Any, axes: int) -> Any:
        if axes == 0:
            return _part(part, source, plan.kind, lazy)
        return dask.array.stack([restored(part[k], axes - 1) for k in range(len(part))])

    back = tuple(order.index(k) for k in range(len(order)))
    return restored(values.transpose(tuple(order)), len(outer)).transpose(back)


def _part(values: Any, source: Source, kind: str, lazy: Lazy) -> Any:
    """Restore a part without its alpha."""
    import dask.array

    alpha = values[..., -1:] if source.alpha else None
    colors = values if alpha is None else values[..., :-1]
    single = alpha is not None and colors.shape[-1] == 1
    restored = lazy(colors[..., 0] if single else colors, kind, source.root)
    restored = restored.map_blocks(to_type, source.dtype, dtype=source.dtype)
    if alpha is None:
        return restored
    restored = restored[..., None] if single else restored
    return dask.array.concatenate([restored, alpha], axis=-1)
