"""``fastrestore video``: remove noise from videos."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastrestore._io.films import Frame, Layout, Reader
from fastrestore.cli import (
    batch,
    films,
    inputs,
    noise,
    noise_models,
    options,
    outcomes,
    video_planes,
)
from fastrestore.cli.batch import Details
from fastrestore.cli.errors import CommandError
from fastrestore.cli.noise import Sigma
from fastrestore.cli.video_planes import PlaneNoise

EPILOG = """\
examples:
  fastrestore video noisy.mp4
  fastrestore video noisy.mp4 -o clean.mp4 --strength 0.8
  fastrestore video noisy.mkv -o clean.mkv --sigma 10/255 --crf 14
  fastrestore video films -o restored
  fastrestore video frames/%05d.png -o clean.mp4 --fps 24 --sigma 25 --sigma-scale 8bit
  fastrestore video noisy.mov -o clean/%05d.png --noise white

IN is a video, a directory of videos, or numbered images such as frames/%05d.png. OUT is a video
(.mp4, .m4v, .mov, .mkv, .webm, .avi), numbered images, or a directory.

By default the noise is estimated, whatever it is, from the first frames of each scene; --noise
white, correlated, signal-dependent or camera selects a model. If a video stores luminance and
chroma, this is the noise of the luminance, and that of the chroma is white. For gray and RGB
videos --noise can also be a file SPEC.npz, see `fastrestore info --save`, or
poisson:GAIN,SIGMA,OFFSET in the units of the stored values.

--sigma is the noise level of red, green and blue, as a fraction of white or, with --sigma-scale
8bit, on a scale from 0 to 255. If a video stores luminance and chroma, the noise levels of these
are computed from it. With --sigma-scale native, --sigma is the noise level of the stored values,
equal for luminance and chroma. With --sigma auto the noise is white, and its level is estimated
for each plane, from frames spread over the video.

Frame rate, time stamps, pixel format, alpha, color properties, HDR10 metadata, rotation, field
order and metadata are preserved, and all other tracks are copied. Subtitles are converted if the
container needs it; a warning names all that is not written. Equal consecutive frames are restored
once. After Ctrl-C, the result of a single IN contains the frames restored so far. If IN is damaged,
all frames that can be read are restored, and the exit status is 1.
"""
# Options of `denoise` that do not apply to videos, and their defaults
_OF_IMAGES = {
    "kernel": None, "psd": None, "channel_axis": None, "colorspace": "auto", "blend": 1.0,
    "data_range": None, "weights": None, "tile": None, "device": None, "max_memory": None,
}  # fmt: skip
_OWN = {"radius": 4, "scene_cuts": True}  # options that `denoise` lacks, and their defaults


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    options.add_files(parser, "videos")
    add = options.group(parser, options.METHOD).add_argument
    options.add_sigma(parser)
    options.add_noise_model(parser)
    options.add_chroma_strength(parser)
    add(
        "--radius",
        type=int,
        default=4,
        metavar="N",
        help="number of frames to search before and after each, 0 to 16; default: 4",
    )
    add("--no-scene-cuts", dest="scene_cuts", action="store_false", help="do not detect scene cuts")
    options.add_profile(parser, "video", ("video", "fast", "lc", "balanced", "np", "high", "vn"))
    films.add_encoder(parser)
    options.add_stage(parser)
    options.add_execution(parser)


def run(args: argparse.Namespace) -> int:
    """Denoise video by video."""
    noise.check(args)
    if args.noise == noise_models.POISSON_AUTO:
        raise CommandError(f"--noise {args.noise} is for images; write --noise poisson:GAIN,SIGMA")
    options.check_chroma_strength(args)
    if not 0 <= args.radius <= 16:
        raise CommandError(f"--radius {args.radius} is not a number of frames from 0 to 16")
    inputs.check_two(args)

    def process(source: Path, target: Path) -> Details:
        return restore(source, target, args)

    return batch.process_files(args, process, films.FILMS)


def options_of(args: argparse.Namespace, source: Path) -> argparse.Namespace:
    """Return the options of `denoise` as those of this command; raise on others."""
    for name, value in _unused(args):
        raise CommandError(f"{source}: {name} {value} is for images; leave it out for videos")
    profile = "video" if args.profile == "np" else args.profile
    return argparse.Namespace(**(vars(args) | _OWN | {"profile": profile}))


def _unused(args: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Yield the options that do not apply to videos."""
    allowed = {"kind": (None, "film"), "method": (None, "bm3d")}
    for name, values in allowed.items():
        if getattr(args, name) not in values:
            yield "--as" if name == "kind" else "--method", getattr(args, name)
    if args.profile in ("refilter", "iterative"):
        yield "--profile", args.profile
    if args.noise == noise_models.POISSON_AUTO:
        yield "--noise", args.noise
    for name, default in _OF_IMAGES.items():
        if getattr(args, name) != default:
            yield options.spelled(name), getattr(args, name)


def restore(source: Path, target: Path, args: argparse.Namespace) -> Details:
    """Read, restore and write a video; return details for the report."""
    found: list[PlaneNoise] = []
    layouts: list[Layout] = []

    def process(reader: Reader) -> Iterator[Frame]:
        found.append(_noise(reader, args))
        layouts.append(reader.layout)
        arguments = _vbm3d_arguments(args)
        return video_planes.denoise(reader.frames(), reader.layout, found[0], arguments)

    count = films.restore_film(source, target, args, process)
    details = _described(found[0], layouts[0], args)
    return details | {"frames": count, "note": f"{count} frame{'' if count == 1 else 's'}"}


def _described(found: PlaneNoise, layout: Layout, args: argparse.Namespace) -> Details:
    """Return the noise of the planes, and the method."""
    details: Details = {"method": "vbm3d", "profile": args.profile}
    info = found.info
    if info is not None:
        details |= outcomes.details_of(info)
        if layout.kind == "yuv":
            details["noise"]["sigma"] += found.planes[1:]
    elif found.source is None:
        estimated = args.sigma == "auto"
        details["noise"] = {"model": "white", "sigma": found.planes, "estimated": estimated}
        details["strength"] = args.strength
    if layout.kind == "yuv" and "noise" in details:
        details["noise"]["planes"] = ["luminance", "blue difference", "red difference"]
    return details


def _noise(source: Reader, args: argparse.Namespace) -> PlaneNoise:
    """Return the noise of the planes."""
    layout = source.layout
    if args.sigma is None:
        model = noise_models.parse(args.noise or "auto")
        if layout.kind == "yuv" and not isinstance(model, str):
            raise CommandError(
                f"--noise {args.noise} is for gray and RGB videos, and {source.path} stores "
                f"luminance and chroma; write one of {', '.join(noise_models.MODELS)}"
            )
        return video_planes.sourced_noise(model, source.samples(), layout)
    sigma = Sigma.parse(args)
    level = sigma.in_units_of(layout.dtype, source.path, layout.largest)
    if level is not None:
        return video_planes.plane_noise(level, layout, stored=sigma.scale == "native")
    levels = video_planes.estimate_noise(source.samples(), layout)
    if not any(levels.planes):
        warnings.warn(f"{source.path}: no noise was found; frames are not changed", stacklevel=2)
    return levels


def _vbm3d_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments of `vbm3d` other than the noise."""
    strength = {} if args.strength == 1 else {"strength": args.strength}
    return strength | {
        "radius": args.radius,
        "profile": args.profile,
        "stage": args.stage,
        "chroma_strength": args.chroma_strength,
        "scene_cuts": args.scene_cuts,
        "workers": args.workers,
        "backend": args.backend,
    }
