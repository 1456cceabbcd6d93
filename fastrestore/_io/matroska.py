"""A Matroska file of one frame, which carries HDR10 metadata to FFmpeg.

PyAV cannot attach this metadata to a track that it encodes, but copies it from a track that it
reads. Encoders such as FFV1 do not store it in their own data, only the container does.
"""

from __future__ import annotations

import io
import struct
from typing import Any

from fastrestore._io.hdr import HdrMetadata
from fastrestore._io.pyav import load_pyav

CODECS = {"ffv1": b"V_FFV1", "libvpx-vp9": b"V_VP9"}  # Matroska's names, by those of encoders
_FIELD_ORDERS = {2: 1, 3: 6, 4: 9, 5: 14}  # Matroska's numbers, by FFmpeg's


def one_frame_film(context: Any, packet: bytes, hdr: HdrMetadata) -> Any:
    """Open a film of one packet of an encoder, with all that the container states about it."""
    private = _element("63A2", context.extradata) if context.extradata else b""
    entry = _element("AE", b"".join([
        _number("D7", 1), _number("73C5", 1), _number("83", 1),  # number, identifier, video
        _element("86", CODECS[context.name]), private, _video(context, hdr),
    ]))  # fmt: skip
    writer = _element("4D80", b"fastrestore") + _element("5741", b"fastrestore")
    info = _element("1549A966", _number("2AD7B1", 10**6) + writer)  # ticks of a millisecond
    cluster = _element("1F43B675", _number("E7", 0) + _element("A3", b"\x81\0\0\x80" + packet))
    head = _element("4282", b"matroska") + _number("4287", 4) + _number("4285", 2)
    segment = _element("18538067", info + _element("1654AE6B", entry) + cluster)
    return load_pyav().open(io.BytesIO(_element("1A45DFA3", head) + segment), format="matroska")


def _video(context: Any, hdr: HdrMetadata) -> bytes:
    """Return the properties of the frames."""
    order = getattr(context, "field_order", 0)
    fields = _number("9A", 1) + _number("9D", _FIELD_ORDERS[order]) if order > 1 else b""
    light = hdr.light or (0, 0)
    color = [
        _number("55B1", context.colorspace),
        _number("55B9", context.color_range),
        _number("55BA", context.color_trc),
        _number("55BB", context.color_primaries),
        _number("55BC", light[0]) + _number("55BD", light[1]) if hdr.light else b"",
        _element("55D0", _mastering(hdr)) if hdr.points or hdr.luminance else b"",
    ]
    size = _number("B0", context.width) + _number("BA", context.height)
    return _element("E0", size + fields + _element("55B0", b"".join(color)))


def _mastering(hdr: HdrMetadata) -> bytes:
    """Return the properties of the mastering display."""
    found = b""
    if hdr.points:
        values = [value for name in "RGBW" for value in hdr.points[name]]
        found = b"".join(_real(f"55D{k}", value) for k, value in enumerate(values, 1))
    if hdr.luminance:
        found += _real("55D9", hdr.luminance[1]) + _real("55DA", hdr.luminance[0])
    return found


def _element(name: str, data: bytes) -> bytes:
    """Return an element with its identifier, given in hexadecimal, and its length."""
    return bytes.fromhex(name) + (len(data) | 1 << 56).to_bytes(8, "big") + data


def _number(name: str, value: int) -> bytes:
    return _element(name, int(value).to_bytes(8, "big"))


def _real(name: str, value: Any) -> bytes:
    return _element(name, struct.pack(">d", float(value)))
