"""An image and the metadata of its file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Exif

Image = NDArray[Any]

# Advice for files in an unsupported color mode
CONVERT_FIRST = (
    "Convert it first: "
    "python -c \"from PIL import Image; Image.open('IN').convert('RGB').save('NEW.png')\""
)
EXIF, GPS = 0x8769, 0x8825  # tags that point to a directory of tags
_WIDTH, _HEIGHT = 0xA002, 0xA003  # EXIF tags with the size of the image


@dataclass(frozen=True, eq=False)
class Picture:
    """An image and its metadata."""

    values: Image  # (M, N) gray, or (M, N, C)
    alpha: Image | None = None  # (M, N)
    premultiplied: bool = False  # whether colors are multiplied by alpha
    icc: bytes | None = None  # color profile
    exif: Exif | None = None  # for TIFF also the descriptive tags, such as the orientation
    chunks: tuple[tuple[bytes, bytes], ...] = field(default=())  # ancillary chunks of a PNG
    channel_axis: int | None = None  # in an NPY file; in `values` channels are last

    @property
    def pixels(self) -> Image:
        """All samples of each pixel: (M, N) or (M, N, samples), in C order."""
        if self.alpha is None:
            return np.ascontiguousarray(self.values)
        height, width = self.values.shape[:2]
        colors = self.values.reshape(height, width, -1)
        return np.concatenate([colors, self.alpha[..., None]], axis=2)

    @classmethod
    def from_pixels(cls, pixels: Image, *, alpha: bool, **metadata: Any) -> Picture:
        """Split samples (M, N, samples) into values and alpha, which comes last."""
        mask = None
        if alpha:
            pixels, mask = pixels[..., :-1], pixels[..., -1]
        if pixels.ndim == 3 and pixels.shape[2] == 1:
            pixels = pixels[..., 0]
        return cls(pixels, mask, **metadata)

    def resized(self, values: Image, alpha: Image | None) -> Picture:
        """Return the image with values of another size, and that size in its EXIF."""
        if self.exif is not None:
            tags = self.exif.get_ifd(EXIF)
            height, width = values.shape[:2]
            for tag, size in ((_WIDTH, width), (_HEIGHT, height)):
                if tag in tags:
                    tags[tag] = size
        return replace(self, values=values, alpha=alpha)


def parse_exif(data: bytes) -> Exif:
    """Read EXIF from a TIFF file, or from a PNG's eXIf chunk, which has the same layout."""
    from PIL.Image import Exif

    exif = Exif()
    exif.load_from_fp(BytesIO(data))
    for directory in (EXIF, GPS):
        exif.get_ifd(directory)  # read now, while `data` is in memory
    return exif
