"""TIFF of one page: gray, RGB or other channels, integers and floats, with or without alpha."""

from __future__ import annotations

import logging
import struct
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from fastrestore._io.errors import CliError
from fastrestore._io.picture import EXIF, GPS, Image, Picture, exif_of

if TYPE_CHECKING:
    from PIL.Image import Exif
    from tifffile import TiffPage

# Tags that describe a picture and are true of the restored one, too: description, make, model,
# orientation, software, date, artist, host, copyright. ASCII but for the orientation.
_TAGS = (270, 271, 272, 274, 305, 306, 315, 316, 33432)
_ORIENTATION = 274
_XMP = 700
_RESOLUTION = (282, 283, 296)
_ALPHA = {"ASSOCALPHA": True, "UNASSALPHA": False}  # whether colours were multiplied by it


def read_tiff(file: IO[bytes]) -> Picture:
    """Read a TIFF of one page."""
    import tifffile

    # tifffile logs whatever is odd in a file; what matters here arrives as an exception.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    with tifffile.TiffFile(file) as tiff:
        if len(tiff.pages) != 1:
            raise CliError(f"it has {len(tiff.pages)} pages; one is supported")
        page = tiff.pages.first
        _check_page(page)
        segments = zip(page.dataoffsets, page.databytecounts, strict=True)
        if any(start + count > tiff.filehandle.size for start, count in segments):
            raise CliError("it is truncated")  # tifffile may fill in zeros without a word
        pixels = _pixels(page)
        extra = [getattr(sample, "name", "") for sample in page.extrasamples]
        icc = page.tags.valueof(34675)
    file.seek(0)
    return Picture.of(
        pixels,
        alpha=bool(extra) and (extra[-1] in _ALPHA or _is_rgb(page)),
        premultiplied=bool(extra) and _ALPHA.get(extra[-1], False),
        icc=None if icc is None else bytes(icc),
        exif=_exif(file.read()),
    )


def read_pages(file: IO[bytes]) -> tuple[Picture, int | None]:
    """Read a TIFF of several pages as they are stored, and say which axis holds channels."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    with tifffile.TiffFile(file) as tiff:
        if len(tiff.series) != 1:
            raise CliError("its pages differ in size or type; pages of one kind are supported")
        series, page = tiff.series[0], tiff.pages.first
        _check_page(page)
        size = tiff.filehandle.size
        for each in tiff.pages:
            segments = zip(each.dataoffsets, each.databytecounts, strict=True)
            if any(start + count > size for start, count in segments):
                raise CliError("it is truncated")
        axis, values = _channels(series.shape, series.axes), series.asarray()
        if getattr(page.photometric, "name", "") == "MINISWHITE":
            values = np.invert(values)
    file.seek(0)
    return Picture(values, exif=_exif(file.read())), axis


def _channels(shape: tuple[int, ...], axes: str) -> int | None:
    """Return which axis of a stack of pages holds channels, if there is one."""
    found = [k for k, name in enumerate(axes) if name in "CS"]
    rest = "".join(name for name in axes if name not in "CS")
    if axes == "YX" or rest == "YX":
        raise CliError("it has one page; `fastrestore denoise` restores it")
    if len(rest) != 3 or not rest.endswith("YX") or len(found) > 1:
        raise CliError(
            f"its shape is {shape}, its axes are {axes}; one stack of pages is supported, gray or "
            "in colour"
        )
    return found[0] if found else None


def _is_rgb(page: TiffPage) -> bool:
    return getattr(page.photometric, "name", "") == "RGB"


def _pixels(page: TiffPage) -> Image:
    """Read (M, N) or (M, N, samples)."""
    image: Image = page.asarray()
    if page.axes == "SYX":  # each channel by itself
        image = np.moveaxis(image, 0, -1)
    if image.ndim != (2 if page.samplesperpixel == 1 else 3):
        raise CliError(f"its shape is {image.shape}, its axes are {page.axes}; one plane of pixels "
                       "is supported")  # fmt: skip
    kind = getattr(page.photometric, "name", "")
    return np.invert(image) if kind == "MINISWHITE" else image


def _check_page(page: TiffPage) -> None:
    """Refuse what is neither gray nor RGB."""
    kind = getattr(page.photometric, "name", str(page.photometric))
    if kind not in ("MINISBLACK", "MINISWHITE", "RGB"):
        raise CliError(
            f"its mode is {kind} with {page.samplesperpixel} values a pixel; gray and RGB are "
            "supported"
        )
    if kind == "MINISWHITE" and (
        page.dtype is None or page.dtype.kind != "u" or page.samplesperpixel > 1
    ):
        raise CliError(
            f"its mode is {kind} with {page.samplesperpixel} values a pixel of type {page.dtype}; "
            "gray is MINISBLACK"
        )
    if page.bitspersample not in (8, 16, 32, 64):
        raise CliError(f"it has {page.bitspersample} bits a pixel; 8, 16, 32 and 64 are supported")


def _exif(data: bytes) -> Exif | None:
    """Read what describes the picture, or None if that is damaged."""
    from PIL.Image import Exif

    try:
        found = exif_of(data)
    except Exception:  # on damaged tags Pillow raises nearly anything; the pixels were read
        return None
    kept = Exif()  # without what describes the layout of this file
    for tag in (*_TAGS, *_RESOLUTION, _XMP):
        if tag in found:
            kept[tag] = found[tag]
    for tag in (EXIF, GPS):
        kept.get_ifd(tag).update(found.get_ifd(tag))
    return kept


def encode_tiff(picture: Picture) -> bytes:
    """Return the contents of a TIFF file, uncompressed."""
    import tifffile

    values = picture.values
    rgb = values.ndim == 3 and values.shape[2] == 3
    options: dict[str, Any] = {"photometric": "rgb" if rgb else "minisblack"}
    if picture.pixels.ndim == 3:
        options["planarconfig"] = "contig"
        more = [] if rgb else [0] * (picture.pixels.shape[2] - 1)
        if picture.alpha is not None:
            more = [*more[:-1], 1 if picture.premultiplied else 2]
        options["extrasamples"] = more
    file = BytesIO()
    tags, directories = _carried(picture.exif)
    resolution = picture.exif and [picture.exif.get(tag) for tag in _RESOLUTION]
    if resolution and resolution[0] and resolution[1]:
        options["resolution"] = (float(resolution[0]), float(resolution[1]))
        options["resolutionunit"] = int(resolution[2] or 2)
    tifffile.imwrite(
        file, picture.pixels, iccprofile=picture.icc, metadata=None, software=False,
        byteorder="<", extratags=tags, **options,
    )  # fmt: skip
    return _with_directories(file.getvalue(), directories)


def encode_pages(picture: Picture) -> bytes:
    """Return the contents of a TIFF file of several pages; only RGB with channels last is on one.

    The description, such as that of ImageJ, is carried over: it tells of the same pages.
    """
    import tifffile

    values = picture.values
    rgb = values.ndim == 4 and values.shape[-1] == 3
    options: dict[str, Any] = {"planarconfig": "contig"} if rgb else {}
    resolution = picture.exif and [picture.exif.get(tag) for tag in _RESOLUTION]
    if resolution and resolution[0] and resolution[1]:
        options["resolution"] = (float(resolution[0]), float(resolution[1]))
        options["resolutionunit"] = int(resolution[2] or 1)
    file = BytesIO()
    tifffile.imwrite(
        file, np.ascontiguousarray(values), photometric="rgb" if rgb else "minisblack",
        metadata=None, software=False, byteorder="<", extratags=_carried(picture.exif)[0],
        **options,
    )  # fmt: skip
    return file.getvalue()


def _carried(exif: Exif | None) -> tuple[list[Any], dict[int, Any]]:
    """Return tags as tifffile takes them, and the directories that need a place of their own."""
    if exif is None:
        return [], {}
    tags: list[Any] = []
    for tag in _TAGS:
        value = exif.get(tag)
        if tag == _ORIENTATION and isinstance(value, int):
            tags.append((tag, "H", 1, value, True))
        elif isinstance(value, str) and value.isascii():
            tags.append((tag, "s", 0, value, True))
        elif isinstance(value, str):
            tags.append((tag, "B", 0, value.encode() + b"\0", True))
    xmp = exif.get(_XMP)
    if isinstance(xmp, (bytes, str)):
        blob = xmp.encode() if isinstance(xmp, str) else xmp
        tags.append((_XMP, "B", len(blob), blob, True))
    return tags, {tag: exif.get_ifd(tag) for tag in (EXIF, GPS) if exif.get_ifd(tag)}


def _with_directories(data: bytes, directories: dict[int, Any]) -> bytes:
    """Add directories of tags, which tifffile does not write, to a little-endian TIFF.

    They come at its end, and after them the first directory once more with tags that say where.
    """
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    if not directories or data[2] != 42:  # files over 4 GB have another layout
        return data
    out = bytearray(data)
    (first,) = struct.unpack_from("<I", out, 4)
    (count,) = struct.unpack_from("<H", out, first)
    entries = [bytes(out[k : k + 12]) for k in range(first + 2, first + 2 + 12 * count, 12)]
    for tag, directory in directories.items():
        made = ImageFileDirectory_v2(group=tag)
        for key, value in directory.items():
            made[key] = value
        out += bytes(len(out) % 2)
        entries.append(struct.pack("<HHII", tag, 4, 1, len(out)))
        out += made.tobytes(len(out))
    out += bytes(len(out) % 2)
    struct.pack_into("<I", out, 4, len(out))
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
    out += struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return bytes(out)
