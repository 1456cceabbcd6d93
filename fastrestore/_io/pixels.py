"""Frames of a video as gray or RGB images of full range, and back."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._io.errors import FileError
from fastrestore._io.picture import Image, Picture
from fastrestore._io.planes import (
    MATRICES,
    Frame,
    Layout,
    Planes,
    copy_planes,
    layout_of,
    plane_views,
    store_planes,
)
from fastrestore._io.pyav import FINE, FULL, LIMITED, convert, copy_timing, is_full, load_pyav


def frame_pixels(frame: Frame) -> Image:
    """Return a frame as gray (M, N) or RGB (M, N, 3) of full range."""
    if isinstance(frame.origin, Picture):
        return frame.origin.values
    return full_range(frame.planes, frame.origin)


def frame_from_pixels(values: Image, like: Frame) -> Frame:
    """Return an image as a frame with the format, color properties and time of another one."""
    origin = like.origin
    if isinstance(origin, Picture):
        return Frame(split_channels(values), replace(origin, values=values, alpha=None))
    made = _gray_frame(values, origin) if values.ndim == 2 else _color_frame(values, origin)
    copy_timing(origin, made)
    if len(origin.planes) == 4:
        _copy_alpha(origin, made)
    return Frame(copy_planes(made), made)


def split_channels(values: Image) -> Planes:
    """Return (M, N) or (M, N, C) as planes."""
    return [values] if values.ndim == 2 else list(np.moveaxis(values, -1, 0))


def full_range(planes: Planes, frame: Any) -> Image:
    """Convert planes to gray or RGB of full range, 8 or 16 bits; `frame` is their PyAV frame.

    swscale upsamples the chroma; its own conversion to 16-bit RGB is 0.4 % too dark.
    """
    layout = layout_of(frame)
    if layout.kind == "yuv" and int(frame.colorspace) not in MATRICES:
        raise FileError(
            f"cannot convert the video to RGB: color matrix {int(frame.colorspace)} (FFmpeg's "
            "number) is not supported; write the output as .mkv"
        )
    if layout.kind == "yuv" and layout.subsampling != (1, 1):
        name = re.sub(r"yuvj?a?\d{3}", "yuv444", frame.format.name)
        planes = copy_planes(convert(store_planes(planes, frame), name))
    channels = _unit_range(planes, layout)
    white = np.iinfo(layout.dtype).max
    scaled = np.rint(np.stack(channels, -1) * white)
    values: Image = np.clip(scaled, 0, white).astype(layout.dtype)
    return values[..., 0] if len(channels) == 1 else values


def _unit_range(planes: Planes, layout: Layout) -> list[NDArray[np.float64]]:
    """Return gray, or red, green and blue, with black 0 and white 1."""
    assert layout.largest is not None
    assert layout.luma_range is not None
    step = (layout.largest + 1) / 256
    black = 0.0 if layout.luma_range == layout.largest else 16 * step
    if layout.kind != "yuv":
        return [(plane - black) / layout.luma_range for plane in planes]
    red, blue = layout.weights
    y = (planes[0] - black) / layout.luma_range
    u, v = ((plane - 128 * step) / layout.chroma_range for plane in planes[1:])
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    return [r, (y - red * r - blue * b) / (1 - red - blue), b]


def _copy_alpha(source: Any, target: Any) -> None:
    """Copy alpha, enlarged to the size of the target."""
    bits = source.format.components[0].bits
    name = "gray" if bits == 8 else f"gray{bits}le"
    alpha = load_pyav().VideoFrame(source.width, source.height, name)
    plane_views(alpha)[0][...] = plane_views(source)[3]
    enlarged = alpha.reformat(target.width, target.height, name, interpolation=FINE)
    plane_views(target)[3][...] = plane_views(enlarged)[0]


def _gray_frame(values: Image, like: Any) -> Any:
    """Return a gray frame with the depth and range of another one."""
    layout = layout_of(like)
    assert layout.largest is not None
    assert layout.luma_range is not None
    relative = values / np.iinfo(values.dtype).max
    black = round((layout.largest + 1) / 16) if layout.luma_range < layout.largest else 0
    plane = np.clip(np.rint(black + relative * layout.luma_range), 0, layout.largest)
    height, width = values.shape
    frame = load_pyav().VideoFrame(width, height, like.format.name)
    frame.color_range = like.color_range
    return store_planes([plane.astype(layout.dtype)], frame)


def _color_frame(values: Image, like: Any) -> Any:
    """Return a frame with the pixel format, matrix and range of another one."""
    name = like.format.name
    source_format = "rgb24" if values.dtype.itemsize == 1 else "rgb48le"
    frame = load_pyav().VideoFrame.from_ndarray(np.ascontiguousarray(values), source_format)
    frame.color_range, frame.time_base = FULL, like.time_base
    if name.startswith("gbr"):
        return convert(frame, name)
    converted = frame.reformat(
        format=name,
        src_color_range=FULL,
        dst_color_range=FULL if is_full(like) else LIMITED,
        dst_colorspace=like.colorspace,
        interpolation=FINE,
    )
    converted.color_range = like.color_range  # an unspecified range stays unspecified
    converted.color_primaries, converted.color_trc = like.color_primaries, like.color_trc
    return converted
