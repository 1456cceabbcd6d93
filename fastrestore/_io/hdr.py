"""HDR10 metadata of a video: the mastering display (SMPTE ST 2086) and its content light level."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from fastrestore._io.pyav import side_data

_DYNAMIC = ("DYNAMIC_HDR_PLUS", "DYNAMIC_HDR_VIVID", "DOVI_METADATA", "DOVI_RPU_BUFFER")
_PRIMARIES = "RGBW"  # red, green, blue and the white point, in FFmpeg's order


@dataclass(frozen=True)
class HdrMetadata:
    """Values in their own units: chromaticities, and luminance in candela per square meter."""

    points: dict[str, tuple[Fraction, Fraction]] | None = None  # x and y of R, G, B and W
    luminance: tuple[Fraction, Fraction] | None = None  # least and largest
    light: tuple[int, int] | None = None  # MaxCLL and MaxFALL
    dynamic: bool = False  # whether frames have metadata of their own, such as HDR10+

    @property
    def is_static(self) -> bool:
        """Whether there is metadata of the whole video."""
        return any((self.points, self.luminance, self.light))


def read_hdr(frame: Any) -> HdrMetadata | None:
    """Return the metadata of a decoded frame, or None."""
    found = side_data(frame)
    points = luminance = light = None
    if "MASTERING_DISPLAY_METADATA" in found:
        points, luminance = _mastering(found["MASTERING_DISPLAY_METADATA"])
    if "CONTENT_LIGHT_LEVEL" in found:
        level = struct.unpack_from("=2I", found["CONTENT_LIGHT_LEVEL"])
        light = level if any(level) else None  # 0 is unknown
    hdr = HdrMetadata(points, luminance, light, any(name in found for name in _DYNAMIC))
    return None if hdr == HdrMetadata() else hdr


def _mastering(data: bytes) -> tuple[Any, Any]:
    """Read FFmpeg's AVMasteringDisplayMetadata: ten fractions and two flags."""
    *numbers, has_points, has_luminance = struct.unpack_from("=22i", data)
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    values = [Fraction(num, den) if den else Fraction(0) for num, den in pairs]
    points = {
        name: (values[2 * k], values[2 * k + 1]) for k, name in enumerate(_PRIMARIES)
    }  # fmt: skip
    return points if has_points else None, (values[8], values[9]) if has_luminance else None


def encoder_options(codec: str, hdr: HdrMetadata) -> dict[str, str] | None:
    """Return the options by which an encoder stores the metadata; None if it cannot."""
    if codec not in _OPTIONS:
        return None
    option, display, level, scale = _OPTIONS[codec]
    values = []
    if hdr.points or hdr.luminance:
        values.append(f"{display}={_display(hdr, scale)}")
    if hdr.light:
        values.append(f"{level}={hdr.light[0]},{hdr.light[1]}")
    return {option: ":".join(values)} if values else {}


# The option with the encoder's own parameters, two of those, and the units of both:
# 0.00002 and 0.0001 candela per square meter, or 1
_OPTIONS = {
    "libx264": ("x264-params", "mastering-display", "cll", (50000, 10000)),
    "libx265": ("x265-params", "master-display", "max-cll", (50000, 10000)),
    "libsvtav1": ("svtav1-params", "mastering-display", "content-light", None),
}


def _display(hdr: HdrMetadata, scale: tuple[int, int] | None) -> str:
    """Return the mastering display as the encoders expect it; unknown values are 0."""
    zero = Fraction(0), Fraction(0)

    def pair(values: tuple[Fraction, Fraction], unit: int | None) -> str:
        if unit is None:
            return ",".join(f"{float(value):.6g}" for value in values)
        return ",".join(str(round(value * unit)) for value in values)

    chroma, light = scale or (None, None)
    points = hdr.points or {}
    text = "".join(
        f"{name}({pair(points.get(name[0], zero), chroma)})" for name in ("G", "B", "R", "WP")
    )
    least, largest = hdr.luminance or zero
    return f"{text}L({pair((largest, least), light)})"
