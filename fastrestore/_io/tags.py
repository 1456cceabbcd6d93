"""Directories of TIFF tags: the metadata of TIFF files, and the EXIF of all other formats.

A directory is a dictionary from the number of a tag to a `Tag`, or to the directory it points to.
Color profile and XMP are tags, too. The values are kept as bytes, because the encoding of their
texts is not recorded, and tags unknown to this module survive.
"""

from __future__ import annotations

import struct
import warnings
from typing import Any, NamedTuple, Union

SIZES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8,
    18: 8,
}  # fmt: skip
_BYTE, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 1, 3, 4, 5, 7
_FRACTIONS = (5, 10)  # two numbers of 4 bytes
_BIG = (13, 16, 17, 18)  # types of offsets and of BigTIFF, which are not copied
EXIF, GPS, _INTEROPERABILITY = 0x8769, 0x8825, 0xA005  # tags that point to a directory
ORIENTATION, ICC, XMP, GEO_KEYS = 274, 34675, 700, 34735
ACROSS, DOWN, UNIT = 282, 283, 296  # the resolution
_WIDTH, _HEIGHT = 0xA002, 0xA003  # size of the image, in EXIF
_INCH, _CENTIMETER = 2, 3
_METER = 0.01  # in centimeters
_DEEPEST = 3  # EXIF has directories in directories
# Tags about the layout of their file, thumbnails, and layers, which hold the noisy image
LAYOUT = frozenset({
    *range(254, 260), 262, 263, 264, 265, 266, 273, *range(277, 282), 284, 288, 289, 290, 291, 292,
    293, 317, 320, *range(321, 326), 330, 332, 334, 338, 339, 340, 341, 347, *range(512, 522),
    *range(529, 533), 33421, 33422, 34016, 37724, *range(50706, 50782), 50829, 50879, *range(50930,
    51044),
})  # fmt: skip


class Tag(NamedTuple):
    """A value: its TIFF type, the number of items, and their bytes, little-endian."""

    kind: int
    number: int
    data: bytes


Tags = dict[int, Union[Tag, "Tags"]]


def parse(data: Any) -> Tags:
    """Read the first directory of a TIFF file or of EXIF; damaged entries are left out."""
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
    try:
        if order is None:
            return {}
        big = struct.unpack_from(f"{order}H", data, 2)[0] == 43  # BigTIFF, else 42
        (first,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, 8 if big else 4)
        return _directory(data, first, order, big=big, depth=0)
    except struct.error:
        return {}


def _directory(data: Any, at: int, order: str, *, big: bool, depth: int) -> Tags:
    """Read the directory at an offset."""
    count_form, form = ("Q", "HHQ8s") if big else ("H", "HHI4s")
    (count,) = struct.unpack_from(order + count_form, data, at)
    start, row = at + struct.calcsize(order + count_form), struct.Struct(order + form)
    found: Tags = {}
    for k in range(min(count, (len(data) - start) // row.size)):
        code, kind, amount, inline = row.unpack_from(data, start + k * row.size)
        length = SIZES.get(kind, 0) * amount
        (offset,) = struct.unpack(order + ("Q" if big else "I"), inline)
        if code in (EXIF, GPS, _INTEROPERABILITY):
            if depth < _DEEPEST and offset < len(data):
                found[code] = _directory(data, offset, order, big=big, depth=depth + 1)
        elif code not in LAYOUT and kind not in _BIG and length:
            raw = inline[:length] if length <= len(inline) else data[offset : offset + length]
            if len(raw) == length:
                found[code] = Tag(kind, amount, _swapped(bytes(raw), kind, order))
    return found


def _swapped(raw: bytes, kind: int, order: str) -> bytes:
    """Return the bytes of a value in little-endian order."""
    size = SIZES[kind] // (2 if kind in _FRACTIONS else 1)
    if order == "<" or size == 1:
        return raw
    return b"".join(raw[k : k + size][::-1] for k in range(0, len(raw), size))


def pack(tags: Tags, at: int, rows: dict[int, bytes] | None = None) -> bytes:
    """Return a little-endian directory to be stored at an offset, with its values after it.

    `rows` are entries that are complete already.
    """
    rows = dict(rows or {})
    place, body = at + 2 + 12 * len({*rows, *tags}) + 4, bytearray()
    for code, tag in sorted(tags.items()):
        here = place + len(body)
        if isinstance(tag, dict):
            rows[code] = struct.pack("<HHII", code, _LONG, 1, here)
            body += pack(tag, here)
        elif len(tag.data) <= 4:
            rows[code] = struct.pack("<HHI4s", code, tag.kind, tag.number, tag.data)
        else:
            rows[code] = struct.pack("<HHII", code, tag.kind, tag.number, here)
            body += tag.data
        body += bytes(len(body) % 2)
    entries = b"".join(row for _, row in sorted(rows.items()))
    return struct.pack("<H", len(rows)) + entries + bytes(4) + bytes(body)


def to_exif(tags: Tags) -> bytes:
    """Return EXIF, without color profile and XMP, which other formats store elsewhere."""
    kept = {code: tag for code, tag in tags.items() if code not in (ICC, XMP)}
    if not set(kept) - {ACROSS, DOWN, UNIT}:  # stored elsewhere, too
        return b""
    return b"II*\0\x08\0\0\0" + pack(kept, 8)


def graft(tiff: bytes, tags: Tags) -> bytes:
    """Replace all tags of a little-endian TIFF that do not describe its layout."""
    if tiff[2:4] == b"+\0":  # BigTIFF, which has another layout
        if tags:
            warnings.warn("a TIFF over 4 GB is written without its metadata", stacklevel=2)
        return tiff
    (first,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, first)
    entries = [tiff[k : k + 12] for k in range(first + 2, first + 2 + 12 * count, 12)]
    codes = [struct.unpack_from("<H", entry)[0] for entry in entries]
    rows = {code: row for code, row in zip(codes, entries, strict=True) if code in LAYOUT}
    out = bytearray(tiff) + bytes(len(tiff) % 2)
    struct.pack_into("<I", out, 4, len(out))
    return bytes(out) + pack(tags, len(out), rows)


def bytes_of(tags: Tags, code: int) -> bytes | None:
    """Return the value of a tag as bytes, or None."""
    tag = tags.get(code)
    return tag.data if isinstance(tag, Tag) else None


def blob(data: bytes, code: int) -> Tags:
    """Return a tag with bytes: a color profile or XMP."""
    return {code: Tag(_BYTE if code == XMP else _UNDEFINED, len(data), bytes(data))}


def from_blobs(icc: bytes | None, exif: bytes | None, xmp: bytes | None) -> Tags:
    """Return color profile, EXIF and XMP as tags."""
    found = parse((exif or b"").removeprefix(b"Exif\0\0"))
    for code, data in ((ICC, icc), (XMP, xmp)):
        found |= blob(data, code) if data else {}
    return found


def resolution(across: float, down: float, unit: int) -> Tags:
    """Return the tags of a resolution, in pixels per inch (2) or centimeter (3)."""
    pairs = [struct.pack("<II", round(value * 10000), 10000) for value in (across, down)]
    return {
        ACROSS: Tag(_RATIONAL, 1, pairs[0]),
        DOWN: Tag(_RATIONAL, 1, pairs[1]),
        UNIT: Tag(_SHORT, 1, struct.pack("<H", unit)),
    }


def per_meter(tags: Tags) -> tuple[int, int] | None:
    """Return the resolution in pixels per meter, or None if it or its unit is unknown."""
    raw = [bytes_of(tags, code) or b"" for code in (ACROSS, DOWN)]
    unit = struct.unpack("<H", (bytes_of(tags, UNIT) or b"\2\0")[:2])[0]
    if unit not in (_INCH, _CENTIMETER) or [len(value) for value in raw] != [8, 8]:
        return None
    (across, over), (down, under) = (struct.unpack("<II", value) for value in raw)
    factor = 1 / _METER / (2.54 if unit == _INCH else 1)
    if not (across and over and down and under):
        return None
    return round(across / over * factor), round(down / under * factor)


def resized(tags: Tags, width: int, height: int) -> Tags:
    """Return the tags with another size of the image, where they record one."""
    exif = tags.get(EXIF)
    if not isinstance(exif, dict):
        return tags
    new = {code: Tag(_LONG, 1, struct.pack("<I", size))
           for code, size in ((_WIDTH, width), (_HEIGHT, height)) if code in exif}  # fmt: skip
    return {**tags, EXIF: {**exif, **new}}


def orientation(number: int) -> Tags:
    """Return the tag of an orientation, 1 to 8."""
    return {ORIENTATION: Tag(_SHORT, 1, struct.pack("<H", number))}


def upright(tags: Tags) -> Tags:
    """Return the tags of an image that is turned upright already."""
    return {code: tag for code, tag in tags.items() if code != ORIENTATION}
