"""Subtitles of text for containers that store them in another form: MP4, Matroska and WebM."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from fastrestore._io.pyav import load_pyav

_PLAIN = ("subrip", "srt", "text")  # the text is the packet
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")  # of the style, as in "<i>words</i>"
# The style in which FFmpeg writes MP4 subtitles
_HEADER = b"""[Script Info]
ScriptType: v4.00+
[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, \
Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, \
Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
_TARGETS = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}

Convert = Callable[[bytes], bytes]  # the data of a packet; empty if there is no text


def add_converted(container: Any, track: Any) -> tuple[Any, Convert] | None:
    """Add a track for the text of another one, and the conversion; None if it has no text."""
    target = _TARGETS.get(container.format.name)
    name = getattr(track, "name", None)  # none if there is no decoder
    if track.type != "subtitle" or target is None or name not in ("mov_text", *_PLAIN):
        return None
    read = _from_mp4 if name == "mov_text" else _from_plain
    if target != "mov_text":
        made = container.add_mux_stream(target, time_base=track.time_base)
        return made, lambda data: read(data).encode()
    made = container.add_stream(target)
    made.codec_context.subtitle_header = _HEADER
    made.codec_context.time_base = made.time_base = Fraction(track.time_base)
    return made, lambda data: _to_mp4(read(data))


def converted_packet(packet: Any, convert: Convert) -> Any:
    """Return a packet with converted data and the same time; None if it is empty."""
    data = convert(bytes(packet))
    if not data:
        return None
    made = load_pyav().Packet(data)
    made.pts, made.dts, made.duration = packet.pts, packet.pts, packet.duration
    made.time_base = packet.time_base
    return made


def _from_mp4(data: bytes) -> str:
    """Return the text of an MP4 sample: its length in two bytes, the text, and boxes of style."""
    length = int.from_bytes(data[:2], "big")
    text = data[2 : 2 + length]
    return text.decode("utf-16" if text[:2] in (b"\xfe\xff", b"\xff\xfe") else "utf-8", "replace")


def _from_plain(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _to_mp4(text: str) -> bytes:
    """Return an MP4 sample, without tags of style."""
    data = _TAG.sub("", text).encode()[:65535]
    return len(data).to_bytes(2, "big") + data if data else b""
