"""Image files: PNG, TIFF, NPY, and JPEG, which is only read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import DTypeLike

from fastrestore._io import files
from fastrestore._io.errors import FileError, unreadable
from fastrestore._io.files import extension, records_axes
from fastrestore._io.jpeg import read_jpeg
from fastrestore._io.picture import Image, Picture
from fastrestore._io.png import encode_png, read_png
from fastrestore._io.tiff import encode_tiff, read_tiff

__all__ = [
    "Image",
    "Picture",
    "can_read",
    "check_format",
    "check_input",
    "check_output",
    "is_lossy",
    "output_name",
    "read",
    "read_channels_last",
    "readable_extensions",
    "records_axes",
    "to_type",
    "write",
]


def readable_extensions() -> tuple[str, ...]:
    """Return the extensions of the formats that can be read."""
    return tuple(_READERS)


def can_read(path: Path) -> bool:
    """Whether the extension is that of an image format."""
    return extension(path) in _READERS


def is_lossy(path: Path) -> bool:
    """Whether the format loses detail; such formats are not written."""
    return extension(path) in (".jpg", ".jpeg")


def output_name(path: Path) -> str:
    """Return the name for a result: that of the input, but PNG for formats that are only read."""
    return path.with_suffix(".png").name if is_lossy(path) else path.name


def check_input(path: Path) -> None:
    """Raise if `path` is not an existing image file."""
    files.check_input(path, _READERS)


def check_output(path: Path) -> None:
    """Raise if an image cannot be written to `path`."""
    if is_lossy(path) and not path.is_dir():
        raise FileError(
            f"{path}: JPEG is not written: it loses restored detail; write .png or .tif"
        )
    files.check_output(path, [name for name in _READERS if not is_lossy(Path("a" + name))])


def check_format(path: Path, picture: Picture, source: Path) -> None:
    """Raise if the format of `path` cannot hold the type and channels of an image."""
    dtype, shape = picture.values.dtype, picture.values.shape
    if extension(path) != ".png":
        return
    if dtype not in (np.uint8, np.uint16):
        raise FileError(
            f"{path}: PNG stores uint8 and uint16, and {source} is {dtype}; write .tif or .npy"
        )
    if len(shape) == 3 and shape[2] != 3:
        raise FileError(
            f"{path}: PNG stores gray or RGB, and {source} has {shape[2]} channels; "
            "write .tif or .npy"
        )


def read(path: Path) -> Picture:
    """Read an image of integers or floats, in native byte order, axes as they are stored."""
    check_input(path)
    try:
        with path.open("rb") as file:
            picture = _READERS[extension(path)](file)
    except Exception as error:  # damaged files make the decoders raise many types
        raise unreadable(path, error) from error
    image = picture.values
    if image.dtype.kind not in "iuf":
        raise FileError(
            f"cannot read {path}: its type is {image.dtype}; integers and floats are supported"
        )
    if image.size == 0:
        raise FileError(f"cannot read {path}: it has no pixels")
    return replace(picture, values=image.astype(image.dtype.newbyteorder("="), copy=False))


def read_channels_last(path: Path, channel_axis: int | None) -> Picture:
    """Read an image (M, N) or (M, N, C); `channel_axis` is where an NPY file has its channels."""
    if channel_axis is not None and records_axes(path):
        raise FileError(
            f"channel_axis={channel_axis} applies to .npy only; {path} records its own axes"
        )
    picture = read(path)
    shape = picture.values.shape
    if records_axes(path) or len(shape) == 2:
        return picture
    if channel_axis is None:
        raise FileError(
            f"{path} has shape {shape}, and .npy does not record which axis holds channels; "
            "specify channel_axis, for example -1 for the last axis"
        )
    if not -3 <= channel_axis < 3:
        raise FileError(f"channel_axis={channel_axis} is not an axis of {path}, shape {shape}")
    values = np.moveaxis(picture.values, channel_axis, -1)
    return replace(picture, values=values, channel_axis=channel_axis)


def write(path: Path, picture: Picture) -> None:
    """Write the file atomically."""
    files.write_bytes(path, lambda: _encode(picture, extension(path)))


def to_type(image: Image, dtype: DTypeLike) -> Image:
    """Cast to `dtype`; for integers, round half to even and clip to the range of the type."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return image.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    high = float(limits.max)
    if high > limits.max:  # float64 rounds 2**63 - 1 and 2**64 - 1 up, which would overflow
        high = math.nextafter(high, 0)
    return np.clip(np.rint(image.astype(np.float64)), float(limits.min), high).astype(dtype)


def _read_npy(file: IO[bytes]) -> Picture:
    """Read an array of two or three axes; no pickles, which can run any code."""
    image: Image = np.lib.format.read_array(file, allow_pickle=False)
    if image.ndim not in (2, 3):
        raise FileError(
            f"its shape is {image.shape}; two axes are expected, or three with channels"
        )
    return Picture(image)


def _encode(picture: Picture, kind: str) -> bytes:
    """Return the contents of the file; in memory, so that writing can only fail at the disk."""
    if kind == ".npy":
        pixels = picture.pixels
        if picture.channel_axis is not None:
            pixels = np.ascontiguousarray(np.moveaxis(pixels, -1, picture.channel_axis))
        file = BytesIO()
        np.lib.format.write_array(file, pixels, allow_pickle=False)
        return file.getvalue()
    return encode_png(picture) if kind == ".png" else encode_tiff(picture)


_READERS: dict[str, Callable[[IO[bytes]], Picture]] = {
    ".png": read_png,
    ".tif": read_tiff,
    ".tiff": read_tiff,
    ".npy": _read_npy,
    ".jpg": read_jpeg,
    ".jpeg": read_jpeg,
}
