"""The pixels of pictures, read and written by OpenImageIO."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from fastrestore._arrays import resources
from fastrestore._io import chunks, tags
from fastrestore._io.errors import FileError
from fastrestore._io.formats import BY_LIBRARY
from fastrestore._io.picture import Image, Picture, displayed
from fastrestore._io.tags import Tags

LIMIT = "FASTRESTORE_MAX_IMAGE_GB"  # environment variable
_COPIES = 4  # times its size that an image takes: as float32, or in the decoder and as arrays
# OpenImageIO's names of NumPy's types, where they differ
_TYPES = {"float16": "half", "float32": "float", "float64": "double", "int32": "int",
          "uint32": "uint"}  # fmt: skip
_UNASSOCIATED = "oiio:UnassociatedAlpha"
PHOTOMETRIC = "tiff:PhotometricInterpretation"
BLACK = 1  # gray with black at 0
_WHITE_AT_ZERO, _CMYK = 0, "CMYK"
# Lossless compression that is kept, and what replaces the others
_KEPT = {"tiff": ("none", "lzw", "zip", "packbits", "zstd"),
         "openexr": ("none", "rle", "zip", "zips", "piz")}  # fmt: skip
_DEFAULTS: dict[str, dict[str, Any]] = {
    "tiff": {"compression": "none", "tiff:half": 1},  # float16 would become float32
    "openexr": {"compression": "zip"},
    "jpegxl": {"jpegxl:effort": 4},  # of 9: twice as fast as 7, 2 % larger; 3 stores no floats
}
_SHORTEST = 128  # bytes of a JPEG XL that OpenImageIO can read
# Attributes of EXR files that describe how the file was stored
_STORAGE = ("compression", "openexr:", "oiio:", "DateTime", "Software")


def library() -> Any:
    """Return OpenImageIO, without its own limit of the size of images."""
    import OpenImageIO

    OpenImageIO.attribute("limits:imagesize_MB", 0)
    return OpenImageIO


def load(path: Path) -> Picture:
    """Read pixels, alpha and the options for writing the same format; no metadata."""
    with _opened(path) as source:
        spec, kind = source.spec(), source.format_name()
        if kind not in BY_LIBRARY:
            raise FileError(f"its content is of the format {kind}, which is not supported")
        check_memory(spec.image_bytes(True), (spec.height, spec.width))
        if _CMYK in (
            spec.get_string_attribute(f"{kind}:ColorSpace"),
            spec.get_string_attribute("oiio:ColorSpace"),
        ):
            raise CmykError
        pixels = source.read_image(spec.format)
        if pixels is None or source.has_error:
            raise FileError(_line(source.geterror(), path))
        if kind != "psd" and source.seek_subimage(1, 0):  # those of Photoshop are layers
            raise FileError("it has several images; one is supported")
    if kind == "tiff" and _inverted(spec):
        pixels = np.invert(pixels)
    alpha = 0 < spec.alpha_channel == spec.nchannels - 1
    return Picture.from_pixels(
        pixels, alpha=alpha, premultiplied=alpha and not spec.get_int_attribute(_UNASSOCIATED),
        tags=_tags(kind, spec), options=_options(kind, spec), format=kind,
    )  # fmt: skip


class CmykError(FileError):
    """An image of printing inks, whose colors need its profile."""


def check_memory(size: int, shape: tuple[int, ...]) -> None:
    """Raise if the pixels that a header claims exceed a share of the memory, or a limit."""
    text = os.environ.get(LIMIT, "")
    try:
        limit = float(text) * 1e9 if text else resources.memory() / _COPIES
    except ValueError:
        raise FileError(f"{LIMIT}={text!r} is not a number of gigabytes") from None
    if size > limit:
        raise FileError(
            f"its header claims {shape[0]} x {shape[1]} pixels, {size / 1e9:.1f} GB, more than the "
            f"limit of {limit / 1e9:.1f} GB; if that is right, set {LIMIT}={size / 1e9 + 1:.0f}"
        )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file; one whose name is no Unicode text is copied first."""
    oiio = library()
    config = oiio.ImageSpec()
    config.attribute(_UNASSOCIATED, 1)  # colors as stored
    with TemporaryDirectory() as folder:
        try:
            str(path).encode()
        except UnicodeEncodeError:
            path = Path(shutil.copyfile(path, Path(folder, f"image{path.suffix}")))
        source = oiio.ImageInput.open(str(path), config)
        if source is None:
            raise FileError(_line(oiio.geterror(), path))
        try:
            yield source
        finally:
            source.close()


def _line(text: str, path: Path) -> str:
    """Return the first line of an error, without the name of the file."""
    line = next(iter(text.strip().splitlines()), "") or "it is damaged, or of an unknown format"
    return line.replace(f'("{path}")', "").replace(f'"{path}"', "").strip(" :")


def _tags(kind: str, spec: Any) -> Tags:
    """Return color profile and orientation."""
    profile, turned = spec.getattribute("ICCProfile"), spec.get_int_attribute("Orientation", 1)
    if kind == "dpx" and turned != 1:  # whose orientations OpenImageIO mixes up
        raise FileError("its image is turned; upright DPX is supported")
    found = tags.from_blobs(bytes(profile) if profile is not None else None, None, None)
    return found if turned == 1 else found | tags.orientation(turned)


def _inverted(spec: Any) -> bool:
    """Whether white is 0; OpenImageIO inverts 8 bits only."""
    white = spec.get_int_attribute(PHOTOMETRIC, 1) == _WHITE_AT_ZERO
    if white and str(spec.format) not in ("uint8", "uint16", "uint"):
        raise FileError(f"its type is {spec.format} with white at 0; integers are supported")
    return white and str(spec.format) != "uint8"


def _options(kind: str, spec: Any) -> dict[str, Any]:
    """Return the attributes for writing an image as it was stored."""
    found = {}
    compression = spec.get_string_attribute("compression")
    if compression in _KEPT.get(kind, ()):
        found["compression"] = compression
    if kind == "tiff" and spec.nchannels > 1 and spec.get_int_attribute(PHOTOMETRIC) == BLACK:
        found[PHOTOMETRIC] = BLACK
    if kind == "openexr":
        for item in spec.extra_attribs:
            if item.name.isascii() and not item.name.startswith(_STORAGE):
                found[item.name] = (item.type, item.value)
        if spec.nchannels > 1:
            found["channelnames"] = tuple(spec.channelnames)
    return found


def encode(kind: str, extension: str, picture: Picture) -> bytes:
    """Return the bytes of a file without metadata."""
    oiio = library()
    pixels, spec = _prepared(kind, picture, oiio)
    target = oiio.ImageOutput.create(kind)
    with TemporaryDirectory() as folder:
        path = Path(folder, f"image{extension}")
        steps = (
            lambda: target.open(str(path), spec),
            lambda: target.write_image(pixels),
            target.close,
        )
        if not all(step() for step in steps):
            raise FileError(_line(target.geterror() or oiio.geterror(), path))
        if kind == "jpegxl" and path.stat().st_size < _SHORTEST:
            with path.open("ab") as file:
                file.write(struct.pack(">I4s", _SHORTEST + 8, b"free") + bytes(_SHORTEST))
        _check_written(path)
        return path.read_bytes()


def _check_written(path: Path) -> None:
    """Raise if a file is incomplete: OpenImageIO does not notice a full disk."""
    try:
        if path.suffix == ".png":  # libpng would print what is wrong
            list(chunks.png_chunks(path.read_bytes()))
        else:
            load(path)
    except FileError as error:
        raise FileError(
            f"its temporary copy in {path.parent.parent} is incomplete ({error}); is the disk full?"
        ) from error


def _prepared(kind: str, picture: Picture, oiio: Any) -> tuple[Image, Any]:
    """Return pixels in the order and form of a format, and their description."""
    pixels = _stored(kind, picture)
    height, width = pixels.shape[:2]
    count = 1 if pixels.ndim == 2 else pixels.shape[2]
    spec = oiio.ImageSpec(width, height, count, _TYPES.get(pixels.dtype.name, pixels.dtype.name))
    options = _DEFAULTS.get(kind, {}) | (picture.options if picture.format == kind else {})
    names = options.pop("channelnames", ())
    alpha = picture.alpha is not None and _keeps_alpha(kind)
    spec.channelnames = names if len(names) == count else _names(count, alpha=alpha)
    spec.alpha_channel = count - 1 if alpha else -1
    if alpha and not picture.premultiplied and kind != "openexr":
        spec.attribute(_UNASSOCIATED, 1)
    if kind == "jpegxl" and picture.icc:
        profile = np.frombuffer(picture.icc, np.uint8)
        spec.attribute("ICCProfile", f"uint8[{profile.size}]", profile)
    for name, value in options.items():
        if isinstance(value, tuple) and isinstance(value[1], tuple):  # such as a matrix
            spec.attribute(name, *value)
        else:
            spec.attribute(name, value[1] if isinstance(value, tuple) else value)
    return pixels.reshape(height, width, count), spec


def _stored(kind: str, picture: Picture) -> Image:
    """Return the samples that a format stores."""
    pixels = picture.pixels if _keeps_alpha(kind) else picture.values
    if kind == "openexr" and picture.alpha is not None and not picture.premultiplied:
        pixels = np.concatenate([pixels[..., :-1] * pixels[..., -1:], pixels[..., -1:]], -1)
    if _needs_colors(kind, picture):
        pixels = np.dstack([picture.values, picture.values, pixels])
    if kind == "jpegxl":
        # Its encoder stores no orientation
        pixels = displayed(pixels, picture.orientation)
    return np.ascontiguousarray(pixels)


def _needs_colors(kind: str, picture: Picture) -> bool:
    """Whether an image is gray, and the encoder stores no gray with alpha, or with its profile."""
    colors = picture.icc is not None and picture.icc[16:20] != b"GRAY"
    return picture.values.ndim == 2 and (
        (kind in ("bmp", "jpegxl") and picture.alpha is not None) or (kind == "jpegxl" and colors)
    )


def _keeps_alpha(kind: str) -> bool:
    return "alpha" in BY_LIBRARY[kind].keeps


def _names(count: int, *, alpha: bool) -> tuple[str, ...]:
    """Return names of channels; four channels are not RGBA unless they are."""
    colors = count - alpha
    names = {1: ("Y",), 3: ("R", "G", "B")}.get(colors)
    names = names or tuple(f"channel{k}" for k in range(colors))
    return (*names, "A") if alpha else names
