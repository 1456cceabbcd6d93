"""PyAV, the library that decodes and encodes videos, and conversion between its pixel formats."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from fastrestore._arrays.install import extra
from fastrestore._io.errors import FileError, reason

LIMITED, FULL = 1, 2  # FFmpeg's numbers of color ranges; 0 is unknown
RGB, BT709 = 0, 1  # FFmpeg's numbers of color matrices
FINE = 4 | 0x2000 | 0x40000  # swscale: bicubic, full chroma, accurate; PyAV 17 names only the first

# Tags that are not UTF-8 pass through unchanged, as surrogates.
TAG_ERRORS = "surrogateescape"
# FFmpeg's names of the formats that hold a video themselves. Lists of other files, such as those of
# ffconcat, HLS and DASH, are left out: opening one opens files that the user did not name.
_CONTAINERS = (
    "3gp", "apng", "asf", "av1", "avi", "dv", "flv", "gif", "gxf", "h264", "hevc", "ivf", "m4v",
    "matroska", "mjpeg", "mov", "mp4", "mpeg", "mpegts", "mpegvideo", "mxf", "nut", "obu", "ogg",
    "rm", "vc1", "webm", "wtv", "yuv4mpegpipe",
)  # fmt: skip


def load_pyav() -> Any:
    """Return the module `av`, or raise with advice on how to install it."""
    try:
        import av
    except ImportError:
        raise FileError(
            f"videos need PyAV; install it with {extra('video')}, or restore "
            "numbered images, such as frames/%05d.png"
        ) from None
    return av


def open_film(path: Path) -> Any:
    """Open a video for reading; only the file itself is opened."""
    try:
        av = load_pyav()
    except FileError as error:
        raise FileError(f"cannot read {path}: {error}") from None
    options = {"format_whitelist": ",".join(_CONTAINERS), "protocol_whitelist": "file"}
    try:
        return av.open(f"file:{path}", container_options=options, metadata_errors=TAG_ERRORS)
    except av.error.ArgumentError:  # also for a format that is not in the list
        raise FileError(f"cannot read {path}: its format is not that of a video; use a container "
                        "such as MP4, MKV, WebM, AVI or MPEG-TS") from None  # fmt: skip
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise FileError(f"cannot read {path}: {reason(error)}") from error


def is_rgb(pixel_format: str) -> bool:
    """Whether a pixel format stores red, green and blue."""
    return bool(load_pyav().VideoFormat(pixel_format, 16, 16).is_rgb)


def has_alpha(pixel_format: str) -> bool:
    """Whether a pixel format stores alpha."""
    return pixel_format.startswith(("yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya"))


def side_data(frame: Any) -> dict[str, bytes]:
    """Return the side data of a frame by FFmpeg's names, without kinds that PyAV does not name."""
    found = {}
    for data in frame.side_data:
        with suppress(ValueError):
            found[data.type.name] = bytes(data)
    return found


def is_full(frame: Any) -> bool:
    """Whether a YUV frame has full range; unspecified means limited range."""
    return is_full_range(frame.format.name, int(frame.color_range))


def is_full_range(pixel_format: str, color_range: int) -> bool:
    """Whether frames have full range; unspecified means full for gray, and limited for YUV."""
    if pixel_format.startswith("gray"):
        return color_range != LIMITED
    return color_range == FULL or pixel_format.startswith("yuvj")


def convert(frame: Any, pixel_format: str, *, limited: bool = False) -> Any:
    """Convert a frame to another pixel format, and YUV from full to limited range if wanted."""
    options = _color_options(frame, pixel_format)
    if limited:
        options |= {"src_color_range": FULL, "dst_color_range": LIMITED}
    converted = frame.reformat(format=pixel_format, interpolation=FINE, **options)
    copy_timing(frame, converted)
    converted.pict_type = 0
    return converted


def copy_timing(source: Any, target: Any) -> None:
    """Copy the time stamp and the duration of a frame."""
    target.pts, target.time_base, target.duration = source.pts, source.time_base, source.duration


def _color_options(frame: Any, pixel_format: str) -> dict[str, int]:
    """Return ranges and matrix for a conversion to `pixel_format`."""
    given = int(frame.color_range)
    if is_rgb(frame.format.name) == is_rgb(pixel_format):
        if frame.format.name.startswith("gray") != pixel_format.startswith("gray"):
            given = FULL  # swscale takes all gray for full range; so the values do not change
        return {"src_color_range": given, "dst_color_range": given}
    if is_rgb(pixel_format):
        given = FULL if is_full(frame) else LIMITED
        return {"src_color_range": given, "dst_color_range": FULL}
    return {"src_color_range": FULL, "dst_color_range": LIMITED, "dst_colorspace": BT709}
