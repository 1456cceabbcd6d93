"""``fastrestore streaks``: remove streaks from sinograms."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import fastrestore
from fastrestore._io import images, volumes
from fastrestore._io.picture import Image
from fastrestore.cli import batch, options, restoring, stack
from fastrestore.cli.batch import Details
from fastrestore.cli.errors import CommandError, explained

EPILOG = """\
examples:
  fastrestore streaks sinogram.tif -o clean.tif
  fastrestore streaks stack.npy -o clean.npy --angle-axis 0 --detector-axis 2

The values of a sinogram must be logarithms of the attenuation. A sinogram is a gray TIFF, PNG or
NPY file; a stack of sinograms is an NPY file, or a TIFF file of several pages. --strength 0.7
removes less, and 1.5 more, of what may be streaks.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    options.add_files(parser)
    add = parser.add_argument
    options.add_strength(parser, "the estimated level of the streaks")
    add(
        "--levels",
        type=int,
        metavar="N",
        help="number of scales; default: by the width of the detector",
    )
    add("--angle-axis", type=int, default=-2, metavar="N", help="axis of the angles; default: -2")
    add(
        "--detector-axis",
        type=int,
        default=-1,
        metavar="N",
        help="axis of the detector pixels; default: -1, the last",
    )
    options.add_execution(parser)


def run(args: argparse.Namespace) -> int:
    """Restore file by file."""
    options.check_strength(args)
    return batch.process_files(args, lambda source, target: _restore(source, target, args))


def _restore(source: Path, target: Path, args: argparse.Namespace) -> Details:
    """Read, restore and write one sinogram, or a stack of them."""
    if stack.is_stack(source):
        return _restore_stack(source, target, args)
    picture = images.read(source)
    values = picture.values
    if values.ndim == 3 and images.records_axes(source):
        raise CommandError(
            f"{source} has channels, shape {values.shape}; write stacks of sinograms as .npy, or "
            "as TIFF files of several pages"
        )
    images.check_output(target)
    images.check_format(target, picture, source)
    result = images.to_type(_cleaned(values, source, args), values.dtype)
    images.write(target, replace(picture, values=result))
    return restoring.described(values) | {"strength": args.strength}


def _restore_stack(source: Path, target: Path, args: argparse.Namespace) -> Details:
    """Read, restore and write the pages of a TIFF, along the axes of the whole stack."""
    volumes.check_output(target)
    volume = volumes.read_named(source, None)
    volumes.check_format(target, volume, source)
    result = _cleaned(volume.values, source, args)
    volumes.write(target, volume.with_values(result, target))
    return restoring.described(volume.values) | {"strength": args.strength}


def _cleaned(values: Image, source: Path, args: argparse.Namespace) -> Image:
    """Remove the streaks of sinograms."""
    if args.strength == 0:
        return values
    with explained(source):
        result: Image = fastrestore.remove_streaks(
            values,
            strength=args.strength,
            levels=args.levels,
            angle_axis=args.angle_axis,
            detector_axis=args.detector_axis,
            workers=args.workers,
            backend=args.backend,
            progress=options.show_progress(args),
        )
    return result
