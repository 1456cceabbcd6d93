"""``fastrestore video``: remove noise from videos."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from typing import Any

from fastrestore._io.films import Frame, Reader
from fastrestore.cli import films, noise, noise_models, options, video_planes
from fastrestore.cli.errors import CommandError
from fastrestore.cli.noise import Sigma
from fastrestore.cli.video_planes import PlaneNoise

EPILOG = """\
examples:
  fastrestore video noisy.mp4 clean.mp4
  fastrestore video noisy.mp4 clean.mp4 --strength 0.8
  fastrestore video noisy.mkv clean.mkv --sigma 10/255 --crf 14
  fastrestore video frames/%05d.png clean.mp4 --fps 24 --sigma 25 --sigma-scale 8bit
  fastrestore video noisy.mov clean/%05d.png --noise white

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
once. After Ctrl-C, OUT contains the frames restored so far. If IN is damaged, all frames that can
be read are restored, and the exit status is 2.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add("input", metavar="IN", help="video, or numbered images such as frames/%%05d.png")
    add("output", metavar="OUT", help="video (.mp4, .mkv, .mov, .webm, .avi), or numbered images")
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
    options.add_profile(parser, "video", ("video", "fast", "lc", "np", "high", "vn"))
    films.add_encoder(parser)
    options.add_stage(parser)
    options.add_execution(parser)


def run(args: argparse.Namespace) -> None:
    """Denoise the video frame by frame."""
    noise.check(args)
    if args.noise == noise_models.POISSON_AUTO:
        raise CommandError(f"--noise {args.noise} is for images; write --noise poisson:GAIN,SIGMA")
    options.check_chroma_strength(args)
    if not 0 <= args.radius <= 16:
        raise CommandError(f"--radius {args.radius} is not a number of frames from 0 to 16")

    def process(source: Reader) -> Iterator[Frame]:
        found = _noise(source, args)
        return video_planes.denoise(source.frames(), source.layout, found, _vbm3d_arguments(args))

    films.process_film(args, process)


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
