"""Pictures with all that files can keep, and checks of what they kept."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageCms

from fastrestore._io import tags
from fastrestore._io.picture import Picture

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>na\xc3\xafve</x:xmpmeta>"
NOTE = b"notes of the maker \0\1\2"


def values(dtype, count, size=(60, 47)):
    random = np.random.default_rng(0)
    shape = (*size, count) if count > 1 else size
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return random.normal(0, 3, shape).astype(kind)
    limits = np.iinfo(kind)
    return random.integers(limits.min, limits.max, shape, kind, endpoint=True)


def smooth(count=3):
    y, x = np.mgrid[:60, :47]
    planes = [np.uint8(128 + 90 * np.sin(x / 9 + k) * np.cos(y / 11)) for k in range(count)]
    return np.stack(planes, -1) if count > 1 else planes[0]


def exif():
    made = Image.Exif()
    made[274], made[271], made[305] = 6, "Maker", "1.0"
    made.get_ifd(0x8769)[33437] = 2.8
    made.get_ifd(0x8769)[0x927C] = NOTE
    made.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0a comment"
    made.get_ifd(0x8825)[1] = "N"
    return made


def full(pixels, *, alpha):
    """Return a picture with all that a format can keep."""
    found = tags.parse(exif().tobytes().removeprefix(b"Exif\0\0"))
    found |= tags.resolution(300, 200, 2) | tags.blob(PROFILE, tags.ICC) | tags.blob(XMP, tags.XMP)
    return Picture.from_pixels(pixels, alpha=alpha, tags=found)


def present(picture):
    """Return the properties that a picture has, as far as they are right."""
    exif = picture.tags.get(tags.EXIF, {})
    checks = {
        "ICC": picture.icc == PROFILE,
        "EXIF": tags.bytes_of(exif, 0x927C) == NOTE and tags.bytes_of(exif, 33437) is not None,
        "orientation": tags.bytes_of(picture.tags, tags.ORIENTATION) == b"\6\0",
        "resolution": tags.per_meter(picture.tags) == (11811, 7874),
        "alpha": picture.alpha is not None,
        "text": tags.bytes_of(picture.tags, tags.XMP) == XMP,
    }
    return {name for name, there in checks.items() if there}
