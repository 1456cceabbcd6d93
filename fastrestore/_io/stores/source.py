"""An array in a file, of which parts are read when they are needed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastrestore._io.errors import FileError
from fastrestore._io.picture import Image

Shape = tuple[int, ...]
_KEPT = 8  # files that a process keeps open


class Place(NamedTuple):
    """Where an array is; it can be sent to other processes, which open the file themselves."""

    kind: str  # "zarr", "hdf5" or "tiff"
    path: str
    name: str = ""  # of the array in the file


class Values:
    """Values of an array in a file: `values[slices]` reads a part of it."""

    def __init__(self, place: Place, shape: Shape, dtype: np.dtype[Any]) -> None:
        self.place, self.shape, self.dtype = place, shape, dtype
        self.ndim = len(shape)

    def __getitem__(self, part: Any) -> Image:
        """Read a part, in the byte order of this computer."""
        try:
            values = np.asarray(opened(self.place)[part])
        except Exception as error:  # damaged files make decoders raise many types
            where = describe(part, self.shape)
            text = str(error) or type(error).__name__
            raise FileError(f"cannot read {self.place.path}, {where}: {text}") from error
        return values.astype(values.dtype.newbyteorder("="), copy=False)


@dataclass(frozen=True, eq=False)
class Source:
    """An array in a file, and how it is stored."""

    place: Place
    root: Path  # the file or the directory that was named
    shape: Shape
    dtype: np.dtype[Any]
    storage: Shape  # the smallest parts that are stored together
    axes: str = ""  # a letter for each axis; empty if the file does not name them
    alpha: bool = False  # whether the last sample of a pixel is alpha
    levels: tuple[str, ...] = ()  # names of reduced images, in a Zarr store
    reduced: tuple[Shape, ...] = ()  # shapes of reduced images

    @property
    def values(self) -> Values:
        """The values, which are read when they are needed."""
        return Values(self.place, self.shape, self.dtype)

    @property
    def nbytes(self) -> int:
        """Size of all values in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def openers() -> dict[str, Callable[[Place], Any]]:
    """Return what opens each kind of file."""
    from fastrestore._io.stores import hdf5, tiffs, zarrs

    return {"zarr": zarrs.open_array, "hdf5": hdf5.open_dataset, "tiff": tiffs.open_series}


def opened(place: Place) -> Any:
    """Return an open array; it stays open as long as its file does not change."""
    return _opened(place, _state(place), os.getpid())  # files must not be shared after a fork


def _state(place: Place) -> tuple[int, ...]:
    """Return what differs if a file, or the metadata of a store, is replaced."""
    found = [Path(place.path)]
    if place.kind == "zarr":
        found = [Path(place.path) / place.name / name for name in ("zarr.json", ".zarray")]
    states = [path.stat() for path in found if path.exists()]
    return tuple(number for each in states for number in (each.st_ino, each.st_mtime_ns))


@lru_cache(_KEPT)
def _opened(place: Place, _state: tuple[int, ...], _process: int) -> Any:
    return openers()[place.kind](place)


def describe(part: Any, shape: Shape) -> str:
    """Describe a part of an array for messages."""
    slices = part if isinstance(part, tuple) else (part,)
    if Ellipsis in slices:
        return "its values"
    words = []
    for each, size in zip(slices, shape, strict=False):
        first, last, _ = each.indices(size) if isinstance(each, slice) else (each, each + 1, 1)
        words.append(f"{first}:{last}")
    return f"part [{', '.join(words)}]"


def check_type(path: Path, dtype: np.dtype[Any], shape: Shape) -> None:
    """Raise for arrays that are no images."""
    if dtype.kind not in "iuf":
        raise FileError(f"cannot read {path}: its type is {dtype}; integers and floats are "
                        "supported")  # fmt: skip
    if len(shape) < 2 or 0 in shape:
        raise FileError(f"cannot read {path}: its shape is {shape}; images have two axes or more, "
                        "and pixels")  # fmt: skip


def state_of(root: Path) -> str:
    """Return a hash value of names, sizes and times of the files, which change with the content."""
    value = hashlib.sha256()
    for name, state in _states(root):
        value.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return value.hexdigest()


def _states(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files of a store, sorted, with their states."""
    if root.is_file():
        yield "", root.stat()
        return
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            yield path.relative_to(root).as_posix(), path.stat()
