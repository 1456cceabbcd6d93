"""The size of a voxel and the names of channels, from the metadata of OME, ImageJ and NIfTI."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

from fastrestore._io import ome
from fastrestore._io.stacks import Stack
from fastrestore._io.volumes import Volume

_DESCRIPTION = 270
_MICROMETER = "µm"  # unit of OME where none is given
_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b[^>]*>")
_SIZE = re.compile(r"""\sPhysicalSize([XYZ])(Unit)?\s*=\s*["']([^"']*)["']""")
_CHANNEL = re.compile(r"""<(?:\w+:)?Channel\b[^>]*?\sName\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")  # as ImageJ writes units


@dataclass(frozen=True)
class Scale:
    """What the metadata says of axes, as far as it is known."""

    sizes: dict[str, float]  # of a voxel along x, y and z
    units: dict[str, str]
    channels: list[str]


def scale_of(volume: Volume) -> Scale:
    """Return the size of a voxel and the names of the channels."""
    if volume.nifti is not None:
        return _of_nifti(volume.nifti)
    if volume.stack is None:
        return Scale({}, {}, [])
    raw = volume.stack.tags.get(_DESCRIPTION, b"")
    text = raw.rstrip(b"\0").decode(errors="replace")
    if ome.is_ome(raw):
        return _of_ome(text)
    return _of_imagej(text, volume.stack) if text.startswith("ImageJ=") else Scale({}, {}, [])


def _of_nifti(image: Any) -> Scale:
    """Read the header of a NIfTI file."""
    unit = image.header.get_xyzt_units()[0]
    sizes = dict(zip("xyz", map(float, image.header.get_zooms()), strict=False))
    return Scale(sizes, {} if unit == "unknown" else dict.fromkeys(sizes, unit), [])


def _of_ome(text: str) -> Scale:
    """Read OME-XML."""
    pixels = _PIXELS.search(text)
    found = _SIZE.findall(pixels[0]) if pixels else []
    values = {axis.lower(): _number(value) for axis, unit, value in found if not unit}
    sizes = {axis: value for axis, value in values.items() if value is not None}
    units = dict.fromkeys(sizes, _MICROMETER)
    units |= {axis.lower(): unescape(value) for axis, unit, value in found if unit}
    channels = [unescape(one or other) for one, other in _CHANNEL.findall(text)]
    return Scale(sizes, units, channels)


def _of_imagej(text: str, stack: Stack) -> Scale:
    """Read the description of ImageJ; the resolution is in voxels per unit."""
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    unit = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), fields.get("unit", "")).strip()
    if not unit:  # the size is that of a pixel, which says nothing
        return Scale({}, {}, [])
    sizes = {
        axis: below / above
        for axis, (above, below) in zip("xy", stack.options.get("resolution", ()), strict=False)
    }
    spacing = _number(fields.get("spacing", ""))
    sizes |= {} if spacing is None else {"z": spacing}
    return Scale(sizes, dict.fromkeys(sizes, _MICROMETER if unit in ("um", "micron") else unit), [])


def _number(text: str) -> float | None:
    """Read a positive number; None for anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value > 0 else None
