"""``fastrestore burst``: one image from several photographs of a scene."""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import fastrestore
from fastrestore._io import images
from fastrestore._io.errors import FileError
from fastrestore._io.formats import format_of
from fastrestore._io.picture import Image, Picture
from fastrestore.cli import batch, inputs, noise, options, paths, records, restoring, stack
from fastrestore.cli.batch import Details
from fastrestore.cli.errors import CommandError, explained
from fastrestore.cli.kinds import IMAGES, Kind
from fastrestore.cli.streams import shown

SUFFIX = "-burst"  # of the name of the result
EPILOG = """\
examples:
  fastrestore burst IMG_1.jpg IMG_2.jpg IMG_3.jpg
  fastrestore burst burst/ -o clean.tif --compare page.html
  fastrestore burst 'night-*.png' --reference 3

All images must show the same scene, with the same exposure and size. They are aligned with the
reference, which is the first one, and averaged; the rest of the noise is removed. What has moved is
taken from the reference. The result is written as FIRST-burst.EXT, with the metadata of the
reference. The noise is taken to be white. In JPEG files its level is estimated too low: if noise is
left, give --sigma, such as --sigma 20/255.

`fastrestore denoise` restores single images, and `fastrestore video` videos.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    options.add_files(parser)
    _rename(parser)
    add = parser.add_argument
    text = "number of the image that is the reference, from 1; default: 1"
    add("--reference", type=int, default=1, metavar="N", help=text)
    options.add_channel_axis(parser)
    options.add_data_range(parser)
    options.add_optional_sigma(parser, "auto")
    why = "images are weighted by the noise that they have, which --sigma specifies"
    options.refuse_strength(parser, why)
    why = "the noise is taken to be white, and its level is --sigma"
    options.refuse(parser, "--noise", why)
    options.add_profile(parser, "np")
    options.add_execution(parser)


def _rename(parser: argparse.ArgumentParser) -> None:
    """Explain the inputs and the output, of which there is one."""
    texts = {
        "inputs": "images of one scene, a directory of them, or a pattern",
        "output": "output file; default: FIRST-burst.EXT beside the first IN",
        "jobs": argparse.SUPPRESS,
        "recursive": "also take images in subdirectories",
        "compare": "page that compares the reference and OUT",
    }
    for action in parser._actions:
        action.help = texts.get(action.dest, action.help)


def run(args: argparse.Namespace) -> int:
    """Merge all images into one."""
    noise.check(args)
    frames = _frames(args)
    if not 1 <= args.reference <= len(frames):
        raise CommandError(
            f"--reference {args.reference} is not one of the {len(frames)} images; write 1 to "
            f"{len(frames)}"
        )
    if args.output is None:
        args.output = str(frames[0].with_name(output_name(frames[0])))
    reference = frames[args.reference - 1]
    args._frames = [records.digest_of(path) for path in frames]  # for --resume
    args.inputs = [str(reference)]

    def process(_: Path, target: Path) -> Details:
        return _merge(frames, target, args)

    return batch.process_files(args, process, Kind(name=lambda _: output_name(frames[0])))


def output_name(first: Path) -> str:
    """Return the name for the result."""
    path = Path(images.output_name(first))
    return f"{path.stem}{SUFFIX}{path.suffix}"


def _frames(args: argparse.Namespace) -> list[Path]:
    """Return the images, without the results of earlier calls."""
    found = inputs.find(args.inputs, IMAGES, recursive=args.recursive, output=args.output)
    by_name = {
        item.path.with_name(name)
        for item in found
        for name in (
            output_name(item.path), paths.suffixed(item.path, images.output_name(item.path))
        )
    }  # fmt: skip
    rest, by_record = records.Records().split(found, named=True)
    frames = [item.path for item in rest if item.path not in by_name]
    _warn([item.path for item in found if (item.path in by_name and item.folder is None)
           or (item.path not in by_name and item in by_record)])  # fmt: skip
    for path in frames:
        images.check_input(path)
    if len(frames) == 1 and stack.is_stack(frames[0]):
        raise CommandError(
            f"{frames[0]} is a stack, and a burst has a file for each image; save its pages as "
            "files, or use `fastrestore denoise --as film`"
        )
    if len(frames) < 2:
        raise CommandError(
            f"{frames[0]} is one image, and a burst has several; name all of them, or use "
            "`fastrestore denoise`"
        )
    return frames


def _warn(results: list[Path]) -> None:
    """Warn about results of earlier calls; those in folders that the name shows are expected."""
    names = ", ".join(shown(path) for path in results[: inputs.SHOWN])
    more = f" and {len(results) - inputs.SHOWN} more" if len(results) > inputs.SHOWN else ""
    if results:
        warnings.warn(f"skipped results of earlier calls: {names}{more}", stacklevel=1)


def _merge(frames: list[Path], target: Path, args: argparse.Namespace) -> Details:
    """Read the images, merge them and write the result; return details for the report."""
    pictures = [images.read_channels_last(path, args.channel_axis) for path in frames]
    reference = pictures[args.reference - 1]
    image, source = reference.values, frames[args.reference - 1]
    _check_equal(frames, pictures, args.reference - 1)
    images.check_format(target, reference, source)
    with explained(source):
        sigma, details = _noise(args, image, source)
        details["method"] = f"{len(frames)} images merged with bm3d"
        result = fastrestore.denoise_burst(
            [picture.values for picture in pictures],
            sigma,
            reference=args.reference - 1,
            **restoring.common_arguments(args, image),
        )
    result = images.to_type(result, image.dtype)
    images.write(target, replace(reference, values=result))
    names = [path.name for path in frames]
    return details | restoring.described(image) | {"frames": names, "reference": source.name}


def _noise(args: argparse.Namespace, image: Image, source: Path) -> tuple[Any, Details]:
    """Return the level of the noise, estimated unless it is given, and details for the report."""
    sigma: Any = restoring.sigma_of(args, image, source)
    details = restoring.given(args, sigma)
    if sigma is None:
        sigma = fastrestore.estimate_sigma(image, None if image.ndim == 2 else -1)
        levels = np.ravel(sigma).tolist()
        details["noise"] = {"model": "white", "sigma": levels, "estimated": True}
        if format_of(source).name == "JPEG":
            details["note"] = "estimated too low in JPEG files: if noise is left, give --sigma"
    return sigma, details


def _check_equal(frames: list[Path], pictures: list[Picture], reference: int) -> None:
    """Raise if an image has another size, type or orientation than the reference."""
    first = _described(pictures[reference])
    for path, picture in zip(frames, pictures, strict=True):
        found = _described(picture)
        if found != first:
            raise FileError(
                f"{path} is {found}, and {frames[reference]} is {first}; the images of a burst "
                "must have one size, type and orientation"
            )


def _described(picture: Picture) -> str:
    """Return size, channels, type and orientation of an image."""
    image = picture.values
    channels = "" if image.ndim == 2 else f", {image.shape[2]} channels"
    turned = f", orientation {picture.orientation}" if picture.orientation != 1 else ""
    return f"{image.shape[0]} x {image.shape[1]}{channels}, {image.dtype}{turned}"
