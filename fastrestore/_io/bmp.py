"""The resolution in the header of BMP files, which OpenImageIO does not write."""

from __future__ import annotations

import struct
from typing import Any

from fastrestore._io import tags
from fastrestore._io.tags import Tags

_PLACE = struct.Struct("<ii")  # pixels per meter, across and down
_SIZE_AT, _AT = 14, 38  # offsets: of the length of the header, and of the resolution
_LENGTH = 40  # bytes of a header with a resolution
_HIGHEST = 1_000_000  # pixels per meter; more is no resolution
_CENTIMETER = 3


def read_resolution(data: Any) -> Tags:
    """Return the tags of the resolution, none if it is not recorded."""
    if not _has_resolution(data):
        return {}
    across, down = _PLACE.unpack_from(data, _AT)
    if not (0 < across <= _HIGHEST and 0 < down <= _HIGHEST):
        return {}
    return tags.resolution(across / 100, down / 100, _CENTIMETER)


def write_resolution(data: bytes, found: Tags) -> bytes:
    """Return the file with the resolution that the tags contain."""
    meter = tags.per_meter(found)
    if meter is None or not _has_resolution(data) or max(meter) > _HIGHEST:
        return data
    return data[:_AT] + _PLACE.pack(*meter) + data[_AT + _PLACE.size :]


def _has_resolution(data: Any) -> bool:
    """Whether the header is long enough to record a resolution."""
    enough = len(data) >= _AT + _PLACE.size
    return enough and int(struct.unpack_from("<I", data, _SIZE_AT)[0]) >= _LENGTH
