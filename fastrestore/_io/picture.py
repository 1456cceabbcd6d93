"""An image and the metadata of its file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._io import tags
from fastrestore._io.tags import Tags

Image = NDArray[Any]


def displayed(pixels: Image, orientation: int) -> Image:
    """Return stored pixels as viewers show them."""
    pixels = np.swapaxes(pixels, 0, 1) if orientation > 4 else pixels
    pixels = pixels[:, ::-1] if orientation in (2, 3, 6, 7) else pixels
    return pixels[::-1] if orientation in (3, 4, 7, 8) else pixels


def as_stored(pixels: Image, orientation: int) -> Image:
    """Undo `displayed`."""
    pixels = pixels[::-1] if orientation in (3, 4, 7, 8) else pixels
    pixels = pixels[:, ::-1] if orientation in (2, 3, 6, 7) else pixels
    return np.swapaxes(pixels, 0, 1) if orientation > 4 else pixels


@dataclass(frozen=True, eq=False)
class Picture:
    """An image and its metadata."""

    values: Image  # (M, N) gray, or (M, N, C)
    alpha: Image | None = None  # (M, N)
    premultiplied: bool = False  # whether colors are multiplied by alpha
    tags: Tags = field(default_factory=dict)  # EXIF, orientation, resolution, color profile, XMP
    chunks: tuple[tuple[Any, bytes], ...] = ()  # parts of a PNG or JPEG that are not tags
    options: dict[str, Any] = field(default_factory=dict)  # for the encoder
    format: str = ""  # of the file, by OpenImageIO's name
    channel_axis: int | None = None  # in an NPY file; in `values` channels are last

    @property
    def icc(self) -> bytes | None:
        """The color profile, or None."""
        return tags.bytes_of(self.tags, tags.ICC)

    @property
    def orientation(self) -> int:
        """How viewers turn the image, 1 to 8 as in EXIF; 1 is not at all."""
        return int.from_bytes((tags.bytes_of(self.tags, tags.ORIENTATION) or b"\1")[:2], "little")

    def with_icc(self, profile: bytes | None) -> Picture:
        """Return the image with another color profile, or without one."""
        kept = {code: tag for code, tag in self.tags.items() if code != tags.ICC}
        return replace(self, tags=kept | (tags.blob(profile, tags.ICC) if profile else {}))

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
        height, width = values.shape[:2]
        return replace(
            self, values=values, alpha=alpha, tags=tags.resized(self.tags, width, height)
        )
