"""Metadata of PNG and JPEG XL, whose encoder gets the pixels only."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from fastrestore._io import tags
from fastrestore._io.errors import FileError
from fastrestore._io.picture import Picture

PNG = b"\x89PNG\r\n\x1a\n"
SEVERAL = (
    "it has several frames; one is supported; save each as an image and write `fastrestore video "
    "frame%03d.png`"
)
_PALETTE = b"\x03"  # a type of color
_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})  # chunks that a decoder has to read
_HEADER = len(PNG) + 25
_XMP = b"XML:com.adobe.xmp\0"
# Chunks that are tags here, that describe the pixels as they were stored, or the frames of a film
_NOT_COPIED = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"iCCP", b"eXIf", b"pHYs", b"tRNS", b"sBIT",
               b"bKGD", b"hIST", b"acTL", b"fcTL", b"fdAT")  # fmt: skip
_BOXES = 32  # bytes of the boxes that begin a JPEG XL
_SPACES = (b"sRGB", b"gAMA", b"cHRM")  # names of color spaces, which a profile replaces


def png_chunks(data: Any) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and contents of the chunks, except of the pixels; raise if one is damaged."""
    at, name = len(PNG), b""
    while name != b"IEND":
        if at + 12 > len(data):
            raise FileError("it is truncated")
        (length,) = struct.unpack_from(">I", data, at)
        name, end = bytes(data[at + 4 : at + 8]), at + 8 + length
        if end + 4 > len(data):
            raise FileError("it is truncated")
        if zlib.crc32(data[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise FileError(f"it is damaged: its chunk {name.decode('latin-1')} is broken")
        yield name, b"" if name == b"IDAT" else bytes(data[at + 8 : end])
        at = end + 4


def read_png(data: Any) -> dict[str, Any]:
    """Return the fields `tags` and `chunks` of a `Picture`."""
    parts = list(png_chunks(data))
    bodies = dict(reversed(parts))  # of several, the first
    header, critical = bodies.get(b"IHDR", b""), {name for name in bodies if name[:1].isupper()}
    palette = header[9:10] == _PALETTE and b"PLTE" not in bodies
    if not critical <= _CRITICAL or header[10:12] != bytes(2) or palette:
        raise FileError("it is damaged, or a PNG of a later version")
    if b"acTL" in bodies:
        raise FileError(SEVERAL)
    texts = [body for name, body in parts if name == b"iTXt" and body.startswith(_XMP + b"\0")]
    xmp = texts[0][len(_XMP) + 2 :].split(b"\0", 2)[-1] if texts else None
    profile = b""
    with contextlib.suppress(zlib.error):  # name, zero byte, method, compressed profile
        profile = zlib.decompress(bodies.get(b"iCCP", b"").partition(b"\0")[2][1:])
    found = tags.from_blobs(profile, bodies.get(b"eXIf"), xmp)
    size = bodies.get(b"pHYs", b"")
    if len(size) == 9 and size[8] == 1 and tags.ACROSS not in found:
        across, down = struct.unpack(">II", size[:8])
        found |= tags.resolution(across / 100, down / 100, 3)
    kept = [part for part in parts if part[0] not in _NOT_COPIED and part[1] not in texts]
    return {"tags": found, "chunks": tuple(kept)}


def write_png(data: bytes, picture: Picture) -> bytes:
    """Return the bytes of a PNG with the metadata of a picture, in place of the encoder's."""
    parts = [part for part in picture.chunks if isinstance(part[0], bytes)]
    if picture.icc:
        parts = [part for part in parts if part[0] not in _SPACES]
        parts.append((b"iCCP", b"profile\0\0" + zlib.compress(picture.icc)))
    if meter := tags.per_meter(picture.tags):
        parts.append((b"pHYs", struct.pack(">IIB", *meter, 1)))
    if exif := tags.to_exif(picture.tags):
        parts.append((b"eXIf", exif))
    if xmp := tags.bytes_of(picture.tags, tags.XMP):
        parts.append((b"iTXt", _XMP + bytes(4) + xmp))
    body = b"".join(
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))
        for name, part in parts
    )
    return data[:_HEADER] + body + data[data.index(b"IDAT") - 4 :]


def read_jxl(data: Any) -> tags.Tags:
    """Return EXIF and XMP of a JPEG XL, whose decoder turns the image upright."""
    at, boxes = 0, {}
    while data[:2] != b"\xff\x0a" and at + 8 <= len(data):  # pixels without boxes
        (length,) = struct.unpack_from(">I", data, at)
        if length < 8:  # to the end of the file, or beyond 4 GB
            break
        if (name := bytes(data[at + 4 : at + 8])) in (b"Exif", b"xml "):
            boxes[name] = bytes(data[at + 8 : at + length])
        at += length
    return tags.upright(tags.from_blobs(None, boxes.get(b"Exif", b"")[4:], boxes.get(b"xml ")))


def write_jxl(data: bytes, picture: Picture) -> bytes:
    """Return the bytes of a JPEG XL with EXIF and XMP, after the two boxes that begin each file."""
    exif, xmp = tags.to_exif(tags.upright(picture.tags)), tags.bytes_of(picture.tags, tags.XMP)
    boxes = [(b"Exif", bytes(4) + exif)] if exif else []
    boxes += [(b"xml ", xmp)] if xmp else []
    added = b"".join(struct.pack(">I", len(body) + 8) + name + body for name, body in boxes)
    return data[:_BOXES] + added + data[_BOXES:]
