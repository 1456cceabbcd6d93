"""``fastrestore upscale``: enlarge images and videos with a network."""

from __future__ import annotations

import argparse
import itertools
import math
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fastrestore
from fastrestore._io import images
from fastrestore._io.films import (
    Frame,
    Reader,
    enlarged_length,
    frame_from_pixels,
    frame_pixels,
    is_film,
    is_sequence,
)
from fastrestore._io.images import Image, Picture, to_type
from fastrestore.cli import batch, options, restoring
from fastrestore.cli.batch import Details
from fastrestore.cli.errors import CommandError, explained, require_torch
from fastrestore.cli.films import add_encoder, process_film

EPILOG = """\
examples:
  fastrestore upscale small.png
  fastrestore upscale small.png -o larger.png --scale 2.5
  fastrestore upscale photos -o larger --model srgan
  fastrestore upscale video.mp4 -o larger.mp4 --scale 4
  fastrestore upscale video.mp4 -o larger.mp4 --model vsrgan

srresnet, the default, gives soft images. srgan generates details, which may be wrong: faces look
older, and text gets specks. vsrgan does the same in videos, and in numbered images such as
frames/%05d.png; all other tracks of a video are copied. --model may also be a file of weights.

--scale is any number from 1 to that of the network, which is 4 for the built-in ones. The network
enlarges by 4, and its result is reduced by cubic convolution with antialiasing, to
round(M * scale) rows and round(N * scale) columns. Of videos, the last row or column is cut off if
its number is odd and the scale is not a whole number.

restore-gan-experimental, with --scale 1, is an experiment for photographs with strong blur, noise
and compression, all at once. It damages other photographs, and small faces in all of them. Use
`fastrestore denoise` if there is noise, and `fastrestore deblur` if the blur is known.

Alpha is interpolated. The output has the number type of the input. `fastrestore formats` lists the
formats.

White is 255 for 8 bits, 65535 for 16 bits, and 1 for floats. For floats that are not between 0 and
1, or all close to 0, the range is measured. Use --data-range if white differs, for example
--data-range 4095 for 12 bits in a file of 16 bits.
"""
DEFAULT = "srresnet"  # for images and videos: it adds no details
FILM_OPTIONS = ("codec", "crf", "lossless", "pixel_format", "fps")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    add = parser.add_argument
    options.add_files(parser, "a video, or images")
    text = "factor for rows and columns, from 1 to 4, such as 2.5; default: 4"
    add("--scale", default="4", metavar="X", help=text)
    add("--model", metavar="NAME", help="see below; default: srresnet")
    options.refuse_strength(parser, "networks for this remove no noise that could be scaled")
    options.add_channel_axis(parser)
    options.add_data_range(parser)
    add = options.group(parser, options.SPEED).add_argument
    add("--tile", type=int, metavar="N", help="side of the tiles in pixels; default: automatic")
    add("--device", metavar="NAME", help="cpu, cuda or cuda:1; default: a GPU if available")
    add_encoder(parser)
    options.add_replacing(parser)


def run(args: argparse.Namespace) -> int:
    """Enlarge a video, or images file by file."""
    args.scale = _scale(args.scale)
    require_torch()
    if is_film(args.inputs[0]):
        _upscale_film(args)
        return 0
    given = [name for name in FILM_OPTIONS if getattr(args, name)]
    if given:
        raise CommandError(
            f"{options.spelled(given[0])} is for videos, and {args.inputs[0]} is not one; "
            "leave it out"
        )
    _check_model(args)
    return batch.process_files(args, lambda source, target: _upscale_file(source, target, args))


def _scale(text: str) -> float:
    """Return --scale as a number, a whole one as an int."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 1 <= value < math.inf:
        raise CommandError(f"--scale {text} is not a number from 1 to 4; write for example 2.5")
    return int(value) if value.is_integer() else value


def _check_model(args: argparse.Namespace) -> None:
    """Raise on unknown models, and on models for another scale."""
    from fastrestore.nets.call import Options
    from fastrestore.nets.enlarge import requested

    if args.model == "pnp":
        raise CommandError(
            "--model pnp needs the blur, which only fastrestore.super_resolve(model='pnp') in "
            "Python accepts; write --model srresnet, srgan or a file of weights"
        )
    try:
        requested(args.model or DEFAULT, args.scale, Options())
    except (ValueError, FileNotFoundError) as error:
        text = str(error).replace("model=", "--model ").replace("scale=", "--scale ")
        raise CommandError(text) from None


def _upscale_file(source: Path, target: Path, args: argparse.Namespace) -> Details:
    """Read, enlarge and write one image; return details for the report."""
    picture = images.read_channels_last(source, args.channel_axis)
    images.check_format(target, picture, source)
    with explained(source):
        values, alpha = _enlarged(picture, args)
    images.write(target, picture.resized(to_type(values, picture.values.dtype), alpha))
    model, (rows, columns) = args.model or DEFAULT, values.shape[:2]
    return restoring.described(picture.values) | {
        "model": model,
        "scale": args.scale,
        "output_shape": list(values.shape),
        "note": f"{model}, {args.scale:g} times, {rows} x {columns}",
    }


def _enlarged(picture: Picture, args: argparse.Namespace) -> tuple[Image, Image | None]:
    """Enlarge the colors, and alpha if there is one."""
    pixels = picture.pixels
    result = fastrestore.super_resolve(
        pixels,
        args.scale,
        model=args.model or DEFAULT,
        progress=options.show_progress(args),
        **restoring.network_arguments(args, pixels),
    )
    if picture.alpha is None:
        return result, None
    values, alpha = result[..., :-1], result[..., -1]
    if picture.premultiplied:  # no color exceeds its alpha
        values = np.minimum(values, alpha[..., None])
    if picture.values.ndim == 2:
        values = values[..., 0]
    return values, to_type(alpha, picture.alpha.dtype)


def _upscale_film(args: argparse.Namespace) -> None:
    """Enlarge a video frame by frame, in gray or RGB."""
    if args.output is None:
        raise CommandError(
            f"{args.inputs[0]} is a video; specify the output by -o, such as large.mp4"
        )
    if len(args.inputs) > 1:
        raise CommandError(f"{args.inputs[0]} is a video; specify one video at a time")
    args.input = args.inputs[0]
    names = ("channel_axis",) if is_sequence(args.input) else ("channel_axis", "data_range")
    for name in names:
        if getattr(args, name) is not None:
            option = f"{options.spelled(name)} {getattr(args, name):g}"
            raise CommandError(f"{option} is for images; {args.input} has its own, so leave it out")
    _check_model(args)

    def process(source: Reader) -> Iterator[Frame]:
        frames = _enlarged_frames(source.frames(), args)
        first = next(frames)  # errors are raised before a file is created
        return itertools.chain([first], frames)

    process_film(args, process, args.scale)


def _enlarged_frames(frames: Iterator[Frame], args: argparse.Namespace) -> Iterator[Frame]:
    """Enlarge frames; the type and range of their values stay the same."""
    waiting: deque[tuple[Frame, np.dtype[Any]]] = deque()
    first = next(frames)

    def pixels() -> Iterator[Image]:
        for frame in itertools.chain([first], frames):
            values = frame_pixels(frame)
            waiting.append((frame, values.dtype))
            yield values

    arguments = restoring.network_arguments(args, frame_pixels(first))
    model = args.model or DEFAULT
    for result in fastrestore.super_resolve_video(pixels(), args.scale, model=model, **arguments):
        frame, dtype = waiting.popleft()
        if not is_sequence(args.output):
            rows, columns = (enlarged_length(n, args.scale) for n in frame_pixels(frame).shape[:2])
            result = result[:rows, :columns]
        yield frame_from_pixels(to_type(result, dtype), frame)
