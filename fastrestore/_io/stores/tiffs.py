"""TIFF and BigTIFF files of any size, read and written by tiles or pages."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from fastrestore._arrays.replacement import Replacement
from fastrestore._io.errors import FileError, reason, unreadable
from fastrestore._io.picture import Image
from fastrestore._io.stacks import Stack, describe, write_options
from fastrestore._io.stores.source import Place, Shape, Source, check_type
from fastrestore._io.stores.zarrs import need_zarr

EXTENSIONS = (".tif", ".tiff")
_PAGE = 2**28  # bytes of a page; larger ones are written in tiles
_TILE = 512  # rows and columns of these tiles
_BAND = 1024  # rows that are read at a time
_CLASSIC = 2**32 - 2**25  # bytes of values in a TIFF that is no BigTIFF, as in tifffile


def open_series(place: Place) -> Any:
    """Open the values of a TIFF as an array of zarr; its file is closed with it."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    file = tifffile.TiffFile(place.path)
    array = need_zarr().open_array(file.series[0].aszarr(level=0), mode="r")
    weakref.finalize(array, file.close)
    return array


def read_source(path: Path) -> Source:
    """Check a TIFF of pages of one kind, and describe its values."""
    need_zarr()
    try:
        with path.open("rb") as file:
            stack, levels, black = _described(file)
    except FileError as error:
        raise FileError(f"cannot read {path}: {error}") from error
    except Exception as error:
        raise unreadable(path, error) from error
    if not black:
        raise FileError(f"cannot read {path}: its white is 0 (MINISWHITE), which is restored only "
                        "without --chunks, --memory and --scheduler")  # fmt: skip
    shape, dtype = stack.values.shape, stack.values.dtype
    check_type(path, dtype, shape)
    return Source(
        Place("tiff", str(path)), path, shape, dtype.newbyteorder("="), tuple(1 for _ in shape),
        stack.axes, stack.has_alpha, reduced=levels,
    )  # fmt: skip


def _described(file: IO[bytes]) -> tuple[Stack, tuple[Shape, ...], bool]:
    """Return the metadata of a TIFF, the shapes of reduced images, and whether 0 is black."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    with tifffile.TiffFile(file) as tiff:
        stack, series = describe(tiff, file)
        levels = tuple(tuple(level.shape) for level in series.levels[1:])
        return stack, levels, getattr(tiff.pages.first.photometric, "name", "") != "MINISWHITE"


def write(target: Path, source: Source, values: Any, reduced: list[Any]) -> None:
    """Write a TIFF with the metadata and the compression of its source, complete or not at all.

    `reduced` are reduced images, which follow the pages that they belong to.
    """
    new = Replacement(target)
    try:
        with source.root.open("rb") as file:
            stack, _, _ = _described(file)
        _encode(new.temporary, stack, values, reduced)
        new.commit()
    except Exception as error:
        raise FileError(f"cannot write {target}: {reason(error)}") from error
    finally:
        new.discard()


def _encode(path: Path, stack: Stack, values: Any, reduced: list[Any]) -> None:
    """Write the pages, and below each of them its reduced images."""
    import tifffile

    options = write_options(stack)
    first = len(stack.axes) - (3 if "S" in stack.axes else 2)  # axes before those of a page
    page = values.shape[first:]
    if "tile" not in options and np.prod(page) * values.dtype.itemsize > _PAGE:
        options["tile"] = (_TILE, _TILE)
    size = np.prod(values.shape, dtype=np.int64) * values.dtype.itemsize
    with tifffile.TiffWriter(path, byteorder="<", bigtiff=bool(size > _CLASSIC)) as tiff:
        if not reduced:
            _write(tiff, values, first, stack.axes, options)
            return
        for index in np.ndindex(values.shape[:first]):
            _write(tiff, _Page(values, index), 0, stack.axes[first:], options, len(reduced))
            plain = {name: value for name, value in options.items() if name not in _FIRST}
            for each in reduced:
                level = plain | {"subfiletype": 1, "extratags": []}
                _write(tiff, _Page(each, index), 0, stack.axes[first:], level)
            options = plain | {"extratags": []}


_FIRST = ("resolution", "resolutionunit", "iccprofile")  # options of the first page only


class _Page:
    """A page of an array, of which parts are read."""

    def __init__(self, values: Any, index: tuple[int, ...]) -> None:
        self.values, self.index = values, index
        self.shape, self.dtype = values.shape[len(index) :], values.dtype

    def __getitem__(self, part: Any) -> Image:
        inner = part if isinstance(part, tuple) else (part,)
        return np.asarray(self.values[(*self.index, *inner)])


def _write(
    tiff: Any, values: Any, first: int, axes: str, options: dict[str, Any], reduced: int = 0
) -> None:
    """Write pages that follow each other; `first` is the number of axes before those of a page."""
    page = values.shape[first:]
    count = int(np.prod(values.shape[:first], dtype=np.int64))
    parts = _tiles if "tile" in options else _pages
    tiff.write(
        parts(values, first, axes, options.get("tile")), shape=(count, *page),
        dtype=values.dtype, subifds=reduced or None, **options,
    )  # fmt: skip


def _pages(values: Any, first: int, _axes: str, _tile: Any) -> Iterator[Image]:
    """Yield page by page."""
    for index in np.ndindex(values.shape[:first]):
        yield np.ascontiguousarray(values[(*index, ...)])


def _tiles(values: Any, first: int, axes: str, tile: Any) -> Iterator[Image]:
    """Yield the tiles of all pages, row by row; samples in planes of their own come one by one."""
    planes = first + (len(axes) > first and axes[first] == "S")
    rows, columns = values.shape[planes : planes + 2]
    high = -(-_BAND // tile[0]) * tile[0]
    for index in np.ndindex(values.shape[:planes]):
        for top in range(0, rows, high):
            band = np.asarray(values[(*index, slice(top, top + high))])
            for row in range(0, len(band), tile[0]):
                for column in range(0, columns, tile[1]):
                    yield np.ascontiguousarray(band[row : row + tile[0], column : column + tile[1]])
