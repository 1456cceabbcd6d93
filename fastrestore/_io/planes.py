"""Frames of a film as planes, and planes back in their frames.

A plane is an array (rows, columns) of what the file stores, of 8 bits in uint8 and of more in
uint16, limited range or full as it is: nothing is converted. Formats that hold the same numbers
in another order, such as nv12 or bgr0, are brought to planes first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._io.errors import CliError
from fastrestore._io.picture import Image

Planes = list[Image]

_PLANAR = re.compile(r"(gray|yuvj?4\d\dp|yuva4\d\dp|gbrap|gbrp)(9|10|12|14|16)?(le)?")
_SAME = {
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

LIMITED, FULL = 1, 2  # FFmpeg's numbers for the ranges of colours; 0 is unknown

# Weights of red and blue in the luminance, by FFmpeg's number of the matrix
_WEIGHTS = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
    10: (0.2627, 0.0593),
}
MATRICES = (1, 2, 4, 5, 6, 7, 9)  # that RGB can be made by; 2 is unknown, 10 is not linear
_BT601 = (0.299, 0.114)  # what FFmpeg takes for films that do not say


class Shot(NamedTuple):
    """A frame: the planes that are restored, and the frame of PyAV or picture they came from."""

    planes: Planes
    held: Any


@dataclass(frozen=True)
class Layout:
    """What the planes of a film, or the channels of pictures, are."""

    kind: str  # "gray", "rgb", "yuv", or "other" channels
    count: int  # of planes
    dtype: np.dtype[Any]
    top: int | None = None  # the largest number, or None of floats
    black_to_white: float | None = None  # of the luminance
    chroma: float = 0.0  # the same for the two differences of colour
    weights: tuple[float, float] = _BT601
    cells: tuple[int, int] = (1, 1)  # rows and columns of pixels that share their colours


def planar(name: str) -> str | None:
    """Return the format of planes that holds the same numbers, or None if there is none."""
    name = _SAME.get(name, name)
    return name if _PLANAR.fullmatch(name) else None


def is_full(frame: Any) -> bool:
    """Whether a frame of YUV is of full range; one that does not say is of limited range."""
    return int(frame.color_range) == FULL or bool(frame.format.name.startswith("yuvj"))


def layout_of(frame: Any) -> Layout:
    """Describe a frame of planes."""
    name, bits = frame.format.name, frame.format.components[0].bits
    top, step = 2**bits - 1, 2.0 ** (bits - 8)
    dtype = np.dtype(np.uint8 if bits <= 8 else np.uint16)
    if name.startswith("gbr"):
        return Layout("rgb", 3, dtype, top, top)
    limited = not is_full(frame)
    if name.startswith("gray"):
        limited = int(frame.color_range) == LIMITED
        return Layout("gray", 1, dtype, top, 219 * step if limited else top)
    luma, chroma = frame.planes[:2]
    cells = (-(-luma.height // chroma.height), -(-luma.width // chroma.width))
    return Layout(
        "yuv",
        3,
        dtype,
        top,
        219 * step if limited else top,
        224 * step if limited else top,
        _WEIGHTS.get(int(frame.colorspace), _BT601),
        cells,
    )


def layout_of_values(values: Image) -> Layout:
    """Describe pictures of this type, (M, N) or (M, N, C)."""
    count = 1 if values.ndim == 2 else values.shape[2]
    kind = "gray" if values.ndim == 2 else "rgb" if count == 3 else "other"
    if values.dtype.kind == "f":
        return Layout(kind, count, values.dtype)
    top = int(np.iinfo(values.dtype).max)
    return Layout(kind, count, values.dtype, top, top)


def opened(frame: Any) -> Any:
    """Return a frame as one of planes."""
    name = planar(frame.format.name)
    if name is None:
        raise CliError(f"its pixel format {frame.format.name} is not supported; convert it first, "
                       "to yuv420p for instance")  # fmt: skip
    if name == frame.format.name:
        return frame
    made = frame.reformat(format=name)
    made.pts, made.time_base, made.duration = frame.pts, frame.time_base, frame.duration
    return made


def planes_of(frame: Any) -> Planes:
    """Copy what is restored of a frame of planes: gray, or Y, U, V, or R, G, B."""
    views = _views(frame)
    if frame.format.name.startswith("gbr"):
        views = [views[2], views[0], views[1]]
    return [view.copy() for view in views[:3]]  # a fourth is alpha


def put(planes: Planes, frame: Any) -> Any:
    """Write planes into the frame they came from, and return it, ready to be encoded."""
    frame.make_writable()  # the decoder may still refer to it
    if frame.format.name.startswith("gbr"):
        planes = [planes[1], planes[2], planes[0]]
    for view, plane in zip(_views(frame), planes, strict=False):
        view[...] = plane
    frame.pict_type = 0  # the encoder chooses its own key frames
    return frame


def unit(planes: Planes, layout: Layout) -> list[NDArray[np.float64]]:
    """Return gray, or red, green and blue, from black 0 to white 1."""
    assert layout.top is not None
    assert layout.black_to_white is not None
    step = (layout.top + 1) / 256
    black = 0.0 if layout.black_to_white == layout.top else 16 * step
    if layout.kind != "yuv":
        return [(plane - black) / layout.black_to_white for plane in planes]
    red, blue = layout.weights
    y = (planes[0] - black) / layout.black_to_white
    u, v = ((plane - 128 * step) / layout.chroma for plane in planes[1:])
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    return [r, (y - red * r - blue * b) / (1 - red - blue), b]


def _views(frame: Any) -> Planes:
    """View the planes of a frame, without what lies between their rows."""
    dtype = np.dtype("u1" if frame.format.components[0].bits <= 8 else "<u2")
    views = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, dtype).reshape(plane.height, plane.line_size // dtype.itemsize)
        views.append(rows[:, : plane.width])
    return views
