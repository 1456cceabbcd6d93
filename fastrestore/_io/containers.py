"""The parts of PNG, JPEG, WebP and TIFF files that hold metadata.

OpenImageIO rewrites EXIF, and loses the notes of camera makers, comments, XMP and private tags. So
it gets the pixels only, and the metadata are copied here.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from fastrestore._io import tags
from fastrestore._io.errors import FileError
from fastrestore._io.picture import Picture
from fastrestore._io.tags import ICC, XMP, Tags

Parts = list[tuple[Any, bytes]]  # name or marker, and contents

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = len(_PNG) + 25
_PNG_XMP = b"XML:com.adobe.xmp\0"
# Chunks that are tags here, that describe the pixels as they were stored, or the frames of a film
_NOT_COPIED = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"iCCP", b"eXIf", b"pHYs", b"tRNS", b"sBIT",
               b"bKGD", b"hIST", b"acTL", b"fcTL", b"fdAT")  # fmt: skip
_APP0, _APP1, _APP2, _APP13, _COMMENT, _TABLES = 0xE0, 0xE1, 0xE2, 0xED, 0xFE, 0xDB
_SCAN, _PROGRESSIVE, _BARE = 0xDA, 0xC2, (0x01, *range(0xD0, 0xDA))  # bare markers have no length
_EXIF, _JPEG_XMP, _JPEG_ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
_LONGEST = 65533  # bytes in a segment of a JPEG
_STANDARD = 3688  # sum of the standard's table of quantization for luminance, of quality 50
_DENSITY = 13  # where the resolution is in a JPEG file
_WEBP = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}  # flags in its header
_JXL_BARE = b"\xff\x0a"  # pixels without boxes
_WEBP_ALPHA = 0x10


def read(kind: str, data: Any) -> dict[str, Any]:
    """Return the fields `tags`, `chunks` and `options` of a `Picture` from the bytes of a file."""
    reader = _READERS.get(kind)
    return {} if reader is None else reader(data)


def write(kind: str, data: bytes, picture: Picture) -> bytes:
    """Return the bytes of a file with the metadata of a picture."""
    writer = _WRITERS.get(kind)
    return data if writer is None else writer(data, picture)


def _blobs(icc: bytes | None, exif: bytes | None, xmp: bytes | None) -> Tags:
    """Return color profile, EXIF and XMP as tags."""
    found = tags.parse((exif or b"").removeprefix(_EXIF))
    for code, blob in ((ICC, icc), (XMP, xmp)):
        found |= tags.blob(blob, code) if blob else {}
    return found


def _read_png(data: Any) -> dict[str, Any]:
    chunks = list(png_chunks(data))
    bodies = dict(reversed(chunks))  # of several, the first
    if b"acTL" in bodies:
        raise FileError("it has several frames; one is supported")
    texts = [body for name, body in chunks if name == b"iTXt" and body.startswith(_PNG_XMP)]
    plain = [text for text in texts if text[len(_PNG_XMP)] == 0]  # not compressed
    xmp = plain[0][len(_PNG_XMP) + 2 :].split(b"\0", 2)[-1] if plain else None
    found = _blobs(_profile(bodies.get(b"iCCP")), bodies.get(b"eXIf"), xmp)
    size = bodies.get(b"pHYs", b"")
    if len(size) == 9 and size[8] == 1 and tags.ACROSS not in found:
        across, down = struct.unpack(">II", size[:8])
        found |= tags.resolution(across / 100, down / 100, 3)
    kept = [chunk for chunk in chunks if chunk[0] not in _NOT_COPIED and chunk[1] not in plain]
    return {"tags": found, "chunks": tuple(kept)}


def check_png(data: Any) -> None:
    """Raise if a PNG is damaged; libpng would print it."""
    for _ in png_chunks(data):
        pass


def png_chunks(data: Any) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and contents of the chunks, except of the pixels; raise if one is damaged."""
    at = len(_PNG)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        name, end = bytes(data[at + 4 : at + 8]), at + 8 + length
        if end + 4 > len(data):
            raise FileError("it is truncated")
        if zlib.crc32(data[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise FileError(f"it is damaged: its chunk {name.decode('latin-1')} is broken")
        yield name, b"" if name == b"IDAT" else bytes(data[at + 8 : end])
        at = end + 4
        if name == b"IEND":
            return
    raise FileError("it is truncated")


def _profile(body: bytes | None) -> bytes | None:
    """Return the color profile in an iCCP chunk: name, zero byte, method, compressed profile."""
    try:
        return None if body is None else zlib.decompress(body[body.index(b"\0") + 2 :])
    except (ValueError, zlib.error):
        return None


def _write_png(data: bytes, picture: Picture) -> bytes:
    chunks = [chunk for chunk in picture.chunks if isinstance(chunk[0], bytes)]
    found, xmp = picture.tags, tags.bytes_of(picture.tags, XMP)
    if picture.icc:  # instead of the name of a color space
        chunks = [chunk for chunk in chunks if chunk[0] not in (b"sRGB", b"gAMA", b"cHRM")]
        chunks.append((b"iCCP", b"profile\0\0" + zlib.compress(picture.icc)))
    if meter := tags.per_meter(found):
        chunks.append((b"pHYs", struct.pack(">IIB", *meter, 1)))
    if exif := tags.to_exif(found):
        chunks.append((b"eXIf", exif))
    if xmp:
        chunks.append((b"iTXt", _PNG_XMP + bytes(4) + xmp))
    kept = list(png_chunks(data))[1:]
    at = _PNG_HEADER + sum(12 + len(body) for name, body in _before_pixels(kept))
    return data[:_PNG_HEADER] + b"".join(_chunk(*chunk) for chunk in chunks) + data[at:]


def _before_pixels(chunks: Parts) -> Parts:
    """Return the chunks before the pixels, in which an encoder describes them by default."""
    names = [name for name, _ in chunks]
    return chunks[: names.index(b"IDAT")]


def _chunk(name: bytes, body: bytes) -> bytes:
    """Return a chunk as stored in a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _segments(data: Any) -> Iterator[tuple[int, bytes]]:
    """Yield marker and contents of the segments of a JPEG before its pixels."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _SCAN:
        marker = data[at + 1]
        if marker in _BARE or marker == 0xFF:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield marker, bytes(data[at + 4 : at + 2 + length])
        at += 2 + length


def _read_jpeg(data: Any) -> dict[str, Any]:
    parts = list(_segments(data))
    profile = sorted(body for mark, body in parts if mark == _APP2 and body.startswith(_JPEG_ICC))
    icc = b"".join(body[len(_JPEG_ICC) + 2 :] for body in profile)
    found = _blobs(icc, _first(parts, _APP1, _EXIF), _first(parts, _APP1, _JPEG_XMP))
    density = _first(parts, _APP0, b"JFIF\0")
    if density and len(density) >= 7 and tags.ACROSS not in found:
        unit, across, down = struct.unpack_from(">BHH", density, 2)
        found |= tags.resolution(across, down, unit + 1) if unit in (1, 2) else {}
    options: dict[str, Any] = {"jpeg:progressive": int(any(m == _PROGRESSIVE for m, _ in parts))}
    if quality := _quality(_first(parts, _TABLES, b"")):
        options["CompressionQuality"] = quality
    kept = tuple(part for part in parts if part[0] in (_APP13, _COMMENT))
    return {"tags": found, "chunks": kept, "options": options}


def _first(parts: Parts, marker: int, start: bytes) -> bytes | None:
    """Return the first segment that begins so, without this beginning."""
    found = (body for mark, body in parts if mark == marker and body.startswith(start))
    body = next(found, None)
    return None if body is None else body[len(start) :]


def _quality(tables: bytes | None) -> int | None:
    """Return the quality of libjpeg's scale that is closest to tables of quantization."""
    if not tables or len(tables) < 65 or tables[0] >> 4:
        return None
    scale = 100 * sum(tables[1:65]) / _STANDARD
    return max(1, min(100, round((200 - scale) / 2 if scale <= 100 else 5000 / scale)))


def _write_jpeg(data: bytes, picture: Picture) -> bytes:
    parts: Parts = [part for part in picture.chunks if isinstance(part[0], int)]
    found, icc = picture.tags, picture.icc or b""
    exif, xmp = tags.to_exif(found), tags.bytes_of(found, XMP)
    if len(_EXIF + exif) > _LONGEST and isinstance(found.get(tags.EXIF), dict):
        exif = tags.to_exif({code: tag for code, tag in found.items() if code != tags.EXIF})
    pieces = [(_APP1, _EXIF + exif)] if exif else []
    pieces += [(_APP1, _JPEG_XMP + xmp)] if xmp else []
    size = _LONGEST - len(_JPEG_ICC) - 2
    count = -(-len(icc) // size)
    for k in range(count):
        body = _JPEG_ICC + bytes([k + 1, count]) + icc[k * size : (k + 1) * size]
        pieces.append((_APP2, body))
    inserted = b"".join(
        struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
        for marker, body in [*pieces, *parts]
        if len(body) <= _LONGEST
    )
    head = bytearray(data[:20])  # the marker of a JFIF file
    if meter := tags.per_meter(found):
        inches = [min(65535, round(value * 0.0254)) for value in meter]
        head[_DENSITY : _DENSITY + 5] = struct.pack(">BHH", 1, *inches)
    return bytes(head) + inserted + data[20:]


def _riff(data: Any) -> Parts:
    """Return the chunks of a WebP file."""
    at, found = 12, []
    while at + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        found.append((bytes(data[at : at + 4]), bytes(data[at + 8 : at + 8 + length])))
        at += 8 + length + length % 2
    return found


def _read_webp(data: Any) -> dict[str, Any]:
    parts = dict(_riff(data))
    if b"ANIM" in parts:
        raise FileError("it has several frames; one is supported")
    found = _blobs(parts.get(b"ICCP"), parts.get(b"EXIF"), parts.get(b"XMP "))
    options = {"compression": "lossless" if b"VP8L" in parts else "webp:95"}
    return {"tags": found, "options": options}


def _write_webp(data: bytes, picture: Picture) -> bytes:
    blobs = {b"ICCP": picture.icc, b"EXIF": tags.to_exif(picture.tags),
             b"XMP ": tags.bytes_of(picture.tags, XMP)}  # fmt: skip
    parts: Parts = [part for part in _riff(data) if part[0] in (b"ALPH", b"VP8 ", b"VP8L")]
    flags = sum(_WEBP[name] for name, body in blobs.items() if body)
    if not flags:
        return data
    height, width = picture.values.shape[:2]
    flags |= _WEBP_ALPHA if picture.alpha is not None else 0
    header = struct.pack("<I", flags) + (width - 1).to_bytes(3, "little")
    parts.insert(0, (b"VP8X", header + (height - 1).to_bytes(3, "little")))
    for place, name in ((1, b"ICCP"), (len(parts) + 1, b"EXIF"), (len(parts) + 2, b"XMP ")):
        blob = blobs[name]
        parts[place:place] = [(name, blob)] if blob else []
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(part)) + part + bytes(len(part) % 2) for name, part in parts
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _read_jxl(data: Any) -> dict[str, Any]:
    """Read the boxes of JPEG XL; its decoder turns the image upright."""
    at, parts = 0, {}
    while data[:2] != _JXL_BARE and at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if length < 8:  # to the end of the file, or beyond 4 GB
            break
        parts[bytes(data[at + 4 : at + 8])] = (at + 8, at + length)
        at += length
    blobs = {name: bytes(data[slice(*parts[name])]) for name in (b"Exif", b"xml ") if name in parts}
    return {"tags": tags.upright(_blobs(None, blobs.get(b"Exif", b"")[4:], blobs.get(b"xml ")))}


def _write_tiff(data: bytes, picture: Picture) -> bytes:
    if not tags.is_big(data):
        return tags.graft(data, picture.tags)
    if picture.tags:
        warnings.warn("a TIFF over 4 GB is written without its metadata", stacklevel=2)
    return data


_READERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "png": _read_png,
    "jpeg": _read_jpeg,
    "webp": _read_webp,
    "jpegxl": _read_jxl,
    "tiff": lambda data: {"tags": tags.parse(data)},
}
_WRITERS: dict[str, Callable[[bytes, Picture], bytes]] = {
    "png": _write_png,
    "jpeg": _write_jpeg,
    "webp": _write_webp,
    "tiff": _write_tiff,
}
