"""``fastrestore volume``: remove noise from volumes."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import fastrestore
from fastrestore._io import volumes
from fastrestore._io.volumes import Volume
from fastrestore.cli import noise, noise_models, options, outcomes, stack
from fastrestore.cli.errors import CommandError, explained
from fastrestore.cli.paths import check_overwrite
from fastrestore.cli.streams import show

EPILOG = """\
noise: estimated from the volume, whatever it is, or specified by one of these
  integer files  --sigma 25/255                   as a fraction of the maximum of the type
                 --sigma 25 --sigma-scale 8bit    on a scale from 0 to 255, for any integer type
                 --sigma 25 --sigma-scale native  in the gray levels of the file
  float files    --sigma 0.1                      in the units of the file
  white          --sigma auto                     one level, estimated from the volume
  any            --noise auto                     the default; or white, correlated,
                                                  signal-dependent, camera; or a file SPEC.npz
  MR magnitudes  --noise rician:20                sigma 20, in the units of the file
  counts         --noise poisson:2.5,3            variance 2.5 * value + 3**2, units of the file
                 --noise poisson:2.5,3,100        the same above a black level of 100
  correlated     --psd psd.npy                    power spectrum, see fastrestore.bm4d
--strength 0.7 treats the noise as weaker than estimated or given, which keeps more detail.

Stacks of more axes, such as TZCYX of a microscope, are restored axis by axis: --as volume (the
default) takes the slices of each volume together by BM4D, --as film the frames of each slice by
V-BM3D, and --as planes each image by itself. Axes, voxel size, channel names, color tables and
descriptions of ImageJ and OME, and the tags of GeoTIFF are preserved.

Header and affine of NIfTI files (.nii, .nii.gz) are preserved. A NIfTI file with scl_slope or
scl_inter is treated as a float file in the scaled units, whatever type it stores. The output has
the number type of the input: results for integers are rounded (half to even) and clipped to the
range of the type.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add("input", metavar="IN", help="TIFF with several pages, NPY or NIfTI")
    add("output", metavar="OUT", help="file of the same format, or NPY")
    options.add_sigma(parser)
    options.add_noise(parser)
    options.add_channel_axis(parser, "four")
    add(
        "--slice-axis", type=int, metavar="N", help="axis of the slices; default: the shortest axis"
    )
    stack.add_kind(parser, "volume")
    stack.add_axes(parser)
    options.add_data_range(parser)
    add(
        "--profile",
        default="volume",
        metavar="NAME",
        help="parameters of the algorithm; default: volume",
    )
    options.add_stage(parser)
    options.add_execution(parser)


def run(args: argparse.Namespace) -> None:
    """Denoise the volume."""
    noise.check(args)
    if args.noise == noise_models.POISSON_AUTO:
        raise CommandError(f"--noise {args.noise} is for images; write --noise poisson:GAIN,SIGMA")
    source, target = Path(args.input), Path(args.output)
    volumes.check_input(source)
    volumes.check_output(target)
    check_overwrite(target, overwrite=args.overwrite)
    if stack.is_named(source, args):
        stack.restore_named(source, target, args)
        return
    volume = volumes.read(source, args.channel_axis)
    volumes.check_format(target, volume, source)
    with explained(source):
        bm4d = partial(fastrestore.bm4d, volume.values, **_bm4d_arguments(args, volume))
        specification = _noise_arguments(args, volume, source)
        details: dict[str, Any] = {}
        if options.show_progress(args) and noise.is_estimated(specification):
            result = noise.call(bm4d, specification, details)
        else:
            result = bm4d(**specification)
    volumes.write(target, volume.with_values(result, target))
    if details:
        show(f"{source}: {outcomes.noise_text(details)}")


def _noise_arguments(args: argparse.Namespace, volume: Volume, source: Path) -> dict[str, Any]:
    """Return the keyword arguments of `bm4d` for the noise."""
    common = noise.arguments(args, volume.values.dtype, source)
    if args.psd is not None:
        return common | {"psd": volumes.read_array(Path(args.psd))}
    return common


def _bm4d_arguments(args: argparse.Namespace, volume: Volume) -> dict[str, Any]:
    """Return the keyword arguments of `bm4d` other than the noise."""
    return {
        "channel_axis": -1 if volume.values.ndim == 4 else None,
        "slice_axis": args.slice_axis,
        "profile": args.profile,
        "stage": args.stage,
        "data_range": args.data_range,
        "workers": args.workers,
        "backend": args.backend,
        "progress": options.show_progress(args),
    }
