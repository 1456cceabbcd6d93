"""Images of printing inks (CMYK), converted to sRGB by Pillow's color management."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np

from fastrestore._io import oiio
from fastrestore._io.errors import FileError
from fastrestore._io.picture import Picture


def read_cmyk(path: Path) -> Picture:
    """Read a JPEG or TIFF of 8 bits as RGB with the profile sRGB."""
    try:
        from PIL import Image, ImageCms
    except ImportError:
        raise FileError(
            "its mode is CMYK; converting it to RGB needs Pillow: pip install pillow"
        ) from None
    Image.MAX_IMAGE_PIXELS = None  # the memory was checked
    with Image.open(path, formats=["JPEG", "TIFF"]) as image:
        oiio.check_memory(image.width * image.height * 4, (image.height, image.width))
        profile = image.info.get("icc_profile")
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        if profile:
            colors = ImageCms.profileToProfile(image, BytesIO(profile), srgb, outputMode="RGB")
        else:
            warnings.warn(f"{path}: CMYK without a profile; its colors are approximate",
                          stacklevel=2)  # fmt: skip
            colors = image.convert("RGB")
        kind = str(image.format).lower()
        return Picture(np.asarray(colors), format=kind).with_icc(srgb.tobytes())
