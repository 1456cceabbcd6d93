"""TIFF files of several pages: volumes, with the metadata of ImageJ and OME."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, field
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

import numpy as np

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


@dataclass(frozen=True, eq=False)
class Stack:
    """The pages of a TIFF file and its metadata."""

    values: Image  # axes as stored
    axes: str  # a letter for each axis: S for samples of a pixel, C for channels, and Z, Y, X
    tags: dict[int, bytes] = field(default_factory=dict)  # raw values of descriptive tags
    orientation: int | None = None
    imagej: dict[str, Any] | None = None  # ImageJ's metadata beside the description
    options: dict[str, Any] = field(default_factory=dict)  # resolution, for tifffile


def read_stack(file: IO[bytes]) -> Stack:
    """Read a TIFF of several pages, or of one page with data of several."""
    import tifffile

    # tifffile logs irregularities; those that matter here are raised.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        tags = _raw_tags(page, file)
        ome.check_one_file(tags.get(_DESCRIPTION, b""))
        check_tags(tiff)
        check_chain(tiff)
        values, axes = _values(tiff)
        orientation = page.tags.valueof(ORIENTATION)
        return Stack(
            values,
            axes,
            tags,
            orientation if isinstance(orientation, int) else None,
            page.tags.valueof(_IMAGEJ),
            _resolution(page),
        )


def _values(tiff: TiffFile) -> tuple[Image, str]:
    """Return the stack and the names of its axes."""
    if len(tiff.series) != 1:
        raise FileError("its pages differ in size or type; pages of one kind are supported")
    series, page, size = tiff.series[0], tiff.pages.first, tiff.filehandle.size
    check_page(page)
    for item in tiff.pages:
        check_whole(item, size)
    if series.dataoffset is not None and series.dataoffset + series.nbytes > size:
        raise FileError("it is truncated")
    if series.kind == "ome" and any(item is None for item in series):
        raise FileError("its OME-XML lists planes that it does not have")
    _check_axes(series.shape, series.axes)
    values = series.asarray()
    if getattr(page.photometric, "name", "") == "MINISWHITE":
        values = np.invert(values)
    return values, series.axes


def _check_axes(shape: tuple[int, ...], axes: str) -> None:
    """Raise if the axes are not those of one stack of pages, maybe with channels."""
    rest = axes.replace("C", "").replace("S", "")
    if rest == "YX":
        raise FileError("it has one page; a volume has several")
    if len(rest) != 3 or not rest.endswith("YX") or len(axes) > 4:
        raise FileError(
            f"its shape is {shape}, its axes are {axes}; one stack of pages is supported, gray or "
            "with channels"
        )


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


def encode_stack(stack: Stack) -> bytes:
    """Return the contents of a TIFF file, uncompressed."""
    import tifffile

    file = BytesIO()
    tifffile.imwrite(
        file, np.ascontiguousarray(stack.values), metadata=None, software=False, byteorder="<",
        extratags=_extra_tags(stack), **_page_options(stack), **stack.options,
    )  # fmt: skip
    return file.getvalue()


def _page_options(stack: Stack) -> dict[str, Any]:
    """Return the options of tifffile for the layout of a page."""
    if "S" not in stack.axes:
        return {"photometric": "minisblack"}
    samples = stack.values.shape[stack.axes.index("S")]
    colors = 3 if samples >= 3 else 1
    return {
        "photometric": "rgb" if colors == 3 else "minisblack",
        "planarconfig": "contig" if stack.axes.endswith("S") else "separate",
        "extrasamples": [0] * (samples - colors),
    }


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
    return [*tags, *_imagej_tags(stack)]


def _imagej_tags(stack: Stack) -> list[Any]:
    """Return the tags of ImageJ beside the description, or none if they are damaged."""
    import tifffile

    if isinstance(stack.imagej, dict):
        with contextlib.suppress(Exception):  # tifffile raises many types
            return list(tifffile.tifffile.imagej_metadata_tag(stack.imagej, "<"))
    return []
