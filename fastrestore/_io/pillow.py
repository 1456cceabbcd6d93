"""JPEG, WebP, and images of printing inks (CMYK), by Pillow, which copies their metadata whole."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore._io import chunks, oiio, tags
from fastrestore._io.errors import FileError
from fastrestore._io.picture import Image, Picture

STARTS = (b"\xff\xd8\xff", b"RIFF")
_DEFAULTS: dict[str, dict[str, Any]] = {
    "jpeg": {"quality": 95, "subsampling": 0},
    "webp": {"lossless": True, "exact": True},  # exact: colors of invisible pixels, too
}
_LONGEST_TEXT = 2**26  # bytes of a text or profile in a PNG
_LONGEST = 65533 - 29  # bytes of EXIF or XMP in a JPEG
_CAPTION = "APP13"  # of JPEG, written by Photoshop


@contextmanager
def _opened(path: Path, *formats: str) -> Iterator[Any]:
    """Open an image whose pixels fit into the memory."""
    from PIL import Image as Pillow
    from PIL import PngImagePlugin

    Pillow.MAX_IMAGE_PIXELS = None  # the memory is checked here
    PngImagePlugin.MAX_TEXT_CHUNK = _LONGEST_TEXT
    # About damaged EXIF. catch_warnings, used by several threads, could leave all warnings out.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        with Pillow.open(path, formats=formats) as image:
            size = image.width * image.height * len(image.getbands())
            oiio.check_memory(size, (image.height, image.width))
            yield image
    except Pillow.UnidentifiedImageError:
        raise FileError("it is damaged, or of an unknown format") from None
    except OSError as error:
        if error.errno:  # of the system
            raise
        raise FileError(f"it is damaged or truncated: {error}") from error


def check_png(path: Path) -> None:
    """Raise if a PNG cannot be decoded; libpng would print the reason."""
    with _opened(path, "PNG") as image:
        image.load()


def read(path: Path) -> Picture:
    """Read an image of 8 bits; CMYK as RGB with the profile sRGB."""
    with _opened(path, "JPEG", "WEBP", "TIFF") as image:
        kind = {"WEBP": "webp", "TIFF": "tiff"}.get(str(image.format), "jpeg")
        if kind == "webp" and getattr(image, "n_frames", 1) > 1:
            raise FileError(chunks.SEVERAL)
        profile = image.info.get("icc_profile")
        found = tags.from_blobs(profile, image.info.get("exif"), image.info.get("xmp"))
        density = image.info.get("jfif_density")
        if density and image.info.get("jfif_unit") in (1, 2) and tags.ACROSS not in found:
            found |= tags.resolution(density[0], density[1], image.info["jfif_unit"] + 1)
        texts, options = _details(kind, image, path)
        if image.mode == "CMYK":
            pixels, profile = _without_inks(image, path)
            found, options = found | tags.blob(profile, tags.ICC), {}
        else:
            pixels = np.array(image)
        return Picture.from_pixels(pixels, alpha=image.mode == "RGBA", tags=found, chunks=texts,
                                   options=options, format=kind)  # fmt: skip


def _details(kind: str, image: Any, path: Path) -> tuple[Any, dict[str, Any]]:
    """Return comments and captions, and the options of Pillow for writing an image as it was."""
    if kind == "webp":
        lossless = b"VP8L" in path.read_bytes()  # the name of a chunk
        return (), _DEFAULTS["webp"] if lossless else {"quality": 95}
    if kind == "tiff":
        return (), {}
    from PIL.JpegImagePlugin import get_sampling

    captions = [body for name, body in image.applist if name == _CAPTION]
    texts = {
        "comment": image.info.get("comment"),
        "extra": b"".join(struct.pack(">BBH", 255, 237, len(body) + 2) + body for body in captions),
    }
    return tuple((name, body) for name, body in texts.items() if body), {
        "qtables": image.quantization,
        "subsampling": max(0, get_sampling(image)),  # -1 is unknown, 0 is 4:4:4
        "progressive": "progressive" in image.info,
    }


def _without_inks(image: Any, path: Path) -> tuple[Image, bytes]:
    """Return an image of inks as RGB, and the profile sRGB."""
    from PIL import ImageCms

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    profile = image.info.get("icc_profile")
    if profile:
        colors = ImageCms.profileToProfile(image, BytesIO(profile), srgb, outputMode="RGB")
    else:
        warnings.warn(f"{path}: CMYK without a profile; its colors are approximate", stacklevel=2)
        colors = image.convert("RGB")
    return np.asarray(colors), srgb.tobytes()


def encode(kind: str, picture: Picture) -> bytes:
    """Return the bytes of a JPEG or WebP file."""
    from PIL import Image as Pillow

    pixels, file = picture.values if kind == "jpeg" else picture.pixels, BytesIO()
    if pixels.ndim == 3 and pixels.shape[2] == 2:
        pixels = pixels[..., [0, 0, 0, 1]]  # WebP stores no gray with alpha
    same = picture.format == kind
    options = (picture.options if same else {}) or _DEFAULTS[kind]
    texts = {name: body for name, body in picture.chunks if same}
    blobs = _blobs(picture.tags, _LONGEST if kind == "jpeg" else None)
    Pillow.fromarray(np.ascontiguousarray(pixels)).save(file, kind, **options, **texts, **blobs)
    return file.getvalue()


def _blobs(found: tags.Tags, longest: int | None) -> dict[str, Any]:
    """Return metadata as Pillow takes them, without those that are too long."""
    exif, xmp = tags.to_exif(found), tags.bytes_of(found, tags.XMP)
    if longest and len(exif) > longest:
        exif = tags.to_exif({code: tag for code, tag in found.items() if code != tags.EXIF})
    xmp = None if longest and xmp and len(xmp) > longest else xmp
    exif = b"Exif\0\0" + exif if exif else b""
    meter = tags.per_meter(found)
    dpi = meter and tuple(min(65535, round(value * 0.0254)) for value in meter)
    blobs = {"icc_profile": tags.bytes_of(found, tags.ICC), "exif": exif, "xmp": xmp, "dpi": dpi}
    return {name: blob for name, blob in blobs.items() if blob}
