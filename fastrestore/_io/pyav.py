"""PyAV, the library that decodes and encodes videos, and conversion between its pixel formats."""

from __future__ import annotations

from typing import Any

from fastrestore._io.errors import FileError

LIMITED, FULL = 1, 2  # FFmpeg's numbers of color ranges; 0 is unknown
RGB, BT709 = 0, 1  # FFmpeg's numbers of color matrices
FINE = 4 | 0x2000 | 0x40000  # swscale: bicubic, full chroma, accurate; PyAV 17 names only the first


def load_pyav() -> Any:
    """Return the module `av`, or raise with advice on how to install it."""
    try:
        import av
    except ImportError:
        raise FileError(
            "videos need PyAV; install it with pip install 'fastrestore[video]', or restore "
            "numbered images, such as frames/%05d.png"
        ) from None
    return av


def is_rgb(pixel_format: str) -> bool:
    """Whether a pixel format stores red, green and blue."""
    return bool(load_pyav().VideoFormat(pixel_format, 16, 16).is_rgb)


def is_full(frame: Any) -> bool:
    """Whether a YUV frame has full range; unspecified means limited range."""
    return int(frame.color_range) == FULL or bool(frame.format.name.startswith("yuvj"))


def convert(frame: Any, pixel_format: str) -> Any:
    """Convert a frame to another pixel format."""
    converted = frame.reformat(
        format=pixel_format, interpolation=FINE, **_color_options(frame, pixel_format)
    )
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
        return {"src_color_range": given, "dst_color_range": given}
    if is_rgb(pixel_format):
        given = FULL if is_full(frame) else LIMITED
        return {"src_color_range": given, "dst_color_range": FULL}
    return {"src_color_range": FULL, "dst_color_range": LIMITED, "dst_colorspace": BT709}
