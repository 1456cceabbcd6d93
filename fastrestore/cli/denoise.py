"""``fastrestore denoise``: remove noise from images."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import fastrestore
from fastrestore._io import images
from fastrestore._io.images import Image
from fastrestore.cli import (
    films,
    lazily,
    media,
    noise,
    options,
    outcomes,
    restoring,
    stack,
    store,
)
from fastrestore.cli.batch import Details
from fastrestore.cli.errors import CommandError, require_torch

EPILOG = """\
examples:
  fastrestore denoise noisy.png
  fastrestore denoise photos -o restored --recursive
  fastrestore denoise noisy.png -o clean.png --sigma 25/255 --strength 0.8

noise: estimated from each image, whatever it is, or specified by one of these
  integer files  --sigma 25/255                   as a fraction of the maximum of the type
                 --sigma 25 --sigma-scale 8bit    on a scale from 0 to 255, for any integer type
                 --sigma 25 --sigma-scale native  in the gray levels of the file
  float files    --sigma 0.1                      in the units of the file
  white          --sigma auto                     one level, estimated from each image
  any            --noise camera                   estimated: white, correlated, signal-dependent,
                                                  camera (all of these), or auto (the default)
                 --noise SPEC.npz                 from a file, see `fastrestore info --save`
  counts         --noise poisson:2.5,3            variance 2.5 * value + 3**2, units of the file
                 --noise poisson:2.5,3,100        the same above a black level of 100
                 --noise poisson:auto             gain and sigma estimated, for a black level of 0
  MR magnitudes  --noise rician:20                sigma 20, in the units of the file
  correlated     --psd psd.npy                    power spectrum, see fastrestore.bm3d
                 --kernel kernel.npy              white noise of sigma 1 convolved with this kernel

networks: --weights FILE restores with the network in FILE, for the noise it was trained for. Some
have an input for the noise level; for all others, leave --sigma and --strength out. White is 255
for 8 bits, 65535 for 16 bits, 1 for floats, or that of --data-range. Networks of other packages,
such as SCUNet or SwinIR, need the extra "community". For blur and compression artifacts, see
`fastrestore upscale --help`.

--strength 0.7 treats the noise as weaker than estimated or given, which keeps more detail.

Stacks (TIFF), volumes (NIfTI) and videos (.mp4, .mkv and others, or numbered images such as
frames/%05d.png) are restored, too: planes one by one or as --as says, volumes as by `fastrestore
volume`, and videos as by `fastrestore video`, whose help explains the options of the encoder.

Zarr stores and HDF5 files of any size are restored chunk by chunk, and TIFF files with --chunks or
--memory; a run that was stopped goes on. With --scheduler --report FILE.html writes Dask's page.

Images are gray or RGB, with or without alpha; TIFF, OpenEXR and NPY have any number of channels,
and --channel-axis is the channel axis of NPY files. The extension of OUT selects the format; see
`fastrestore formats`. The output has the number type of the input: results for integers are rounded
(half to even) and clipped to the range of the type. Alpha is not changed. Color profile, EXIF and
orientation are copied; a warning names what a format cannot hold.
"""
# Options that networks do not support, and their defaults; those that "hybrid" supports
BM3D_ONLY = {
    "noise": None, "psd": None, "kernel": None, "colorspace": "auto", "chroma_strength": 1.0,
    "profile": "np", "stage": "final", "workers": None, "max_memory": None, "backend": None,
}  # fmt: skip
HYBRID = ("noise", "profile", "workers", "backend")
TRAINED = ("white", "signal-dependent", "correlated", "PoissonGaussian", "given")  # by "hybrid"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    options.add_files(parser, "images, volumes, videos")
    options.add_sigma(parser)
    options.add_noise(parser)
    add = options.group(parser, options.NOISE).add_argument
    add("--kernel", metavar="FILE", help="kernel of correlated noise; see below")
    options.add_channel_axis(parser)
    stack.add_kind(parser)
    stack.add_axes(parser)
    add = options.group(parser, options.METHOD).add_argument
    _add_method(parser)
    options.add_profile(parser, "np")
    add(
        "--colorspace",
        choices=("auto", "opp", "ycbcr", "pca", "none"),
        default="auto",
        help="color space for filtering; default: auto, which is opp for RGB",
    )
    options.add_chroma_strength(parser)
    add(
        "--blend",
        type=float,
        default=1.0,
        metavar="X",
        help="weight of the result in its average with the noisy image; default: 1",
    )
    options.add_data_range(parser)
    add = options.group(parser, options.SPEED).add_argument
    add(
        "--max-memory",
        type=float,
        metavar="BYTES",
        help="memory limit, such as 2e9; large images are processed in tiles, with equal results",
    )
    options.add_stage(parser)
    films.add_encoder(parser)
    options.add_execution(parser)
    store.add_options(parser)


def _add_method(parser: argparse.ArgumentParser) -> None:
    """Add --method and --weights."""
    add = options.group(parser, options.METHOD).add_argument
    add(
        "--method",
        choices=("bm3d", "dncnn", "unet", "hybrid"),
        help="hybrid: bm3d and a network that corrects its result; unet: a network "
        "for white noise in gray images, worse than bm3d on repeated texture; dncnn: a network "
        "for white noise, with --weights; all three need PyTorch; default: bm3d",
    )
    text = "weights file to use for --method; without --method, any network; see below"
    add("--weights", metavar="FILE", help=text)
    options.add_network(parser)


def run(args: argparse.Namespace) -> int:
    """Denoise file by file."""
    _check(args)
    net = restoring.load_network(args.weights if args.method is None else None)

    def restore(image: Image, source: Path, details: Details) -> Any:
        specification = noise.of_image(args, image, source)
        if _is_classical(args):
            denoise = partial(fastrestore.bm3d, image, **_bm3d_arguments(args, image))
            result = noise.call(denoise, specification, details)
            details |= {"method": "bm3d", "profile": args.profile}
        elif args.method == "hybrid":
            denoise = partial(fastrestore.denoise, image, **_hybrid_arguments(args, image))
            result, info = denoise(**specification, return_info=True)
            details |= outcomes.details_of(info)
            details |= {"method": _hybrid_method(info, details), "profile": args.profile}
        else:
            result = _network(net, image, specification, args)
            details["method"] = args.method or args.weights
        details |= _changed(args)
        return result if args.blend == 1 else args.blend * result + (1 - args.blend) * image

    def lazy(image: Any, kind: str, source: Path) -> Any:
        quiet = argparse.Namespace(
            **(vars(args) | {"quiet": True})
        )  # chunks have a bar of their own
        if kind != "planes":
            return lazily.together(quiet, image, kind, source)
        return _lazy_planes(quiet, net, image, source)

    return media.restore_media(args, restore, lazy)


def _changed(args: argparse.Namespace) -> Details:
    """Return options for taste that are not at their defaults, for the line and the report."""
    return {name: getattr(args, name) for name in outcomes.TASTE if getattr(args, name) != 1}


def _lazy_planes(args: argparse.Namespace, net: Any, image: Any, source: Path) -> Any:
    """Return a Dask array of an image (M, N) or (M, N, C) without noise."""
    specification = noise.of_image(args, image, source)
    if args.method == "hybrid":
        hybrid = _hybrid_arguments(args, image)
        result = fastrestore.denoise(image, **hybrid, **specification)
    elif _is_classical(args):
        result = fastrestore.bm3d(image, **_bm3d_arguments(args, image), **specification)
    else:
        result = _network(net, image, specification, args)
    return result if args.blend == 1 else args.blend * result + (1 - args.blend) * image


def _check(args: argparse.Namespace) -> None:
    """Check the options before a file is read."""
    noise.check(args)
    for name in (args.psd, args.kernel):
        if name is not None:
            images.check_input(Path(name))
    _check_method(args)
    if not 0 <= args.blend <= 1:
        raise CommandError(f"--blend {args.blend:g} is not a number from 0 to 1")
    options.check_chroma_strength(args)


def _is_classical(args: argparse.Namespace) -> bool:
    """Whether the options choose bm3d."""
    return args.method == "bm3d" or (args.method is None and args.weights is None)


def _check_method(args: argparse.Namespace) -> None:
    """Raise on options that the method does not support."""
    if _is_classical(args):
        for name in ("weights", "tile", "device"):
            if getattr(args, name) is not None:
                raise CommandError(
                    f"{options.spelled(name)} is for networks; add --method dncnn, unet or hybrid, "
                    "or --weights alone"
                )
        return
    method = "--weights" if args.method is None else f"--method {args.method}"
    for name, default in BM3D_ONLY.items():
        supported = args.method == "hybrid" and name in HYBRID
        if getattr(args, name) != default and not supported:
            raise CommandError(f"{options.spelled(name)} is for bm3d, not for {method}")
    if args.method == "dncnn" and args.weights is None:
        raise CommandError(
            "--method dncnn needs --weights: no network of this kind comes with the library; write "
            "--method hybrid, or train one with `fastrestore train dncnn`"
        )
    require_torch()


def _hybrid_arguments(args: argparse.Namespace, image: Image) -> dict[str, Any]:
    """Return the keyword arguments of `denoise` for the method "hybrid", other than the noise."""
    network = {"weights": args.weights, **restoring.network_arguments(args, image)}
    return {"method": "hybrid", **network, **restoring.common_arguments(args, image)}


def _hybrid_method(info: fastrestore.Info, details: Details) -> str:
    """Name what "hybrid" used for an image."""
    model = details["noise"]["model"]
    if info.refined:
        return "hybrid"
    if not np.any(info.sigma):
        return "bm3d (hybrid has no noise to remove)"
    left = "noise as strong as this" if model in TRAINED else f"{model} noise"
    return f"bm3d (hybrid leaves {left} to it)"


def _network(
    net: Any, image: Image, specification: dict[str, Any], args: argparse.Namespace
) -> Any:
    """Denoise with a network, the given one or that of --method."""
    used: dict[str, Any] = {"method": net, **restoring.network_arguments(args, image)}
    if net is None:
        used |= {"method": args.method, "weights": args.weights}
    if net is None or net.takes_sigma:
        used["data_range"] = args.data_range  # measured by default
    return fastrestore.denoise(
        image,
        **{name: value for name, value in specification.items() if name != "noise"},
        **used,
        progress=options.show_progress(args),
    )


def _bm3d_arguments(args: argparse.Namespace, image: Image) -> dict[str, Any]:
    """Return the keyword arguments of `bm3d` other than the noise."""
    color: dict[str, Any] = {}
    if image.ndim == 3:
        space = None if args.colorspace == "none" else args.colorspace
        color = {"colorspace": space, "chroma_strength": args.chroma_strength}
    common = restoring.common_arguments(args, image)
    return {**color, **common, "stage": args.stage, "max_memory": args.max_memory}
