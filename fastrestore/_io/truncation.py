"""Whether the end of a video file is missing, where FFmpeg does not report it."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip")  # the first in an MP4 file
_TRANSPORT = ((0, 188), (4, 192))  # first sync byte "G" and length of a packet of MPEG-TS
_HEAD = 4096  # bytes, in which the headers of Matroska's file and segment lie


def ends_early(path: Path) -> bool | None:
    """Whether a file is shorter than its headers state; None if they do not state it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if head.startswith(b"\x1a\x45\xdf\xa3"):
            return _matroska_ends_early(head, size)
        if head.startswith(b"RIFF"):
            return _riff_ends_early(file, size)
        if head[4:8] in _BOXES:
            return _mp4_ends_early(file, size)
    for start, length in _TRANSPORT:
        if head[start::length][:3] == b"GGG":
            return size % length > 0 or None  # it may end after any packet
    return None


def _matroska_ends_early(head: bytes, size: int) -> bool | None:
    """Compare the length of the segment, which holds the rest of the file."""
    length, start = _length(head, 4)
    if head[start + length :][:4] != b"\x18\x53\x80\x67":
        return None
    length, start = _length(head, start + length + 4)
    streamed = length == 2**56 - 1
    return None if streamed else start + length > size


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Read a variable-size integer of Matroska at `at`; return it and the position after it."""
    first = data[at] if at < len(data) else 0
    size = 9 - first.bit_length()
    value = int.from_bytes(data[at : at + size]) & ((1 << 7 * size) - 1)
    return value, at + size


def _riff_ends_early(file: BinaryIO, size: int) -> bool | None:
    """Add the lengths of the chunks of an AVI file: one, or more in files beyond 1 GB."""
    position = 0
    while position < size:
        file.seek(position)
        name, length = file.read(4), int.from_bytes(file.read(4), "little")
        if name != b"RIFF" or not length:  # the last chunk of a stream has no length
            return None if position == 0 or name == b"RIFF" else False
        position += 8 + length + length % 2
    return position > size + 1  # the last byte may be missing where it only fills up


def _mp4_ends_early(file: BinaryIO, size: int) -> bool | None:
    """Add the lengths of the boxes of an MP4 file."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        length, name = int.from_bytes(file.read(4), "big"), file.read(4)
        if length == 0:  # to the end of the file
            return False
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        if length < 8 or not all(32 <= letter < 127 or letter == 169 for letter in name):
            return None  # no box: maybe bytes that were appended
        position += length
    return position > size
