"""The choice of encoder, pixel format and encoder options for a video."""

from __future__ import annotations

import os
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from fastrestore._io.errors import FileError
from fastrestore._io.film_reader import FilmInfo
from fastrestore._io.hdr import encoder_options as hdr_options
from fastrestore._io.pyav import has_alpha, is_full_range, is_rgb, load_pyav


class EncoderOptions(NamedTuple):
    """Options of an encoder; None and False choose by the extension of the file."""

    codec: str | None = None  # FFmpeg's name
    crf: float | None = None  # quality: lower is better and larger
    lossless: bool = False
    pixel_format: str | None = None  # FFmpeg's name


class Container(NamedTuple):
    """A container format and its default codecs."""

    format: str  # FFmpeg's name
    codec: str
    lossless_codec: str


CONTAINERS = {
    ".mp4": Container("mp4", "libx264", "libx264"),
    ".m4v": Container("mp4", "libx264", "libx264"),
    ".mov": Container("mov", "libx264", "libx264"),
    ".mkv": Container("matroska", "libx264", "ffv1"),
    ".webm": Container("webm", "libvpx-vp9", "libvpx-vp9"),
    ".avi": Container("avi", "mpeg4", "ffv1"),
}

# Default quality, visually almost lossless. The scale differs by codec.
_CRF = {
    "libx264": 17,
    "libx264rgb": 17,
    "libx265": 19,
    "libvpx-vp9": 22,
    "libsvtav1": 22,
    "libaom-av1": 20,
}
_COMMON = "yuv420p"  # supported by all players
_QUANTIZER = ("mpeg4", "mpeg2video", "mjpeg")  # their default is 200 kbit/s
_BEST = 2 * 118  # quantizer 2 of 1 to 31, in FFmpeg's units
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
_SILENT = {"libx265": {"x265-params": "log-level=none"}}  # it prints on standard error
_WHOLE_CHROMA = ("libx264", "libx265", "libsvtav1")  # need a multiple of the chroma subsampling
_PROGRESSIVE = ("libx265", "libvpx", "libvpx-vp9", "libsvtav1", "libaom-av1")  # frames only
_STATE_ASPECT = ("libx264", "libx264rgb", "libx265", "mpeg4", "mpeg2video", "ffv1")
# Of YUV; Matroska and WebM store the range themselves
_STORE_RANGE = (
    "libx264",
    "libx264rgb",
    "libx265",
    "libvpx-vp9",
    "libsvtav1",
    "libaom-av1",
    "mjpeg",
)
# Pixel formats that an encoder lists, but does not open
_REFUSED = {"libvpx-vp9": ("yuva422p", "yuva444p", "gbrap")}
_FIELDS = 1 << 18 | 1 << 29  # FFmpeg's flags for transforms and motion of single fields
_BOTTOM_FIRST = (3, 5)  # FFmpeg's numbers of field orders; those of top first are 2 and 4
_FINEST = 65535  # most ticks a second in MPEG-4 part 2


def is_film(path: Path) -> bool:
    """Whether the extension is that of a video."""
    return path.suffix.lower() in CONTAINERS


def encoder(options: EncoderOptions, path: Path, pixel_format: str) -> Any:
    """Return the codec for a video of this pixel format."""
    container = CONTAINERS[path.suffix.lower()]
    name = options.codec or (container.lossless_codec if options.lossless else container.codec)
    if options.lossless and name == "libx264" and is_rgb(pixel_format):
        name = name if options.pixel_format else "libx264rgb"
    if options.lossless and name not in _LOSSLESS:
        raise FileError(
            f"lossless: {name} is not a lossless codec; choose one of {', '.join(_LOSSLESS)}"
        )
    av = load_pyav()
    try:
        codec = av.codec.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        raise FileError(
            f"codec={name!r}: PyAV has no such encoder; choose another, for example "
            f"{', '.join(filter(_is_available, dict.fromkeys((*_CRF, *_LOSSLESS))))}"
        ) from None
    if codec.type != "video":
        raise FileError(f"codec={name!r} encodes {codec.type}, not video")
    return codec


def _is_available(name: str) -> bool:
    return name in load_pyav().codecs_available and name != "libx264rgb"


def encoder_options(context: Any, options: EncoderOptions, info: FilmInfo) -> dict[str, str]:
    """Return FFmpeg's options for an encoder: quality, HDR10 metadata and field order."""
    name, found = context.name, _quality(context.name, options)
    if name in ("libvpx", "libvpx-vp9") and context.pix_fmt.startswith("yuva"):
        found["auto-alt-ref"] = "0"  # which alpha excludes
    if name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only; it prints on standard error
    hdr = info.hdr and hdr_options(name, info.hdr)
    for more in (_SILENT.get(name), hdr, _field_order(name, info)):
        for option, text in (more or {}).items():
            found[option] = f"{found[option]}:{text}" if option in found else text
    return found


def _quality(name: str, options: EncoderOptions) -> dict[str, str]:
    """Return FFmpeg's options for the quality of an encoder."""
    if options.lossless:
        return dict(_LOSSLESS[name])
    if options.crf is not None:
        return {"crf": f"{options.crf:g}"}
    if name in _CRF:
        return {"crf": str(_CRF[name])}
    return {"flags": "+qscale", "global_quality": str(_BEST)} if name in _QUANTIZER else {}


def _field_order(name: str, info: FilmInfo) -> dict[str, str]:
    """Return the option for the field order before the first frame, which states its own."""
    if name not in ("libx264", "libx264rgb") or not info.interlaced or info.field_order < 2:
        return {}
    return {"x264-params": "bff=1" if info.field_order in _BOTTOM_FIRST else "tff=1"}


def set_fields(context: Any, info: FilmInfo) -> None:
    """Let an encoder encode interlaced frames as such, if it can."""
    if info.interlaced and info.field_order:
        context.field_order = info.field_order
    if info.interlaced and context.name not in _PROGRESSIVE:
        context.flags |= _FIELDS


def warn_of_fields(name: str, path: Path, info: FilmInfo) -> None:
    """Warn if an encoder does not support interlaced video."""
    if info.interlaced and name in _PROGRESSIVE:
        warnings.warn(f"{path}: {name} does not support interlaced video; the frames are flagged "
                      "progressive", stacklevel=3)  # fmt: skip


def warn_of_aspect(name: str, path: Path, info: FilmInfo) -> None:
    """Warn if the data of an encoder do not state the aspect ratio of a pixel."""
    if info.aspect not in (None, 0, 1) and name not in _STATE_ASPECT:
        warnings.warn(f"{path}: {name} does not store that pixels are {info.aspect} times as wide "
                      "as high; .mp4 stores it", stacklevel=3)  # fmt: skip


def loses_range(context: Any, path: Path, info: FilmInfo, *, lossless: bool) -> bool:
    """Whether frames have to be converted to limited range, with a warning, to look the same."""
    name, pixels = context.name, context.pix_fmt
    if is_rgb(info.pixel_format) or is_rgb(pixels) or pixels.startswith(("gray", "yuvj")):
        return False
    full = is_full_range(info.pixel_format, info.colors.get("color_range", 0))
    in_container = path.suffix.lower() in (".mkv", ".webm") and name != "mpeg2video"
    if not full or in_container or name in _STORE_RANGE:
        return False
    cure = "write .mkv" if lossless else "the video is converted to limited range"
    warnings.warn(f"{path}: {name} in {path.suffix} does not store that a video has full range; "
                  f"{cure}", stacklevel=3)  # fmt: skip
    return not lossless


def pixel_format(codec: Any, source_format: str, options: EncoderOptions) -> str:
    """Return the encoder's pixel format with the least loss; warn if there is any loss."""
    supported = [item.name for item in codec.video_formats or ()]
    supported = [name for name in supported if name not in _REFUSED.get(codec.name, ())]
    requested = options.pixel_format
    if requested is not None:
        if requested not in supported:
            raise FileError(f"pixel_format={requested!r}: {codec.name} supports "
                            f"{', '.join(supported) or 'no format by name'}")  # fmt: skip
        return requested
    plain = source_format.replace("yuvj", "yuv")  # "j" only means full range
    for name in (plain, source_format):
        if name in supported or not supported:
            return name
    return _closest_format(codec.name, source_format, supported, lossless=options.lossless)


def _closest_format(codec: str, wanted: str, supported: list[str], *, lossless: bool) -> str:
    """Return the supported pixel format that loses least."""
    plain = wanted.replace("yuvj", "yuv")
    candidates = [name for name in supported if "yuvj" not in name] or supported
    find = load_pyav().codec.codec.find_best_pix_fmt_of_list
    best, loss = find(candidates, plain, has_alpha(plain))
    if loss and lossless:
        raise FileError(f"lossless: {codec} does not support {wanted}; use the codec ffv1 in an "
                        ".mkv file")  # fmt: skip
    if loss:
        advice = ", without alpha" if has_alpha(wanted) and not has_alpha(best.name) else ""
        if is_rgb(wanted) and best.name != _COMMON and _COMMON in supported:
            advice += f"; some players support only the pixel format {_COMMON}"
        warnings.warn(
            f"{codec} does not support {wanted}; the video is converted to {best.name}{advice}",
            stacklevel=3,
        )
    return str(best.name)


def check_size(name: str, path: Path, format: Any) -> None:
    """Raise on sizes that the encoder would reject without a reason."""
    across, down = 64 // format.chroma_width(64), 64 // format.chroma_height(64)
    if name in _WHOLE_CHROMA and (format.width % across or format.height % down):
        raise FileError(
            f"cannot write {path}: {name} needs an even width and height for {format.name}, and "
            f"the video is {format.width} x {format.height}; use the codec ffv1 in an .mkv "
            "file, or the pixel format yuv444p"
        )


def time_base(name: str, path: Path, info: FilmInfo) -> Fraction:
    """Return the unit of time stamps: that of the source, if codec and container support it."""
    if path.suffix.lower() == ".avi" or name == "mpeg2video":
        return 1 / info.rate  # they count frames
    if name == "mpeg4" and info.time_base.denominator > _FINEST:
        return Fraction(1, _FINEST)
    return info.time_base
