"""Checks of TIFF files beyond those of the libraries."""

from __future__ import annotations

import logging
import struct
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from fastrestore._io import oiio
from fastrestore._io.errors import FileError
from fastrestore._io.picture import Image, Picture
from fastrestore._io.tags import ORIENTATION, SIZES, XMP, Tag, Tags

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

__all__ = ["DESCRIPTIVE", "ORIENTATION", "XMP"]  # with the checks below

# Descriptive tags that stay valid after restoration: description, make, model, orientation,
# software, date, artist, host, copyright. All are ASCII except the orientation.
DESCRIPTIVE = (270, 271, 272, 274, 305, 306, 315, 316, 33432)
_PRIVATE = 32768
_COPIED = (33432, 33550, 33922, 34264, 34675, 34735, 34736, 34737, 42112, 42113, 50838, 50839)
_LARGE, _EXPANSION = 2**28, 5000  # bytes, and the most that compression may save
_ASSOCIATED, _UNASSOCIATED = 1, 2  # alpha, by which colors are multiplied or not
_PHOTOMETRIC, _EXTRA_SAMPLES = 262, 338  # tags
_SHORT = 3  # a type of values
_WIDE = 8  # bytes
_COLORS = ("MINISBLACK", "MINISWHITE", "RGB", "PALETTE", "SEPARATED", "YCBCR")


def check_picture(file: IO[bytes]) -> Picture | None:
    """Raise if a TIFF is not one picture, or damaged where OpenImageIO does not notice it.

    Return the picture if its samples have 64 bits: OpenImageIO reads no such integers, and no tiles
    of such floats.
    """
    import tifffile

    # tifffile logs irregularities; those that matter here are raised.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        check_tags(tiff)
        check_chain(tiff)
        count = _page_count(tiff)
        if count != 1:
            raise FileError(
                f"it has {count} pages, not one; `fastrestore volume` reads stacks of pages"
            )
        if page.imagedepth > 1:
            raise FileError(
                f"its shape is {page.shape}, its axes are {page.axes}; one plane is supported"
            )
        _check_type(page)
        check_whole(page, tiff.filehandle.size)
        return _read_wide(page) if np.dtype(page.dtype).itemsize == _WIDE else None


def _read_wide(page: TiffPage) -> Picture:
    """Read a picture without its metadata."""
    check_page(page)
    oiio.check_memory(page.nbytes, page.shape)
    pixels: Image = page.asarray()
    pixels = np.moveaxis(pixels, 0, -1) if page.axes == "SYX" else pixels
    pixels = np.invert(pixels) if getattr(page.photometric, "name", "") == "MINISWHITE" else pixels
    extra = [int(sample) for sample in page.extrasamples][-1:]
    alpha = bool(extra) and extra[0] in (_ASSOCIATED, _UNASSOCIATED)
    premultiplied = extra == [_ASSOCIATED]
    return Picture.from_pixels(pixels, alpha=alpha, premultiplied=premultiplied, format="tiff")


def encode_wide(picture: Picture) -> bytes:
    """Return the bytes of a TIFF with integers of 64 bits, without metadata."""
    import tifffile

    pixels, file = picture.pixels, BytesIO()
    rgb = picture.values.ndim == 3 and picture.values.shape[2] == 3
    options: dict[str, Any] = {"photometric": "rgb" if rgb else "minisblack"}
    if pixels.ndim == 3:
        extra = [0] * (pixels.shape[2] - (3 if rgb else 1))
        if picture.alpha is not None:
            extra[-1] = _ASSOCIATED if picture.premultiplied else _UNASSOCIATED
        options |= {"planarconfig": "contig", "extrasamples": extra}
    tifffile.imwrite(file, pixels, metadata=None, byteorder="<", **options)
    return file.getvalue()


def sample_tags(picture: Picture) -> Tags:
    """Return the tags of channels that are no colors; OpenImageIO takes three of them for RGB."""
    pixels = picture.pixels
    count = 1 if pixels.ndim == 2 else pixels.shape[2]
    is_gray = picture.format == "tiff" and picture.options.get(oiio.PHOTOMETRIC) == oiio.BLACK
    if count < 2 or not (is_gray or count == 2):
        return {}
    kinds = [0] * (count - 1)
    if picture.alpha is not None:
        kinds[-1] = _ASSOCIATED if picture.premultiplied else _UNASSOCIATED
    data = struct.pack(f"<{len(kinds)}H", *kinds)
    return {
        _PHOTOMETRIC: Tag(_SHORT, 1, struct.pack("<H", oiio.BLACK)),
        _EXTRA_SAMPLES: Tag(_SHORT, len(kinds), data),
    }


def _check_type(page: TiffPage) -> None:
    """Raise if OpenImageIO would change the values."""
    kind = getattr(page.photometric, "name", str(page.photometric))
    if kind not in _COLORS:
        raise FileError(f"its mode is {kind}; gray and RGB are supported")
    if page.dtype is None or page.dtype.kind not in "buif":
        raise FileError(f"its type is {page.dtype}; integers and floats are supported")


def _page_count(tiff: TiffFile) -> int:
    """Return the number of pages, also of those that have no directory."""
    count = len(tiff.pages)
    if count != 1 or tiff.is_ome:  # the series of an OME-TIFF may be in several files
        return count
    try:  # large stacks of ImageJ and MetaMorph have one directory
        stored = sum(series.size for series in tiff.series)
    except Exception:  # metadata that tifffile cannot read; the page is what it is
        return count
    return max(1, stored // max(1, tiff.pages.first.size))


def check_whole(page: Any, size: int) -> None:
    """Raise if data of a page are missing from the file; tifffile may fill in zeros."""
    segments = zip(page.dataoffsets, page.databytecounts, strict=True)
    if any(start + count > size for start, count in segments):
        raise FileError("it is truncated")
    if page.nbytes > _LARGE and page.nbytes > _EXPANSION * size:
        raise FileError(f"its shape {page.shape} does not agree with its length of {size} bytes")


def check_tags(tiff: TiffFile) -> None:
    """Raise if a tag of the first page lies beyond the end of the file; tifffile leaves it out.

    Private tags are not checked, except those that are copied.
    """
    form, handle = tiff.tiff, tiff.filehandle
    handle.seek(tiff.pages.first.offset)
    (count,) = struct.unpack(form.tagnoformat, handle.read(form.tagnosize))
    entries = handle.read(count * form.tagsize)
    number, inline = ("Q", 8) if form.is_bigtiff else ("I", 4)
    entry = struct.Struct(f"{form.byteorder}HH{number}{number}")
    for code, kind, amount, offset in entry.iter_unpack(entries):
        length = SIZES.get(kind, 0) * amount
        known = code < _PRIVATE or code in _COPIED
        if known and length > inline and offset + length > handle.size:
            raise FileError("it is truncated or damaged: a tag lies beyond its end")


def check_chain(tiff: TiffFile) -> None:
    """Raise if the list of pages breaks off; tifffile leaves the other pages out."""
    width, handle = tiff.tiff.offsetsize, tiff.filehandle
    last = tiff.pages.next_page_offset
    if last is None:
        return
    handle.seek(last)
    if handle.read(width).strip(b"\0"):
        raise FileError(f"it is truncated or damaged: its list of pages breaks off after "
                        f"{len(tiff.pages)}")  # fmt: skip


def check_page(page: TiffPage) -> None:
    """Raise if the page is neither gray nor RGB, or has an unsupported depth."""
    kind = getattr(page.photometric, "name", str(page.photometric))
    if kind not in ("MINISBLACK", "MINISWHITE", "RGB"):
        raise FileError(
            f"its mode is {kind} with {page.samplesperpixel} values a pixel; gray and RGB are "
            "supported"
        )
    if kind == "MINISWHITE" and (
        page.dtype is None or page.dtype.kind != "u" or page.samplesperpixel > 1
    ):
        raise FileError(
            f"its mode is {kind} with {page.samplesperpixel} values a pixel of type {page.dtype}; "
            "gray is MINISBLACK"
        )
    if page.bitspersample not in (8, 16, 32, 64):
        raise FileError(f"it has {page.bitspersample} bits a pixel; 8, 16, 32 and 64 are supported")
