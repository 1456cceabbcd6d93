"""What ``fastrestore info`` prints of stacks, volumes and films."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore._io import films, volumes
from fastrestore._io.files import extension
from fastrestore._io.film_reader import FilmReader
from fastrestore._io.voxels import Scale, scale_of
from fastrestore._noise.spec_text import WIDTH
from fastrestore.cli import stack

# Names of axes; I and Q are those of tifffile for pages without a name
_NAMES = {"T": "frames", "Z": "slices", "C": "channels", "I": "pages", "Q": "pages"}
_SAMPLES = "S"

Fields = dict[str, Any]


def is_described(name: str) -> bool:
    """Whether a file is a stack, a volume or a film rather than an image."""
    path = Path(name)
    return films.is_film(name) or extension(path) in (".nii", ".nii.gz") or stack.is_stack(path)


def describe(name: str) -> Fields:
    """Return the properties of a file, as for JSON."""
    return _film(name) if films.is_film(name) else _stack(Path(name))


def lines(fields: Fields) -> list[str]:
    """Return properties as lines of text."""
    return _film_lines(fields) if "frames" in fields else _stack_lines(fields)


def _stack(path: Path) -> Fields:
    """Read a stack or a volume."""
    volumes.check_input(path)
    volume = volumes.read_named(path, None)
    values = volume.values
    return {
        "axes": volume.axes,
        "shape": list(values.shape),
        "dtype": str(values.dtype),
        "min": _finite(values.min().item()),
        "max": _finite(values.max().item()),
        "mean": _finite(float(values.mean(dtype=np.float64))),
        **_scale(scale_of(volume)),
    }


def _finite(value: float) -> float | None:
    """Return a number that JSON can represent."""
    return value if math.isfinite(value) else None


def _scale(scale: Scale) -> Fields:
    """Return what is known of voxels and channels."""
    fields: Fields = {}
    if scale.sizes:
        fields["voxel_size"] = scale.sizes
        fields["voxel_unit"] = scale.units
    if scale.channels:
        fields["channel_names"] = scale.channels
    return fields


def _stack_lines(fields: Fields) -> list[str]:
    """Describe a stack."""
    axes = fields["axes"]
    sizes = dict(zip(axes, fields["shape"], strict=True))
    if axes.startswith("X"):  # NIfTI
        parts = [" x ".join(str(size) for size in fields["shape"][:3])]
        parts += [f"{sizes[name]} {_NAMES.get(name, f'along {name}')}" for name in axes[3:]]
    else:
        parts = [
            f"{size} {_NAMES.get(name, f'along {name}')}"
            for name, size in sizes.items()
            if name not in f"YX{_SAMPLES}"
        ]
        parts.append(f"{sizes['Y']} x {sizes['X']}")
    parts += [f"{sizes[_SAMPLES]} samples"] if _SAMPLES in sizes else []
    parts.append(fields["dtype"])
    for name in ("min", "max", "mean"):
        value = fields[name]
        parts.append(f"{name} {'not finite' if value is None else f'{value:.6g}'}")
    first = ", ".join(parts)
    rows = {"axes": axes, "voxel": _voxel(fields), "channels": _channels(fields)}
    rows["restore"] = _advice(axes)
    return [first, *(f"  {name:{WIDTH}}{text}" for name, text in rows.items() if text)]


def _voxel(fields: Fields) -> str:
    """Describe the size of a voxel."""
    units = fields.get("voxel_unit", {})
    sizes = fields.get("voxel_size", {})
    return ", ".join(
        f"{axis} {size:.6g} {units.get(axis, '')}".rstrip() for axis, size in sizes.items()
    )


def _channels(fields: Fields) -> str:
    """Return the names of the channels."""
    return ", ".join(fields.get("channel_names", []))


def _advice(axes: str) -> str:
    """Say how a stack can be restored."""
    if axes.startswith("XYZ"):  # NIfTI
        text = "`fastrestore restore`: slices together"
        return text + (", --as film: frames together" if "T" in axes else "")
    others = set(axes) - set("CSYX")
    if not others:
        return "`fastrestore restore`: each channel by itself"
    text = "`fastrestore restore`: each image by itself"
    one = len(others) == 1  # which can be taken for slices or frames
    text += ", --as volume: slices together" if one or "Z" in axes else ""
    return text + (", --as film: frames together" if one or "T" in axes else "")


def _film(name: str) -> Fields:
    """Read a film, or numbered images."""
    reader = films.open_reader(name, None)
    try:
        rows, columns = next(iter(reader.samples()))[0].shape
        fields: Fields = {"frames": reader.length, "height": int(rows), "width": int(columns)}
        if isinstance(reader, FilmReader):
            info = reader.info()
            fields |= {
                "frame_rate": float(info.rate),
                "codec": info.track.codec_context.name,
                "pixel_format": info.pixel_format,
                "interlaced": info.interlaced,
                "tracks": [each.type for each in info.tracks],
            }
        else:
            fields |= {"channels": reader.layout.count, "dtype": str(reader.layout.dtype)}
    finally:
        reader.close()
    return fields


def _film_lines(fields: Fields) -> list[str]:
    """Describe a film."""
    count = fields["frames"]
    parts = [f"{'?' if count is None else count} frames"]
    parts.append(f"{fields['height']} x {fields['width']}")
    if "dtype" in fields:
        channels = fields["channels"]
        parts += [f"{channels} channel{'s' if channels > 1 else ''}", fields["dtype"]]
    else:
        parts += [f"{fields['frame_rate']:.6g} frames/s", fields["codec"], fields["pixel_format"]]
        parts += ["interlaced"] if fields["interlaced"] else []
        parts.append(f"tracks: {', '.join(fields['tracks'])}")
    return [", ".join(parts), f"  {'restore':{WIDTH}}`fastrestore restore`"]
