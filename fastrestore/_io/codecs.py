"""Which encoder writes a film, in which pixel format, and with which options."""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from fastrestore._io.errors import CliError
from fastrestore._io.film import Heading, library
from fastrestore._io.planes import FULL, LIMITED, is_full


class Container(NamedTuple):
    """A kind of file."""

    format: str  # FFmpeg's name
    codec: str
    lossless: str  # codec


CONTAINERS = {
    ".mp4": Container("mp4", "libx264", "libx264"),
    ".m4v": Container("mp4", "libx264", "libx264"),
    ".mov": Container("mov", "libx264", "libx264"),
    ".mkv": Container("matroska", "libx264", "ffv1"),
    ".webm": Container("webm", "libvpx-vp9", "libvpx-vp9"),
    ".avi": Container("avi", "mpeg4", "ffv1"),
}

# Quality where --crf is not given: next to no loss that can be seen. Its steps differ by codec.
_CRF = {
    "libx264": 17,
    "libx264rgb": 17,
    "libx265": 19,
    "libvpx-vp9": 22,
    "libsvtav1": 22,
    "libaom-av1": 20,
}
COMMON = "yuv420p"  # what all players show
_QUANTISER = ("mpeg4", "mpeg2video", "mjpeg")  # by default 200 kbit/s, whatever the film
_BEST = 2 * 118  # quantiser 2 of 1 to 31, in FFmpeg's units
_LOSSLESS = {
    "libx264": {"qp": "0"},
    "libx264rgb": {"qp": "0"},
    "libx265": {"x265-params": "lossless=1"},
    "libvpx-vp9": {"lossless": "1"},
    "ffv1": {},
    "huffyuv": {},
    "ffvhuff": {},
    "utvideo": {},
}
_WHOLE = ("libx264", "libx265", "libsvtav1")  # refuse a part of a sample of colours
RGB, BT709 = 0, 1  # FFmpeg's numbers of matrices
FINE = 4 | 0x2000 | 0x40000  # of swscale: bicubic, full chroma, accurate; PyAV 17 names the first
_FINEST = 65535  # ticks a second that MPEG-4 part 2 has


def encoder(args: Any, path: Path, pixels: str) -> Any:
    """Return the codec for a film of this pixel format."""
    container = CONTAINERS[path.suffix.lower()]
    name = args.codec or (container.lossless if args.lossless else container.codec)
    if args.lossless and name == "libx264" and is_rgb(pixels) and not args.pixel_format:
        name = "libx264rgb"
    if args.lossless and name not in _LOSSLESS:
        raise CliError(f"--lossless: {name} loses something; write one of {', '.join(_LOSSLESS)}")
    av = library()
    try:
        codec = av.codec.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        raise CliError(
            f"there is no encoder {name} in this PyAV; write --codec with another, for instance "
            f"{', '.join(filter(_is_there, dict.fromkeys((*_CRF, *_LOSSLESS))))}"
        ) from None
    if codec.type != "video":
        raise CliError(f"--codec {name} is for {codec.type}, not for video")
    return codec


def _is_there(name: str) -> bool:
    return name in library().codecs_available and name != "libx264rgb"


def options(name: str, args: Any) -> dict[str, str]:
    """Return what the encoder is told about quality."""
    if args.lossless:
        return dict(_LOSSLESS[name])
    if args.crf is not None:
        return {"crf": f"{args.crf:g}"}
    if name in _CRF:
        return {"crf": str(_CRF[name])}
    return {"flags": "+qscale", "global_quality": str(_BEST)} if name in _QUANTISER else {}


def is_rgb(pixels: str) -> bool:
    """Whether a pixel format holds red, green and blue."""
    return bool(library().VideoFormat(pixels, 16, 16).is_rgb)


def pixel_format(codec: Any, wanted: str, args: Any) -> str:
    """Return the format of the encoder that loses least, with a warning if it loses anything."""
    known = [item.name for item in codec.video_formats or ()]
    asked = args.pixel_format
    if asked is not None:
        if asked not in known:
            raise CliError(
                f"--pixel-format {asked}: {codec.name} knows {', '.join(known) or 'none by name'}"
            )
        return str(asked)
    plain = wanted.replace("yuvj", "yuv")  # the same, with the range told in the name
    for name in (plain, wanted):
        if name in known or not known:
            return name
    offered = [name for name in known if "yuvj" not in name] or known
    alpha = plain.startswith(("yuva", "gbrap"))
    best, loss = library().codec.codec.find_best_pix_fmt_of_list(offered, plain, alpha)
    if loss and args.lossless:
        raise CliError(f"--lossless: {codec.name} does not hold {wanted}; write --codec ffv1 and "
                       "OUT as .mkv")  # fmt: skip
    if loss:
        advice = ""
        if is_rgb(wanted) and best.name != COMMON and COMMON in known:
            advice = f"; players that do not show it know --pixel-format {COMMON}"
        warnings.warn(
            f"{codec.name} does not hold {wanted}; the film becomes {best.name}{advice}",
            stacklevel=2,
        )
    return str(best.name)


def check_size(name: str, format: Any) -> None:
    """Refuse sizes that the encoder refuses, which it does without saying why."""
    across, down = 64 // format.chroma_width(64), 64 // format.chroma_height(64)
    if name in _WHOLE and (format.width % across or format.height % down):
        raise CliError(
            f"{name} needs an even width and height for {format.name}, and the film is "
            f"{format.width} x {format.height}; write --codec ffv1 and OUT as .mkv, or "
            "--pixel-format yuv444p"
        )


def time_base(name: str, path: Path, heading: Heading) -> Fraction:
    """Return the unit of time stamps: that of the film where codec and container can."""
    if path.suffix.lower() == ".avi":
        return 1 / heading.rate  # it counts frames
    if name == "mpeg4" and heading.time_base.denominator > _FINEST:
        return Fraction(1, _FINEST)
    return heading.time_base


def converted(frame: Any, pixels: str) -> Any:
    """Bring a frame to another pixel format."""
    made = frame.reformat(
        format=pixels,
        interpolation=FINE,
        **_meaning(frame, pixels),
    )
    made.pts, made.time_base, made.duration = frame.pts, frame.time_base, frame.duration
    made.pict_type = 0
    return made


def _meaning(frame: Any, pixels: str) -> dict[str, int]:
    """Say what the numbers of a frame mean, and those of the format it is brought to."""
    given = int(frame.color_range)
    if is_rgb(frame.format.name) == is_rgb(pixels):
        return {"src_color_range": given, "dst_color_range": given}
    if is_rgb(pixels):
        given = FULL if is_full(frame) else LIMITED
        return {"src_color_range": given, "dst_color_range": FULL}
    return {"src_color_range": FULL, "dst_color_range": LIMITED, "dst_colorspace": BT709}
