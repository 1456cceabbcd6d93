"""Image files: the formats of `formats.py`."""

from __future__ import annotations

import math
import mmap
import warnings
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import DTypeLike

from fastrestore._io import bmp, chunks, files, oiio, pillow, raw, tags, tiff
from fastrestore._io.errors import FileError, unreadable
from fastrestore._io.files import extension, records_axes
from fastrestore._io.formats import BY_EXTENSION, Format, format_of
from fastrestore._io.picture import Image, Picture

__all__ = [
    "Image",
    "Picture",
    "can_read",
    "check_format",
    "check_input",
    "check_output",
    "encode",
    "is_lossy",
    "output_name",
    "read",
    "read_channels_last",
    "readable_extensions",
    "records_axes",
    "to_type",
    "write",
]
_TEXTS = (b"tEXt", b"zTXt", b"iTXt", "comment", "extra")  # names of chunks of PNG and JPEG
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def readable_extensions() -> tuple[str, ...]:
    """Return the extensions of the formats that can be read."""
    return tuple(BY_EXTENSION)


def can_read(path: Path) -> bool:
    """Whether the extension is that of an image format."""
    return extension(path) in BY_EXTENSION


def is_lossy(path: Path) -> bool:
    """Whether the format loses detail."""
    return extension(path) in (".jpg", ".jpeg")


def output_name(path: Path) -> str:
    """Return the name for a result: that of the input, but TIFF for formats that are only read."""
    form = BY_EXTENSION.get(extension(path))
    return path.with_suffix(".tif").name if form and not form.types else path.name


def check_input(path: Path) -> None:
    """Raise if `path` is not an existing image file."""
    files.check_input(path, BY_EXTENSION)


def check_output(path: Path) -> None:
    """Raise if an image cannot be written to `path`."""
    form = BY_EXTENSION.get(extension(path))
    if form and not form.types and not path.is_dir():
        raise FileError(f"{path}: {form.name} is only read; write .tif or .png")
    files.check_output(path, [name for name, item in BY_EXTENSION.items() if item.types])


def check_format(path: Path, picture: Picture, source: Path) -> None:
    """Raise if the format of `path` cannot hold the type and channels of an image."""
    form, dtype, shape = format_of(path), picture.values.dtype, picture.values.shape
    if dtype.name not in form.types:
        stored = " and ".join(form.types) if len(form.types) < 3 else ", ".join(form.types)
        raise FileError(
            f"{path}: {form.name} stores {stored}, and {source} is {dtype}; write .tif or .npy"
        )
    if len(shape) == 3 and shape[2] != 3 and not form.many:
        raise FileError(
            f"{path}: {form.name} stores gray or RGB, and {source} has {shape[2]} channels; "
            "write .tif or .npy"
        )


def read(path: Path, *, booleans: bool = False) -> Picture:
    """Read an image of integers or floats, in native byte order, axes as they are stored.

    Masks may also be of booleans.
    """
    check_input(path)
    try:
        picture = _read(path, format_of(path).library)
    except Exception as error:  # damaged files make the decoders raise many types
        raise unreadable(path, error) from error
    image = picture.values
    if image.dtype.kind not in ("biuf" if booleans else "iuf"):
        raise FileError(
            f"cannot read {path}: its type is {image.dtype}; integers and floats are supported"
        )
    if image.size == 0:
        raise FileError(f"cannot read {path}: it has no pixels")
    return replace(picture, values=image.astype(image.dtype.newbyteorder("="), copy=False))


def _read(path: Path, library: str) -> Picture:
    """Read an image and its metadata; the content decides the format."""
    if library == "numpy":
        with path.open("rb") as file:
            return _read_npy(file)
    if not path.stat().st_size:
        raise FileError("it is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if library == "rawpy":
            return replace(raw.read_raw(path), tags=tags.upright(tags.parse(data)))
        if data[:12].startswith(pillow.STARTS):
            return pillow.read(path)
        found = {}
        if data[:8] == chunks.PNG:
            found = chunks.read_png(data)
            pillow.check_png(path)
        picture = tiff.check_picture(file) if data[:4] in _TIFF_STARTS else None
        try:
            picture = picture or oiio.load(path)
        except oiio.CmykError:
            picture = pillow.read(path)
        if picture.format == "tiff":
            found = {"tags": tags.parse(data)}
        elif picture.format == "jpegxl":
            found = {"tags": chunks.read_jxl(data)}
        elif picture.format == "bmp":
            found = {"tags": bmp.read_resolution(data)}
        return replace(picture, **found | {"tags": found.get("tags", {}) | picture.tags})


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
            "specify channel_axis, for example -1 for the last axis, or, for a volume, write "
            "`fastrestore volume`"
        )
    if not -3 <= channel_axis < 3:
        raise FileError(f"channel_axis={channel_axis} is not an axis of {path}, shape {shape}")
    values = np.moveaxis(picture.values, channel_axis, -1)
    return replace(picture, values=values, channel_axis=channel_axis)


def write(path: Path, picture: Picture) -> None:
    """Write the file atomically; warn of what its format cannot hold."""
    form = format_of(path)
    lost = _lost(form, picture)
    if lost:
        warnings.warn(f"{path}: {form.name} does not store {', '.join(lost)}", stacklevel=2)
    files.write_bytes(path, lambda: encode(picture, extension(path)))


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


def encode(picture: Picture, extension: str, quality: int | None = None) -> bytes:
    """Return the contents of a file; in memory, so that writing can only fail at the disk."""
    if extension == ".npy":
        return _encode_npy(picture)
    kind = BY_EXTENSION[extension].library
    if quality is not None:
        picture = replace(picture, format=kind, options={"quality": quality, "subsampling": 0})
    if kind in ("jpeg", "webp"):
        return pillow.encode(kind, picture)
    wide = picture.values.dtype.name in ("int64", "uint64")  # in TIFF
    data = tiff.encode_wide(picture) if wide else oiio.encode(kind, extension, picture)
    if kind == "tiff":
        return tags.graft(data, picture.tags | tiff.sample_tags(picture))
    if kind == "bmp":
        return bmp.write_resolution(data, picture.tags)
    add = {"png": chunks.write_png, "jpegxl": chunks.write_jxl}.get(kind)
    return add(data, picture) if add else data


def _encode_npy(picture: Picture) -> bytes:
    pixels = picture.pixels
    if picture.channel_axis is not None:
        pixels = np.ascontiguousarray(np.moveaxis(pixels, -1, picture.channel_axis))
    file = BytesIO()
    np.lib.format.write_array(file, pixels, allow_pickle=False)
    return file.getvalue()


def _lost(form: Format, picture: Picture) -> list[str]:
    """Return what a format cannot hold of an image."""
    found = picture.tags
    present = {
        "alpha": picture.alpha is not None and form.library != "numpy",  # a channel there
        "ICC": tags.ICC in found,
        "EXIF": bool(tags.to_exif(found)),
        "resolution": tags.ACROSS in found and not tags.to_exif(found),
        "text": tags.XMP in found,
        "GeoTIFF": tags.GEO_KEYS in found,
    }
    lost = [name for name, there in present.items() if there and name not in form.keeps]
    same = form.library == picture.format
    lost += ["comments"] if picture.chunks and not same and _is_text(picture) else []
    words = {"ICC": "the color profile", "text": "XMP", "resolution": "the resolution",
             "GeoTIFF": "the georeference"}  # fmt: skip
    return [words.get(name, name) for name in lost]


def _is_text(picture: Picture) -> bool:
    """Whether there are comments or captions, which are copied to the same format only."""
    return any(name in _TEXTS for name, _ in picture.chunks)
