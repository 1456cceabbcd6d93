"""Films that are made larger, in red, green and blue."""

from __future__ import annotations

import argparse
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np

from fastrestore._io.codecs import FINE, converted
from fastrestore._io.errors import CliError, explained
from fastrestore._io.film import library
from fastrestore._io.images import to_type
from fastrestore._io.picture import Image, Picture
from fastrestore._io.planes import FULL, LIMITED, Shot, is_full, layout_of, planes_of, put
from fastrestore._io.sequence import full_range, is_pattern
from fastrestore.cli.upscale import check_model, white
from fastrestore.cli.video import carry, check_encoder, check_film_output, sink_of, source_of


def run(args: argparse.Namespace) -> None:
    """Check all that can be checked, then enlarge frame by frame."""
    if len(args.inputs) > 1:
        raise CliError(f"{args.inputs[0]} is a film; write one film at a time")
    args.input = args.inputs[0]
    for name in ("channel_axis",) if is_pattern(args.input) else ("channel_axis", "data_range"):
        if getattr(args, name) is not None:
            option = f"--{name.replace('_', '-')} {getattr(args, name):g}"
            raise CliError(f"{option} is for pictures; {args.input} tells it itself")
    check_model(args, "vsrgan")
    check_encoder(args)
    with closing(source_of(args)) as source:
        check_film_output(args)
        with explained(source.path):
            shots = _larger(source.shots(), args)
            first = next(shots)  # what cannot be is said before a file is begun
        sink = sink_of(source, args, args.scale)
        if source.interlaced:
            warnings.warn(f"{source.path} is interlaced; deinterlace it first", stacklevel=1)
        with explained(source.path):
            carry(_chained(first, shots), source, sink, args)
        complaint = source.complaint()
        if complaint is not None:
            raise CliError(f"{complaint}; {sink.path} holds them enlarged")


def _chained(first: Shot, rest: Iterator[Shot]) -> Iterator[Shot]:
    yield first
    yield from rest


def _larger(shots: Iterator[Shot], args: argparse.Namespace) -> Iterator[Shot]:
    """Enlarge a film; what comes out has the type and range of what went in."""
    import itertools

    import fastrestore

    waiting: deque[tuple[Shot, Image]] = deque()
    begun = next(shots)

    def frames() -> Iterator[Image]:
        for shot in itertools.chain([begun], shots):
            pixels = _pixels(shot)
            waiting.append((shot, pixels))
            yield pixels

    pixels = _pixels(begun)
    model = "vsrgan" if args.model is None else args.model
    for frame in fastrestore.super_resolve_video(
        frames(), args.scale, model=model, channel_axis=None if pixels.ndim == 2 else -1,
        data_range=white(args, pixels.dtype), tile=args.tile or "auto", device=args.device,
    ):  # fmt: skip
        shot, before = waiting.popleft()
        yield _shot(shot, to_type(frame, before.dtype))


def _pixels(shot: Shot) -> Image:
    """Gray, or red, green and blue, of full range."""
    if isinstance(shot.held, Picture):
        return shot.held.values
    return full_range(shot.planes, shot.held)


def _shot(shot: Shot, values: Image) -> Shot:
    """The larger frame as it is written."""
    planes = [values] if values.ndim == 2 else list(np.moveaxis(values, -1, 0))
    held = shot.held
    if isinstance(held, Picture):
        return Shot(planes, replace(held, values=values, alpha=None))
    made = _gray(values, held) if values.ndim == 2 else _coloured(values, held)
    made.pts, made.time_base, made.duration = held.pts, held.time_base, held.duration
    return Shot(planes_of(made), made)


def _gray(values: Image, held: Any) -> Any:
    """A gray frame of the depth and range of another one."""
    layout = layout_of(held)
    assert layout.top is not None
    assert layout.black_to_white is not None
    share = values / np.iinfo(values.dtype).max
    black = round((layout.top + 1) / 16) if layout.black_to_white < layout.top else 0
    plane = np.clip(np.rint(black + share * layout.black_to_white), 0, layout.top)
    height, width = values.shape
    frame = library().VideoFrame(width, height, held.format.name)
    frame.color_range = held.color_range
    return put([plane.astype(layout.dtype)], frame)


def _coloured(values: Image, held: Any) -> Any:
    """A frame of the pixel format, matrix and range of another one."""
    name = held.format.name
    kind = "rgb24" if values.dtype.itemsize == 1 else "rgb48le"
    frame = library().VideoFrame.from_ndarray(np.ascontiguousarray(values), kind)
    frame.color_range, frame.time_base = FULL, held.time_base
    if name.startswith("gbr"):
        return converted(frame, name)
    made = frame.reformat(
        format=name, src_color_range=FULL, dst_color_range=FULL if is_full(held) else LIMITED,
        dst_colorspace=held.colorspace, interpolation=FINE,
    )  # fmt: skip
    made.color_range = held.color_range  # a film that does not say goes on not saying
    made.color_primaries, made.color_trc = held.color_primaries, held.color_trc
    return made
