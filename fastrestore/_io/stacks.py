"""TIFF files of several pages: volumes, with the metadata of ImageJ and OME."""

from __future__ import annotations

import contextlib
import logging
import warnings
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from fastrestore._arrays.install import extra
from fastrestore._io import ome
from fastrestore._io.errors import FileError
from fastrestore._io.picture import Image
from fastrestore._io.tiff import (
    DESCRIPTIVE,
    ORIENTATION,
    XMP,
    check_chain,
    check_page,
    check_tags,
    check_whole,
)

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

_DESCRIPTION = 270
_IMAGEJ = 50839  # labels, ranges, regions of interest and more
_ACROSS, _DOWN, _UNIT = 282, 283, 296
_COLORMAP, _ICC = 320, 34675
_UNCOMPRESSED = 1
_LOSSLESS = ("lzw", "adobe_deflate", "deflate", "packbits", "lzma", "zstd")  # which are kept
_ALPHA = (1, 2)  # kinds of extra samples: alpha, by which colors are multiplied or not
# GeoTIFF: scale, tie points, transformation, keys, their numbers and text; GDAL: metadata, no data
_GEO = (33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113)


@dataclass(frozen=True, eq=False)
class Stack:
    """The pages of a TIFF file and its metadata."""

    values: Image  # axes as stored
    axes: str  # a letter for each axis: S for samples of a pixel, C channels, T, Z, Y, X and others
    tags: dict[int, bytes] = field(default_factory=dict)  # raw values of descriptive tags
    orientation: int | None = None
    imagej: dict[str, Any] | None = None  # ImageJ's metadata beside the description
    options: dict[str, Any] = field(
        default_factory=dict
    )  # of tifffile: resolution, colors, storage
    places: list[Any] = field(default_factory=list)  # tags of GeoTIFF, as tifffile expects them
    extra: tuple[int, ...] = ()  # kinds of the samples beside gray or RGB

    @property
    def has_alpha(self) -> bool:
        """Whether the last sample is alpha."""
        return "S" in self.axes and bool(self.extra) and self.extra[-1] in _ALPHA


def read_stack(file: IO[bytes]) -> Stack:
    """Read a TIFF of several pages, or of one page with data of several."""
    import tifffile

    # tifffile logs irregularities; those that matter here are raised.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    with tifffile.TiffFile(file) as tiff:
        stack, series = describe(tiff, file)
        if len(series.levels) > 1:
            name = Path(tiff.filehandle.name).name
            warnings.warn(f"{name} has {len(series.levels)} resolutions; the result has the full "
                          "one only", stacklevel=2)  # fmt: skip
        return replace(stack, values=_values(tiff, series))


def describe(tiff: TiffFile, file: IO[bytes]) -> tuple[Stack, Any]:
    """Check a TIFF, and return its metadata with a stand-in for the values, and its series."""
    page = tiff.pages.first
    tags = _raw_tags(page, file)
    ome.check_one_file(tags.get(_DESCRIPTION, b""))
    check_tags(tiff)
    check_chain(tiff)
    series = _series(tiff)
    orientation = page.tags.valueof(ORIENTATION)
    nothing = np.broadcast_to(np.zeros((), series.dtype), series.shape)  # takes no memory
    return (
        Stack(
            nothing,
            series.axes,
            tags,
            orientation if isinstance(orientation, int) else None,
            page.tags.valueof(_IMAGEJ),
            _resolution(page) | _colormap(page) | _profile(page) | _storage(page),
            _geo_tags(page),
            tuple(int(kind) for kind in page.extrasamples),
        ),
        series,
    )


def _series(tiff: TiffFile) -> Any:
    """Return the only series of a TIFF; raise if it is no stack, or if parts are missing."""
    if len(tiff.series) != 1:
        raise FileError("its pages differ in size or type; pages of one kind are supported")
    series, page, size = tiff.series[0], tiff.pages.first, tiff.filehandle.size
    if not _has_table(page):
        check_page(page)
    for item in tiff.pages:
        check_whole(item, size)
    if series.dataoffset is not None and series.dataoffset + series.nbytes > size:
        raise FileError("it is truncated")
    if series.kind == "ome" and any(item is None for item in series):
        raise FileError("its OME-XML lists planes that it does not have")
    _check_axes(series.shape, series.axes)
    return series


def _values(tiff: TiffFile, series: Any) -> Image:
    """Return the values of a series."""
    page = tiff.pages.first
    try:
        values: Image = series.asarray()
    except (ImportError, ValueError) as error:
        if "imagecodecs" not in str(error):
            raise
        kind = getattr(page.compression, "name", page.compression)
        raise FileError(f"its compression {kind} needs imagecodecs; install it with {extra('io')}"
                        ) from error  # fmt: skip
    if getattr(page.photometric, "name", "") == "MINISWHITE":
        values = np.invert(values)
    return values


def _check_axes(shape: tuple[int, ...], axes: str) -> None:
    """Raise if the axes are not those of images."""
    if not axes.removesuffix("S").endswith("YX") and not axes.endswith("SYX"):
        raise FileError(f"its shape is {shape}, its axes are {axes}; stacks of images are "
                        "supported, whose last axes are Y and X")  # fmt: skip


def check_one(stack: Stack) -> None:
    """Raise if the axes are not those of one stack of pages, maybe with channels."""
    rest = stack.axes.replace("C", "").replace("S", "")
    if rest == "YX":
        raise FileError("it has one page; a volume has several")
    if len(stack.axes) > 4 or len(rest) != 3:
        raise FileError(
            f"its shape is {stack.values.shape}, its axes are {stack.axes}; one stack of pages is "
            "supported, gray or with channels"
        )


def stored_axes(path: Path) -> str:
    """Return the axes of a TIFF of several pages, from its headers; "" for all other files."""
    import tifffile

    if path.suffix.lower() not in (".tif", ".tiff") or not path.is_file():
        return ""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    try:
        with path.open("rb") as file, tifffile.TiffFile(file) as tiff:
            if tiff.is_ome:  # whose series may be in other files
                ome.check_one_file(_raw_tags(tiff.pages.first, file)[_DESCRIPTION])
            series = tiff.series[0]
            several = len(tiff.pages) > 1 or series.size > tiff.pages.first.size
            axes: str = series.axes if several else ""
            return axes
    except Exception:  # damaged files make tifffile raise many types; reading them says why
        return ""


def channel_axis(axes: str) -> int | None:
    """Return the axis that holds channels or samples, or None."""
    return next((k for k, name in enumerate(axes) if name in "CS"), None)


def _raw_tags(page: TiffPage, file: IO[bytes]) -> dict[int, bytes]:
    """Read descriptive tags as bytes: their encoding is not recorded."""
    found = {}
    for code in (*DESCRIPTIVE, XMP):
        tag = page.tags.get(code)
        if code == ORIENTATION or tag is None or tag.dtype not in (1, 2, 7):  # byte, text, any
            continue
        file.seek(tag.valueoffset)
        found[code] = file.read(tag.valuebytecount)
    return found


def _resolution(page: TiffPage) -> dict[str, Any]:
    """Return the options of tifffile for the resolution, which is the size of a voxel."""
    across, down = page.tags.valueof(_ACROSS), page.tags.valueof(_DOWN)
    pairs = [value for value in (across, down) if isinstance(value, tuple) and len(value) == 2]
    if len(pairs) < 2 or not all(number > 0 for pair in pairs for number in pair):
        return {}
    unit = page.tags.valueof(_UNIT)
    return {"resolution": (across, down), "resolutionunit": int(unit) if unit in (1, 2, 3) else 1}


def _has_table(page: TiffPage) -> bool:
    """Whether the values are intensities with a color table, which only ImageJ writes."""
    table = page.tags.valueof(_COLORMAP)
    description = page.tags.valueof(_DESCRIPTION)
    return (
        getattr(page.photometric, "name", "") == "PALETTE"
        and table is not None
        and isinstance(description, str)
        and description.startswith("ImageJ=")
    )


def _colormap(page: TiffPage) -> dict[str, Any]:
    """Return the options of tifffile for a color table."""
    if not _has_table(page):
        return {}
    table = np.asarray(page.tags.valueof(_COLORMAP), np.uint16).reshape(3, -1)
    return {"photometric": "palette", "colormap": table}


def _profile(page: TiffPage) -> dict[str, Any]:
    """Return the options of tifffile for a color profile."""
    profile = page.tags.valueof(_ICC)
    return {} if profile is None else {"iccprofile": bytes(profile)}


def _storage(page: TiffPage) -> dict[str, Any]:
    """Return the options of tifffile for tiles, and for compression without loss."""
    found: dict[str, Any] = {"tile": (page.tilelength, page.tilewidth)} if page.is_tiled else {}
    if page.compression != _UNCOMPRESSED:
        name = str(getattr(page.compression, "name", "")).lower()
        found |= {"compression": name if name in _LOSSLESS else "zlib"}
        found |= {"predictor": True} if page.predictor > 1 else {}
    return found


def _geo_tags(page: TiffPage) -> list[Any]:
    """Return the tags of GeoTIFF."""
    found = [tag for code in _GEO if (tag := page.tags.get(code)) is not None]
    return [(tag.code, int(tag.dtype), tag.count, tag.value, True) for tag in found]


def encode_stack(stack: Stack) -> bytes:
    """Return the contents of a TIFF file, tiled and compressed as the input."""
    import tifffile

    file = BytesIO()
    with tifffile.TiffWriter(file, byteorder="<") as tiff:
        tiff.write(np.ascontiguousarray(stack.values), **write_options(stack))
    return file.getvalue()


def write_options(stack: Stack) -> dict[str, Any]:
    """Return the options of tifffile that write the metadata of a stack."""
    tags = {"metadata": None, "software": False, "extratags": _extra_tags(stack)}
    return tags | _page_options(stack) | stack.options


def _page_options(stack: Stack) -> dict[str, Any]:
    """Return the options of tifffile for the layout of a page."""
    if "S" not in stack.axes:
        return {"photometric": "minisblack"}
    samples = stack.values.shape[stack.axes.index("S")]
    colors = 3 if samples >= 3 else 1
    return {
        "photometric": "rgb" if colors == 3 else "minisblack",
        "planarconfig": "contig" if stack.axes.endswith("S") else "separate",
        "extrasamples": _extra_samples(stack, samples - colors),
    }


def _extra_samples(stack: Stack, count: int) -> list[int]:
    """Return the kinds of the samples beside gray or RGB; 0 is unspecified."""
    return list(stack.extra) if len(stack.extra) == count else [0] * count


def _extra_tags(stack: Stack) -> list[Any]:
    """Return tags in the form tifffile expects."""
    page = 1
    for name, size in zip(stack.axes, stack.values.shape, strict=True):
        page *= size if name in "SYX" else 1
    tags: list[Any] = []
    for code, raw in stack.tags.items():
        text = ome.for_pages(raw, stack.values.size // page) if code == _DESCRIPTION else raw
        kind = "B" if code == XMP else "s"
        tags.append((code, kind, len(text) if code == XMP else 0, text, True))
    if stack.orientation is not None:
        tags.append((ORIENTATION, "H", 1, stack.orientation, True))
    return [*tags, *stack.places, *_imagej_tags(stack)]


def _imagej_tags(stack: Stack) -> list[Any]:
    """Return the tags of ImageJ beside the description, or none if they are damaged."""
    import tifffile

    if isinstance(stack.imagej, dict):
        with contextlib.suppress(Exception):  # tifffile raises many types
            return list(tifffile.tifffile.imagej_metadata_tag(stack.imagej, "<"))
    return []
