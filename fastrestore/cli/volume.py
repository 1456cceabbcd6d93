"""``fastrestore volume``: remove noise from volumes."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import fastrestore
from fastrestore._io import volumes
from fastrestore._io.picture import Image
from fastrestore._io.volumes import Volume
from fastrestore.cli import batch, inputs, noise, noise_models, options, stack
from fastrestore.cli.batch import Details
from fastrestore.cli.errors import CommandError, explained
from fastrestore.cli.kinds import Kind

EPILOG = """\
examples:
  fastrestore volume mr.nii.gz
  fastrestore volume noisy.tif -o clean.tif --sigma 25/255
  fastrestore volume stack.npy -o clean.npy --axes TZYX --as film

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

IN is a TIFF file with several pages, an NPY or NIfTI file, or a directory of them. OUT is a file of
the same format, an NPY file, or a directory. NPY files with --axes can become TIFF files.

Header and affine of NIfTI files (.nii, .nii.gz) are preserved. Those of more than three axes are
restored volume by volume, or, by --as film, along the fourth axis. A NIfTI file with scl_slope or
scl_inter is treated as a float file in the scaled units, whatever type it stores. The output has
the number type of the input: results for integers are rounded (half to even) and clipped to the
range of the type.
"""
VOLUMES = Kind(
    "volumes",
    volumes.EXTENSIONS,
    volumes.check_input,
    lambda path: path.name,
    volumes.check_output,
)
# Options of `denoise` that do not apply to volumes, and their defaults
_OF_IMAGES = {
    "kernel": None, "channel_axis": None, "colorspace": "auto", "chroma_strength": 1.0,
    "blend": 1.0, "weights": None, "tile": None, "device": None, "max_memory": None,
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    options.add_files(parser, "volumes")
    add = options.group(parser, options.CONTENTS).add_argument
    options.add_sigma(parser)
    options.add_noise(parser)
    options.add_channel_axis(parser, "four")
    add(
        "--slice-axis", type=int, metavar="N", help="axis of the slices; default: the shortest axis"
    )
    stack.add_kind(parser, "volume")
    stack.add_axes(parser)
    options.add_data_range(parser)
    options.group(parser, options.METHOD).add_argument(
        "--profile",
        default="volume",
        metavar="NAME",
        help="parameters of the algorithm; default: volume",
    )
    options.add_stage(parser)
    options.add_execution(parser)


def run(args: argparse.Namespace) -> int:
    """Denoise volume by volume."""
    noise.check(args)
    if args.noise == noise_models.POISSON_AUTO:
        raise CommandError(f"--noise {args.noise} is for images; write --noise poisson:GAIN,SIGMA")
    inputs.check_two(args)

    def process(source: Path, target: Path) -> Details:
        return restore(source, target, args)

    return batch.process_files(args, process, VOLUMES)


def options_of(args: argparse.Namespace, source: Path) -> argparse.Namespace:
    """Return the options of `denoise` as those of this command; raise on others."""
    unused = [(name, getattr(args, name)) for name, default in _OF_IMAGES.items()
              if getattr(args, name) != default]  # fmt: skip
    if args.method not in (None, "bm3d"):
        unused.append(("method", args.method))
    if args.noise == noise_models.POISSON_AUTO:
        unused.append(("noise", args.noise))
    for name, value in unused:
        raise CommandError(f"{source}: {options.spelled(name)} {value} is for images; leave it out "
                           "for volumes, or write --as planes")  # fmt: skip
    own = {"axes": None, "slice_axis": None, "kind": args.kind or "volume"}
    profile = "volume" if args.profile == "np" else args.profile
    return argparse.Namespace(**(vars(args) | own | {"profile": profile}))


def restore(source: Path, target: Path, args: argparse.Namespace) -> Details:
    """Read, restore and write a volume, or a stack of named axes; return details."""
    volumes.check_output(target)
    if stack.is_named(source, args):
        return stack.restore_named(source, target, args)
    volume = volumes.read(source, args.channel_axis)
    volumes.check_format(target, volume, source)
    details: Details = {"method": "bm4d", "profile": args.profile}
    with explained(source):
        values = _opaque(volume)
        bm4d = partial(fastrestore.bm4d, values, **_bm4d_arguments(args, values))
        result = noise.call(bm4d, _noise_arguments(args, volume, source), details)
    volumes.write(target, volume.with_values(_with_alpha(result, volume), target))
    return details | {"shape": list(volume.values.shape), "dtype": str(volume.values.dtype)}


def _opaque(volume: Volume) -> Image:
    """Return the values without alpha, which is not restored."""
    if volume.stack is None or not volume.stack.has_alpha:
        return volume.values
    colors = volume.values[..., :-1]
    return colors if colors.shape[-1] > 1 else colors[..., 0]


def _with_alpha(result: Any, volume: Volume) -> Any:
    """Return a result with the alpha of the volume."""
    if volume.stack is None or not volume.stack.has_alpha:
        return result
    colors = result.reshape(*volume.values.shape[:3], -1)
    return np.concatenate([colors, volume.values[..., -1:]], -1)  # in a type that holds both


def _noise_arguments(args: argparse.Namespace, volume: Volume, source: Path) -> dict[str, Any]:
    """Return the keyword arguments of `bm4d` for the noise."""
    common = noise.arguments(args, volume.values.dtype, source)
    if args.psd is not None:
        return common | {"psd": volumes.read_array(Path(args.psd))}
    return common


def _bm4d_arguments(args: argparse.Namespace, values: Image) -> dict[str, Any]:
    """Return the keyword arguments of `bm4d` other than the noise."""
    return {
        "channel_axis": -1 if values.ndim == 4 else None,
        "slice_axis": args.slice_axis,
        "profile": args.profile,
        "stage": args.stage,
        "data_range": args.data_range,
        "workers": args.workers,
        "backend": args.backend,
        "progress": options.show_progress(args),
    }
