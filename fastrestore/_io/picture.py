"""What a file holds beside its pixels, and how that is carried to another file."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Exif

Image = NDArray[Any]

# How a picture becomes one that can be read
CURE = (
    "Convert it first: "
    "python -c \"from PIL import Image; Image.open('IN').convert('RGB').save('NEW.png')\""
)


@dataclass(frozen=True, eq=False)
class Picture:
    """An image and its metadata."""

    values: Image  # (M, N) gray, or (M, N, C)
    alpha: Image | None = None  # (M, N)
    premultiplied: bool = False  # colours were multiplied by alpha
    icc: bytes | None = None  # colour profile
    exif: Exif | None = None  # of a TIFF its descriptive tags too, such as the orientation
    chunks: tuple[tuple[bytes, bytes], ...] = field(default=())  # of PNG: ancillary ones

    @property
    def pixels(self) -> Image:
        """All that is stored of a pixel: (M, N) or (M, N, samples), in C order."""
        if self.alpha is None:
            return np.ascontiguousarray(self.values)
        height, width = self.values.shape[:2]
        colours = self.values.reshape(height, width, -1)
        return np.concatenate([colours, self.alpha[..., None]], axis=2)

    @classmethod
    def of(cls, pixels: Image, *, alpha: bool, **metadata: Any) -> Picture:
        """Split what is stored of a pixel into values and alpha, which comes last."""
        mask = None
        if alpha:
            pixels, mask = pixels[..., :-1], pixels[..., -1]
        if pixels.ndim == 3 and pixels.shape[2] == 1:
            pixels = pixels[..., 0]
        return cls(pixels, mask, **metadata)


def exif_of(blob: bytes) -> Exif:
    """Read EXIF from the bytes of a TIFF file, or of a PNG's eXIf chunk, which is one."""
    from PIL.Image import Exif

    exif = Exif()
    exif.load_from_fp(BytesIO(blob))
    for directory in (EXIF, GPS):
        exif.get_ifd(directory)  # read now, while the bytes are there
    return exif


EXIF, GPS = 0x8769, 0x8825  # tags that point to a directory of tags
