"""``fastrestore streaks``: sinograms with streaks in, without them out."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from fastrestore._io.errors import CliError, explained
from fastrestore._io.images import check_format, check_input, read, to_type, write
from fastrestore.cli.paths import outputs


def run(args: argparse.Namespace) -> None:
    """Check all that can be checked, then restore file by file."""
    inputs = [Path(name) for name in args.inputs]
    for path in inputs:
        check_input(path)
    for source, target in zip(
        inputs, outputs(inputs, args.output, overwrite=args.overwrite), strict=True
    ):
        _restore(source, target, args)


def _restore(source: Path, target: Path, args: argparse.Namespace) -> None:
    """Read, restore and write one sinogram, or a stack of them."""
    import fastrestore

    picture = read(source)
    values = picture.values
    if values.ndim == 3 and source.suffix.lower() != ".npy":
        raise CliError(f"{source} has colours, shape {values.shape}; stacks of sinograms are .npy")
    check_format(target, picture, source)
    with explained(source):
        result = fastrestore.remove_streaks(
            values, strength=args.strength, levels=args.levels,
            angle_axis=args.angle_axis, detector_axis=args.detector_axis,
            workers=args.workers, backend=args.backend,
            progress=sys.stderr.isatty() and not args.quiet,
        )  # fmt: skip
    write(target, replace(picture, values=to_type(result, values.dtype)))
