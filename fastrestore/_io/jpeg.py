"""JPEG of 8 bits, gray and RGB, which is read and not written: it would lose what was restored."""

from __future__ import annotations

from io import BytesIO
from typing import IO, TYPE_CHECKING

import numpy as np

from fastrestore._io.errors import CliError
from fastrestore._io.picture import CURE, Picture, exif_of

if TYPE_CHECKING:
    from PIL.Image import Exif


def read_jpeg(file: IO[bytes]) -> Picture:
    """Read a JPEG, not turned: its orientation stays in EXIF."""
    from PIL import Image as Pillow

    Pillow.MAX_IMAGE_PIXELS = None  # as for PNG
    with Pillow.open(BytesIO(file.read()), formats=["JPEG"]) as image:
        if image.mode not in ("L", "RGB"):
            raise CliError(f"its mode is {image.mode}; gray and RGB are supported. {CURE}")
        pixels = np.asarray(image)
        return Picture(pixels, icc=image.info.get("icc_profile"), exif=_exif(image.info))


def _exif(info: dict[str | tuple[int, int], bytes]) -> Exif | None:
    """Read what describes the picture, or None if there is nothing, or it is damaged."""
    blob = info.get("exif", b"").removeprefix(b"Exif\0\0")
    try:
        return exif_of(blob) if blob else None
    except Exception:  # on damaged tags Pillow raises nearly anything; the pixels were read
        return None
