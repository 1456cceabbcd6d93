"""PNG of 8 and 16 bits, gray and RGB, with or without alpha.

Pillow silently reduces 16-bit RGB to 8 bits, so those files go through imagecodecs. Chunks other
than pixels, such as the color profile, gamma, resolution, texts and EXIF, are copied from PNG to
PNG.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import IO, Any

import numpy as np

from fastrestore._arrays.install import extra
from fastrestore._io.errors import FileError
from fastrestore._io.picture import CONVERT_FIRST, Image, Picture, parse_exif

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")


def read_png(file: IO[bytes]) -> Picture:
    """Read a PNG; 1, 2 and 4 bits are scaled to 8, as the format defines."""
    data = file.read()
    chunks = list(_chunks(data))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise FileError("it is not a PNG file, or it is damaged")
    depth, kind = chunks[0][1][8:10]
    names = {name for name, _ in chunks}
    if kind == 3:
        raise FileError(
            f"its colors are indexed by a palette; gray and RGB are supported. {CONVERT_FIRST}"
        )
    if kind not in (0, 2, 4, 6):
        raise FileError(f"its color type is {kind}, which PNG does not define")
    if b"acTL" in names:
        raise FileError("it has several frames; one is supported")
    if b"tRNS" in names:
        raise FileError("it has a transparent color; save it with an alpha channel instead")
    wide = depth == 16 and kind != 0
    pixels = _codec().png_decode(data) if wide else _by_pillow(data)
    kept = tuple(chunk for chunk in chunks if chunk[0] not in _CRITICAL)
    return Picture.from_pixels(
        pixels,
        alpha=kind in (4, 6),
        icc=next((_profile(body) for name, body in kept if name == b"iCCP"), None),
        exif=next((parse_exif(body) for name, body in kept if name == b"eXIf"), None),
        chunks=kept,
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and contents of each chunk."""
    if not data.startswith(_SIGNATURE):
        raise FileError("it is not a PNG file, or it is damaged")
    at = len(_SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        name = data[at + 4 : at + 8]
        yield name, data[at + 8 : at + 8 + length]
        at += 12 + length
        if name == b"IEND":
            return
    raise FileError("it is truncated")


def _codec() -> Any:
    """Return the library for 16-bit RGB."""
    try:
        import imagecodecs
    except ImportError:
        raise FileError(
            f"PNG with 16-bit RGB needs imagecodecs; install it with {extra('io')}, or use TIFF"
        ) from None
    return imagecodecs


def _by_pillow(data: bytes) -> Image:
    """Decode 8 bits, or gray of 1, 2, 4 and 16 bits."""
    from PIL import Image as Pillow

    # Pillow rejects images over 89 megapixels as attacks; here the user chose the file.
    Pillow.MAX_IMAGE_PIXELS = None
    with Pillow.open(BytesIO(data), formats=["PNG"]) as image:
        return np.asarray(image.convert("L") if image.mode == "1" else image)


def _encode_pixels(pixels: Image) -> bytes:
    """Encode the pixels without metadata."""
    if pixels.dtype == np.uint16 and pixels.ndim == 3:
        return bytes(_codec().png_encode(pixels))
    from PIL import Image as Pillow

    file = BytesIO()
    Pillow.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _profile(body: bytes) -> bytes | None:
    """Return the color profile in an iCCP chunk: name, zero byte, method, compressed profile."""
    try:
        return zlib.decompress(body[body.index(b"\0") + 2 :])
    except (ValueError, zlib.error):
        return None


def encode_png(picture: Picture) -> bytes:
    """Return the contents of a PNG file."""
    data = _encode_pixels(picture.pixels)
    chunks = picture.chunks
    if not chunks:
        new = []
        if picture.icc is not None:
            new.append((b"iCCP", b"profile\0\0" + zlib.compress(picture.icc)))
        if picture.exif is not None:
            new.append((b"eXIf", picture.exif.tobytes().removeprefix(b"Exif\0\0")))
        chunks = tuple(new)
    after_header = len(_SIGNATURE) + 25
    inserted = b"".join(_pack(*chunk) for chunk in chunks)
    return data[:after_header] + inserted + data[after_header:]


def _pack(name: bytes, body: bytes) -> bytes:
    """Return a chunk as stored in a file."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
