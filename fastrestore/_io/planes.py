"""Frames of a video as planes, and back.

A plane is an array (rows, columns) of stored values, uint8 for 8 bits and uint16 for more, in
limited or full range as stored: values are not converted. Formats that hold the same values in
another order, such as nv12 or bgr0, are made planar first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastrestore._io.errors import FileError
from fastrestore._io.picture import Image
from fastrestore._io.pyav import copy_timing, is_full

Planes = list[Image]

_PLANAR = re.compile(r"(gray|yuvj?4\d\dp|yuva4\d\dp|gbrap|gbrp)(9|10|12|14|16)?(le)?")
_PLANAR_EQUIVALENT = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "p010le": "yuv420p10le",
    "p210le": "yuv422p10le",
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "rgb24": "gbrp",
    "bgr24": "gbrp",
    "rgb0": "gbrp",
    "bgr0": "gbrp",
    "0rgb": "gbrp",
    "0bgr": "gbrp",
    "rgba": "gbrap",
    "bgra": "gbrap",
    "argb": "gbrap",
    "abgr": "gbrap",
    "gray16be": "gray16le",
    "rgb48le": "gbrp16le",
    "rgb48be": "gbrp16le",
    "rgba64le": "gbrap16le",
    "rgba64be": "gbrap16le",
}

# Weights of red and blue in the luminance, by FFmpeg's number of the color matrix
_WEIGHTS = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
    10: (0.2627, 0.0593),
}
MATRICES = (1, 2, 4, 5, 6, 7, 9)  # linear ones, convertible to RGB; 2 is unknown
_BT601 = (0.299, 0.114)  # FFmpeg's default for unspecified matrices


class Frame(NamedTuple):
    """The planes of a frame, and the PyAV frame or the image that they were read from."""

    planes: Planes
    origin: Any


@dataclass(frozen=True)
class Layout:
    """The meaning of the planes of a video, or of the channels of images."""

    kind: str  # "gray", "rgb", "yuv", or "other" channels
    count: int  # number of planes
    dtype: np.dtype[Any]
    largest: int | None = None  # the largest value; None for floats
    luma_range: float | None = None  # white minus black of the luminance
    chroma_range: float = 0.0  # the same for the two color differences
    weights: tuple[float, float] = _BT601  # of red and blue in the luminance
    subsampling: tuple[int, int] = (1, 1)  # rows and columns of pixels that share a color


def _planar_format(name: str) -> str | None:
    """Return the planar pixel format that holds the same values, or None."""
    name = _PLANAR_EQUIVALENT.get(name, name)
    return name if _PLANAR.fullmatch(name) else None


def layout_of(frame: Any) -> Layout:
    """Describe a planar PyAV frame."""
    name, bits = frame.format.name, frame.format.components[0].bits
    largest, step = 2**bits - 1, 2.0 ** (bits - 8)
    dtype = np.dtype(np.uint8 if bits <= 8 else np.uint16)
    if name.startswith("gbr"):
        return Layout("rgb", 3, dtype, largest, largest)
    if name.startswith("gray"):
        return Layout("gray", 1, dtype, largest, largest if is_full(frame) else 219 * step)
    full = is_full(frame)
    luma, chroma = frame.planes[:2]
    return Layout(
        "yuv",
        3,
        dtype,
        largest,
        luma_range=largest if full else 219 * step,
        chroma_range=largest if full else 224 * step,
        weights=_WEIGHTS.get(int(frame.colorspace), _BT601),
        subsampling=(-(-luma.height // chroma.height), -(-luma.width // chroma.width)),
    )


def layout_of_values(values: Image) -> Layout:
    """Describe images (M, N) or (M, N, C)."""
    count = 1 if values.ndim == 2 else values.shape[2]
    kind = "gray" if values.ndim == 2 else "rgb" if count == 3 else "other"
    if values.dtype.kind == "f":
        return Layout(kind, count, values.dtype)
    largest = int(np.iinfo(values.dtype).max)
    return Layout(kind, count, values.dtype, largest, largest)


def as_planar(frame: Any) -> Any:
    """Return a PyAV frame in a planar format with the same values."""
    name = _planar_format(frame.format.name)
    if name is None:
        raise FileError(f"its pixel format {frame.format.name} is not supported; convert it first, "
                        "for example to yuv420p")  # fmt: skip
    if name == frame.format.name:
        return frame
    planar = frame.reformat(format=name)
    copy_timing(frame, planar)
    return planar


def copy_planes(frame: Any) -> Planes:
    """Copy the planes of a planar frame without alpha: gray, or Y, U, V, or R, G, B."""
    views = plane_views(frame)
    if frame.format.name.startswith("gbr"):
        views = [views[2], views[0], views[1]]
    return [view.copy() for view in views[:3]]  # a fourth is alpha


def store_planes(planes: Planes, frame: Any) -> Any:
    """Write planes into a PyAV frame, and return it, ready to be encoded."""
    frame.make_writable()  # the decoder may still refer to it
    if frame.format.name.startswith("gbr"):
        planes = [planes[1], planes[2], planes[0]]
    for view, plane in zip(plane_views(frame), planes, strict=False):
        view[...] = plane
    frame.pict_type = 0  # the encoder chooses key frames
    return frame


def plane_views(frame: Any) -> Planes:
    """Return views of the planes of a frame without the padding of their rows."""
    dtype = np.dtype("u1" if frame.format.components[0].bits <= 8 else "<u2")
    views = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, dtype).reshape(plane.height, plane.line_size // dtype.itemsize)
        views.append(rows[:, : plane.width])
    return views
