"""``fastrestore upscale``: small pictures in, larger ones out."""

from __future__ import annotations

import argparse
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore._io.codecs import CONTAINERS
from fastrestore._io.errors import CliError, explained
from fastrestore._io.images import READERS, check_format, check_input, read, to_type, write
from fastrestore._io.picture import EXIF, Image, Picture
from fastrestore._io.sequence import is_pattern
from fastrestore.cli.paths import channels_last, outputs

FILMS_ONLY = ("codec", "crf", "lossless", "pixel_format", "fps")
SHOWN = 8  # names of files that are skipped
WIDTH, HEIGHT = 0xA002, 0xA003  # tags of EXIF that tell the size


def run(args: argparse.Namespace) -> None:
    """Check all that can be checked, then enlarge file by file; the first error ends it."""
    from fastrestore.nets import need_torch

    try:
        need_torch()
    except ImportError as error:
        raise CliError(str(error)) from None
    if is_film(args.inputs[0]):
        from fastrestore.cli import upscale_video

        upscale_video.run(args)
        return
    told = [name for name in FILMS_ONLY if getattr(args, name)]
    if told:
        option = f"--{told[0].replace('_', '-')}"
        raise CliError(f"{option} is for films, and {args.inputs[0]} is none; leave it out")
    check_model(args, "srgan")
    inputs = [file for name in args.inputs for file in _files(Path(name))]
    for path in inputs:
        check_input(path)
    folder = any(Path(name).is_dir() for name in args.inputs)
    targets = outputs(inputs, args.output, overwrite=args.overwrite, folder=folder)
    for source, target in zip(inputs, targets, strict=True):
        _upscale_file(source, target, args)


def check_model(args: argparse.Namespace, usual: str) -> None:
    """Refuse a model that there is not, or that is for another scale."""
    from fastrestore.nets.enlarge import chosen

    if args.model == "pnp":
        raise CliError(
            "--model pnp has to be told the blur, which fastrestore.super_resolve(model='pnp') of "
            "Python is; write --model srgan, srresnet or a file of weights"
        )
    try:
        chosen(args.model or usual, args.scale)
    except (ValueError, FileNotFoundError) as error:
        text = str(error).replace("model=", "--model ").replace("scale=", "--scale ")
        raise CliError(text) from None


def is_film(name: str) -> bool:
    """Whether IN is a film, or a pattern of numbered pictures."""
    return Path(name).suffix.lower() in CONTAINERS or is_pattern(name)


def _files(path: Path) -> list[Path]:
    """Return a file, or the pictures of a folder; say what else lies there."""
    if not path.is_dir():
        return [path]
    there = sorted(each for each in path.iterdir() if not each.name.startswith("."))
    found = [each for each in there if each.suffix.lower() in READERS and each.is_file()]
    if not found:
        raise CliError(f"{path} holds no pictures ({', '.join(READERS)})")
    left = [each.name for each in there if each not in found]
    if left:
        more = f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
        told = f"{', '.join(left[:SHOWN])}{more}"
        warnings.warn(f"{path}: these are no pictures, and skipped: {told}", stacklevel=1)
    return found


def _upscale_file(source: Path, target: Path, args: argparse.Namespace) -> None:
    """Read, enlarge and write one picture."""
    picture = read(source)
    image, axis = channels_last(picture.values, source, args.channel_axis)
    picture = replace(picture, values=image)
    check_format(target, picture, source)
    with explained(source):
        values, alpha = _enlarged(picture, args)
    values = to_type(values, image.dtype)
    if axis is not None and target.suffix.lower() == ".npy":
        values = np.moveaxis(values, -1, axis)
    write(target, _told_size(replace(picture, values=values, alpha=alpha)))


def white(args: argparse.Namespace, dtype: np.dtype[Any]) -> float | None:
    """White minus black: as it is told, or what files of this type have; None: by their values."""
    if args.data_range is None and dtype in (np.uint8, np.uint16):
        return float(np.iinfo(dtype).max)
    told: float | None = args.data_range
    return told


def _enlarged(picture: Picture, args: argparse.Namespace) -> tuple[Image, Image | None]:
    """Enlarge colours, and alpha where there is some."""
    import fastrestore

    shown = sys.stderr.isatty() and not args.quiet
    pixels = picture.pixels
    result = fastrestore.super_resolve(
        pixels, args.scale, model=args.model or "srgan",
        channel_axis=None if pixels.ndim == 2 else -1,
        data_range=white(args, pixels.dtype), tile=args.tile or "auto", device=args.device,
        progress=shown,
    )  # fmt: skip
    if picture.alpha is None:
        return result, None
    values, alpha = result[..., :-1], result[..., -1]
    if picture.premultiplied:  # no colour is more than its share
        values = np.minimum(values, alpha[..., None])
    if picture.values.ndim == 2:
        values = values[..., 0]
    return values, to_type(alpha, picture.alpha.dtype)


def _told_size(picture: Picture) -> Picture:
    """Correct the size in EXIF."""
    if picture.exif is not None:
        told = picture.exif.get_ifd(EXIF)
        height, width = picture.values.shape[:2]
        for tag, size in ((WIDTH, width), (HEIGHT, height)):
            if tag in told:
                told[tag] = size
    return picture
