"""The formats of pictures, and what survives in each of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastrestore._io.files import extension

_INTEGERS = ("uint8", "uint16", "uint32", "int8", "int16", "int32")
_FLOATS = ("float16", "float32", "float64")


@dataclass(frozen=True)
class Format:
    """A format: what it stores. A format without types is only read."""

    name: str
    library: str  # OpenImageIO's name of the format, or of another library
    extensions: tuple[str, ...]
    types: tuple[str, ...] = ()  # NumPy's names of the types that are written
    keeps: frozenset[str] = frozenset()  # of PROPERTIES
    many: bool = False  # whether it stores other numbers of channels than 1 and 3


PROPERTIES = (
    "ICC", "EXIF", "orientation", "resolution", "alpha", "text", "GeoTIFF", "axes", "voxel size",
    "pages",
)  # fmt: skip
_TAGS = frozenset({"ICC", "EXIF", "orientation", "resolution"})
_RAW = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw")
_ALPHA, _ALL = frozenset({"alpha"}), _TAGS | {"alpha", "text"}
_OPEN_EXR = ("float16", "float32", "uint32")
_JXL = ("uint8", "uint16", "float16", "float32")
_NUMPY = (*_INTEGERS, "int64", "uint64", *_FLOATS)
FORMATS = (
    Format("PNG", "png", (".png",), ("uint8", "uint16"), _ALL),
    Format("TIFF", "tiff", (".tif", ".tiff"), _NUMPY, _ALL | {"GeoTIFF"}, many=True),
    Format("JPEG", "jpeg", (".jpg", ".jpeg"), ("uint8",), _TAGS | {"text"}),
    Format("WebP", "webp", (".webp",), ("uint8",), _ALL),
    Format("JPEG XL", "jpegxl", (".jxl",), _JXL, _ALL - {"orientation"}),
    Format("OpenEXR", "openexr", (".exr",), _OPEN_EXR, _ALPHA, many=True),
    Format("BMP", "bmp", (".bmp",), ("uint8",), _ALPHA | {"resolution"}),
    Format("PNM", "pnm", (".ppm", ".pgm", ".pnm"), ("uint8", "uint16")),
    Format("PFM", "pnm", (".pfm",), ("float32",)),
    Format("NPY", "numpy", (".npy",), _NUMPY, many=True),
    Format("JPEG 2000", "jpeg2000", (".jp2", ".j2k"), keeps=_ALPHA),
    Format("Photoshop", "psd", (".psd", ".psb"), keeps=frozenset({"ICC"})),
    Format("Radiance HDR", "hdr", (".hdr",), keeps=frozenset({"orientation"})),
    Format("DPX", "dpx", (".dpx",)),
    Format("Camera raw", "rawpy", _RAW, keeps=frozenset({"EXIF"})),
)
_STACK = frozenset({"axes", "voxel size", "pages"})
_TIFF_TYPES = (*_INTEGERS, *_FLOATS)
# Read and written by `volumes.py`, whose extensions are in part those of pictures
STACKS = (
    Format(
        "TIFF, pages",
        "tifffile",
        (".tif", ".tiff"),
        _TIFF_TYPES,
        frozenset({"ICC", "orientation", "resolution", "alpha", "text", "GeoTIFF", "pages"}),
    ),
    Format(
        "ImageJ TIFF",
        "tifffile",
        (".tif", ".tiff"),
        ("uint8", "uint16", "float32"),
        _STACK | {"ICC", "resolution", "text"},
    ),
    Format(
        "OME-TIFF",
        "tifffile",
        (".ome.tif",),
        _TIFF_TYPES,
        _STACK | {"ICC", "alpha", "text"},
    ),
    Format("NIfTI", "nibabel", (".nii", ".nii.gz"), _TIFF_TYPES, _STACK | {"text"}),
    Format("NPY, volume", "numpy", (".npy",), _NUMPY, frozenset({"pages"})),
)
BY_EXTENSION = {name: form for form in FORMATS for name in form.extensions}
BY_LIBRARY = {form.library: form for form in reversed(FORMATS)}


def format_of(path: Path) -> Format:
    """Return the format that the extension of a file stands for."""
    return BY_EXTENSION[extension(path)]
