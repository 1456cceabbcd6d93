"""Damaged files: pure functions from bytes to bytes, the same for the same seed.

`damaged` picks one kind of damage by its seed; `truncations` cuts at evenly spaced lengths. The
head of a file gets more of the damage than its data, because headers are what decoders trust.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

HEAD = 512  # headers of most formats lie within these first bytes
# Numbers that decoders tend to trust: nothing, the limits of signed and unsigned integers
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def damaged(data: bytes, seed: int) -> bytes:
    """Return `data` with one kind of damage; never the same bytes unless `data` is empty."""
    generator = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    for attempt in range(8):
        result = kind(data, generator)
        if result != data:
            return result
        if attempt == 6:
            kind = truncate
    return data


def truncations(data: bytes, parts: int = 50) -> Iterator[bytes]:
    """Yield the first 0, 1, .. parts - 1 of `parts` equal parts of `data`."""
    for k in range(parts):
        yield data[: len(data) * k // parts]


def truncate(data: bytes, generator: random.Random) -> bytes:
    """Cut the end off, at any length."""
    return data[: generator.randrange(len(data))] if data else data


def flip(data: bytes, generator: random.Random) -> bytes:
    """Flip bits of 1 to 16 bytes, near the head or anywhere."""
    result = bytearray(data)
    for _ in range(generator.choice((1, 2, 4, 16)) if data else 0):
        result[_place(data, generator)] ^= generator.randrange(1, 256)
    return bytes(result)


def zero(data: bytes, generator: random.Random) -> bytes:
    """Fill a run of bytes with zeros, as a disk does that lost a block."""
    begin, end = _run(data, generator)
    return data[:begin] + bytes(end - begin) + data[end:]


def noise(data: bytes, generator: random.Random) -> bytes:
    """Fill a run of bytes with random ones."""
    begin, end = _run(data, generator)
    return data[:begin] + generator.randbytes(end - begin) + data[end:]


def remove(data: bytes, generator: random.Random) -> bytes:
    """Leave a run of bytes out."""
    begin, end = _run(data, generator)
    return data[:begin] + data[end:]


def insert(data: bytes, generator: random.Random) -> bytes:
    """Insert random bytes, or a copy of a part of the file."""
    place = _place(data, generator)
    begin, end = _run(data, generator)
    part = generator.choice((data[begin:end], generator.randbytes(generator.randrange(1, 65))))
    return data[:place] + part + data[place:]


def swap(data: bytes, generator: random.Random) -> bytes:
    """Swap two parts that follow each other."""
    places = sorted(generator.randrange(len(data) + 1) for _ in range(3))
    first, second, third = places
    return data[:first] + data[second:third] + data[first:second] + data[third:]


def overwrite_number(data: bytes, generator: random.Random) -> bytes:
    """Write an extreme integer of 1, 2, 4 or 8 bytes, or an extreme float, over a field."""
    size = generator.choice((1, 2, 4, 8))
    value = generator.choice(_NUMBERS) if size < 8 else generator.choice((2**63, 2**64 - 1, 2**62))
    order = generator.choice(("little", "big"))
    field = (value % 256**size).to_bytes(size, order)
    if size == 4 and generator.random() < 0.3:
        field = generator.choice((b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f"))
    place = _place(data, generator)
    if generator.random() < 0.5:
        place -= place % size  # fields are aligned in most formats
    return data[:place] + field[: len(data) - place] + data[place + size :]


def replace_digits(data: bytes, generator: random.Random) -> bytes:
    """Replace digits of numbers written as text, such as a shape, by others or a sign."""
    digits = [k for k, byte in enumerate(data[: 8 * HEAD]) if 48 <= byte <= 57]
    result = bytearray(data)
    for k in generator.sample(digits, min(len(digits), generator.choice((1, 2, 4)))):
        result[k] = generator.choice(b"0123456789-e.")
    return bytes(result)


def append(data: bytes, generator: random.Random) -> bytes:
    """Append random bytes or the file itself."""
    return data + generator.choice((data, generator.randbytes(generator.randrange(1, 999))))


KINDS = (
    truncate, flip, zero, noise, remove, insert, swap, overwrite_number, overwrite_number,
    replace_digits, append,
)  # fmt: skip


def _place(data: bytes, generator: random.Random) -> int:
    """Return an index, in half of the cases within the head."""
    end = min(len(data), HEAD) if generator.random() < 0.5 else len(data)
    return generator.randrange(end) if end else 0


def _run(data: bytes, generator: random.Random) -> tuple[int, int]:
    """Return begin and end of a run of 1 to 1024 bytes."""
    begin = _place(data, generator)
    return begin, min(len(data), begin + generator.choice((1, 4, 16, 64, 1024)))
