"""``fastrestore plan``: predict what restoring a large image costs."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from fastrestore.cli import options, schedulers
from fastrestore.cli.errors import CommandError, explained

if TYPE_CHECKING:
    from fastrestore._io.stores.source import Source
    from fastrestore.cli.cost import Cost, Job

EPILOG = """\
examples:
  fastrestore plan --shape 100000x100000 --workers 64
  fastrestore plan scan.zarr --workers 8 --chunks 2048
  fastrestore plan --shape 30000x30000 --workers 2 --rate 0.9

The time is that of `fastrestore denoise` with --scheduler and single-threaded workers, one on each
processor. Rates are measured on this computer, which should be idle, in about 15 seconds, with as
many workers as it has processors, on the middle of IN or a drawn image; --rate gives the speed of
another computer. Workers that are no more than its processors share them with the scheduler; others
have one each. Memory includes that of Python and its packages, network what workers need of each
other's chunks. Axes before the last two of --shape are images of their own.
"""
_SHAPE = re.compile(r"\d+(x\d+)+")
_UNITS = ((3600, "h"), (60, "min"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the image and the workers."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add("input", nargs="?", metavar="IN", help="Zarr store, HDF5 or TIFF file of the image")
    add("--shape", metavar="ROWSxCOLUMNS", help="shape of the image, without IN")
    add("--dtype", default="uint16", metavar="TYPE", help="its type; default: uint16")
    add("--workers", type=int, required=True, metavar="N", help="number of workers")
    add("--chunks", type=int, default=1024, metavar="N", help="rows and columns; default: 1024")
    options.add_profile(parser, "np")
    options.add_stage(parser)
    text = "megapixels that one worker restores in a second; default: measured"
    add("--rate", type=float, metavar="X", help=text)
    add("--json", action="store_true", help="print a JSON object")


def run(args: argparse.Namespace) -> None:
    """Print the prediction."""
    job, source = _job(args)
    schedulers.need_dask()
    schedulers.need_dask("distributed")
    from fastrestore.cli import cost
    from fastrestore.cli.rates import measured, sample

    with explained(args.input or f"--shape {args.shape}"):
        rates = measured(job, sample(job, source))
    if args.rate is not None:
        whole = 1e-6 / args.rate  # seconds for a pixel, in the ratio of the stages measured
        part = whole / sum(rates.stages.values())
        rates = rates._replace(stages={name: each * part for name, each in rates.stages.items()})
    found = cost.cost(job, rates, cost.own_memory())
    rate = 1e-6 / sum(rates.stages.values())
    if args.json:
        seconds = {"stages": rates.stages, "chunk": rates.part._asdict(),
                   "idle": rates.idle._asdict(), "start": rates.start}  # fmt: skip
        print(json.dumps({"shape": list(job.shape), "workers": job.workers, **found._asdict(),
                          "rate": rate, "rates": seconds}))  # fmt: skip
        return
    for line in lines(job, found, rate):
        print(line)


def lines(job: Job, found: Cost, rate: float) -> list[str]:
    """Return the prediction as text."""
    from fastrestore._io.stores.choose import size_text

    size = 1.0 * job.dtype.itemsize
    for length in job.shape:
        size *= length
    shape = " x ".join(map(str, job.shape))
    memory = size_text(found.memory), size_text(found.memory * job.workers)
    return [
        f"image    {shape}, {job.dtype}, {size_text(size)}",
        f"chunks   {found.chunks} of {job.side} x {job.side}, about {found.tasks} tasks",
        f"overlap  {found.overlap:.1%} more work than without chunks",
        f"memory   {memory[0]} a worker, {memory[1]} in all",
        f"network  about {size_text(found.network)} between workers",
        f"time     {_duration(found.seconds)} with {job.workers} workers of {rate:.2f} megapixels "
        "a second",
    ]


def _job(args: argparse.Namespace) -> tuple[Job, Source | None]:
    """Check the arguments, and return what is to be restored, and the image if it is given."""
    import numpy as np

    from fastrestore.cli.cost import Job
    from fastrestore.cli.store import LEAST

    if (args.input is None) == (args.shape is None):
        raise CommandError("write either IN or --shape, such as --shape 100000x100000")
    for name, least in (("workers", 1), ("chunks", LEAST)):
        if getattr(args, name) < least:
            raise CommandError(f"--{name} {getattr(args, name)} is too small; write {least} or "
                               "more")  # fmt: skip
    if args.rate is not None and not 0 < args.rate < float("inf"):
        raise CommandError(f"--rate {args.rate:g} is not a positive number of megapixels")
    source = None
    if args.input is not None:
        from fastrestore._io.stores.choose import read_source

        source = read_source(Path(args.input))
        shape, dtype = source.shape, source.dtype
    else:
        if not _SHAPE.fullmatch(args.shape) or 0 in map(int, args.shape.split("x")):
            raise CommandError(f"--shape {args.shape} is not two or more numbers such as "
                               "100000x100000")  # fmt: skip
        shape = tuple(map(int, args.shape.split("x")))
        try:
            dtype = np.dtype(args.dtype)
        except TypeError:
            raise CommandError(f"--dtype {args.dtype} is not a type such as uint16") from None
    if dtype.kind not in "iuf":
        raise CommandError(f"--dtype {args.dtype} is neither an integer nor a float type")
    side = min(args.chunks, max(shape[-2:]))
    return Job(tuple(shape), dtype, side, args.workers, args.profile, args.stage), source


def _duration(seconds: float) -> str:
    """Return a time in words."""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
