"""JPEG of 8 bits, gray and RGB. It is not written, because that would lose restored detail."""

from __future__ import annotations

from io import BytesIO
from typing import IO, TYPE_CHECKING

import numpy as np

from fastrestore._io.errors import FileError
from fastrestore._io.picture import CONVERT_FIRST, Picture, parse_exif

if TYPE_CHECKING:
    from PIL.Image import Exif


def read_jpeg(file: IO[bytes]) -> Picture:
    """Read a JPEG without rotating it: its orientation stays in the EXIF."""
    from PIL import Image as Pillow

    Pillow.MAX_IMAGE_PIXELS = None  # as for PNG
    with Pillow.open(BytesIO(file.read()), formats=["JPEG"]) as image:
        if image.mode not in ("L", "RGB"):
            raise FileError(
                f"its mode is {image.mode}; gray and RGB are supported. {CONVERT_FIRST}"
            )
        pixels = np.asarray(image)
        return Picture(pixels, icc=image.info.get("icc_profile"), exif=_exif(image.info))


def _exif(info: dict[str | tuple[int, int], bytes]) -> Exif | None:
    """Return the EXIF, or None if it is missing or damaged."""
    data = info.get("exif", b"").removeprefix(b"Exif\0\0")
    try:
        return parse_exif(data) if data else None
    except Exception:  # damaged tags make Pillow raise many types; the pixels are fine
        return None
