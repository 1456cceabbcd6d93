"""TIFF of one page: integers and floats, with or without alpha."""

from __future__ import annotations

import logging
import struct
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from fastrestore._io.errors import FileError
from fastrestore._io.picture import EXIF, GPS, Image, Picture, parse_exif

if TYPE_CHECKING:
    from PIL.Image import Exif
    from tifffile import TiffFile, TiffPage

# Descriptive tags that stay valid after restoration: description, make, model, orientation,
# software, date, artist, host, copyright. All are ASCII except the orientation.
DESCRIPTIVE = (270, 271, 272, 274, 305, 306, 315, 316, 33432)
ORIENTATION = 274
XMP = 700
_TYPE_SIZES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8,
    18: 8,
}  # fmt: skip
_PRIVATE, _COPIED = 32768, (33432, 34675, 50838, 50839)
_LARGE, _EXPANSION = 2**28, 5000  # bytes, and the most that compression may save
_RESOLUTION = (282, 283, 296)
_ALPHA = {"ASSOCALPHA": True, "UNASSALPHA": False}  # whether colors are multiplied by it


def read_tiff(file: IO[bytes]) -> Picture:
    """Read a TIFF of one page."""
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
        check_page(page)
        check_whole(page, tiff.filehandle.size)
        pixels = _pixels(page)
        extra = [getattr(sample, "name", "") for sample in page.extrasamples]
        icc = page.tags.valueof(34675)
    file.seek(0)
    return Picture.from_pixels(
        pixels,
        alpha=bool(extra) and (extra[-1] in _ALPHA or _is_rgb(page)),
        premultiplied=bool(extra) and _ALPHA.get(extra[-1], False),
        icc=None if icc is None else bytes(icc),
        exif=_exif(file.read()),
    )


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
        length = _TYPE_SIZES.get(kind, 0) * amount
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


def _is_rgb(page: TiffPage) -> bool:
    return getattr(page.photometric, "name", "") == "RGB"


def _pixels(page: TiffPage) -> Image:
    """Read (M, N) or (M, N, samples)."""
    image: Image = page.asarray()
    if page.axes == "SYX":  # planar: one plane for each channel
        image = np.moveaxis(image, 0, -1)
    if image.ndim != (2 if page.samplesperpixel == 1 else 3):
        raise FileError(
            f"its shape is {image.shape}, its axes are {page.axes}; one plane is supported"
        )
    kind = getattr(page.photometric, "name", "")
    return np.invert(image) if kind == "MINISWHITE" else image


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


def _exif(data: bytes) -> Exif | None:
    """Return the descriptive tags, or None if they are damaged."""
    from PIL.Image import Exif

    try:
        found = parse_exif(data)
    except Exception:  # damaged tags make Pillow raise many types; the pixels are fine
        return None
    kept = Exif()  # without tags about the layout of this file
    for tag in (*DESCRIPTIVE, *_RESOLUTION, XMP):
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
    tags, directories = _copied_tags(picture.exif)
    options |= _resolution(picture.exif, 2)
    tifffile.imwrite(
        file, picture.pixels, iccprofile=picture.icc, metadata=None, software=False,
        byteorder="<", extratags=tags, **options,
    )  # fmt: skip
    return _with_directories(file.getvalue(), directories)


def _resolution(exif: Exif | None, unit: int) -> dict[str, Any]:
    """Return the options of tifffile for the resolution; `unit` is used where none is stored."""
    across, down, stored = (exif and exif.get(tag) for tag in _RESOLUTION)
    if not (across and down):
        return {}
    return {"resolution": (float(across), float(down)), "resolutionunit": int(stored or unit)}


def _copied_tags(exif: Exif | None) -> tuple[list[Any], dict[int, Any]]:
    """Return tags in the form tifffile expects, and the directories stored apart from them."""
    if exif is None:
        return [], {}
    tags: list[Any] = []
    for tag in DESCRIPTIVE:
        value = exif.get(tag)
        if tag == ORIENTATION and isinstance(value, int):
            tags.append((tag, "H", 1, value, True))
        elif isinstance(value, str):  # Pillow decodes the bytes of any encoding as Latin-1
            tags.append((tag, "s", 0, value.encode("latin-1", "replace"), True))
    xmp = exif.get(XMP)
    if isinstance(xmp, (bytes, str)):
        blob = xmp.encode() if isinstance(xmp, str) else xmp
        tags.append((XMP, "B", len(blob), blob, True))
    return tags, {tag: exif.get_ifd(tag) for tag in (EXIF, GPS) if exif.get_ifd(tag)}


def _with_directories(data: bytes, directories: dict[int, Any]) -> bytes:
    """Append directories of tags, which tifffile cannot write, to a little-endian TIFF.

    After them follows a copy of the first directory, extended by tags that point to them.
    """
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    if not directories or data[2] != 42:  # BigTIFF, for files over 4 GB, has another layout
        return data
    out = bytearray(data)
    (first,) = struct.unpack_from("<I", out, 4)
    (count,) = struct.unpack_from("<H", out, first)
    entries = [bytes(out[k : k + 12]) for k in range(first + 2, first + 2 + 12 * count, 12)]
    for tag, directory in directories.items():
        block = ImageFileDirectory_v2(group=tag)
        for key, value in directory.items():
            block[key] = value
        out += bytes(len(out) % 2)
        entries.append(struct.pack("<HHII", tag, 4, 1, len(out)))
        out += block.tobytes(len(out))
    out += bytes(len(out) % 2)
    struct.pack_into("<I", out, 4, len(out))
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
    out += struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return bytes(out)
