"""Recognize files that are restored part by part, and check where results go."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from fastrestore._io.errors import FileError
from fastrestore._io.files import check_link, extension
from fastrestore._io.stores import hdf5, pyramid, tiffs, zarrs
from fastrestore._io.stores.partial import SUFFIX
from fastrestore._io.stores.source import Source

EXTENSIONS = (zarrs.EXTENSION, *hdf5.EXTENSIONS)


def is_store(path: Path) -> bool:
    """Whether a path is a Zarr store, or has the extension of HDF5."""
    return zarrs.is_zarr(path) or extension(path) in hdf5.EXTENSIONS


def is_store_name(path: Path) -> bool:
    """Whether a result of this name is a store."""
    return extension(path) in EXTENSIONS


def read_source(path: Path, dataset: str | None = None) -> Source:
    """Find the array of a file; raise `FileError` if there is not exactly one."""
    if dataset is not None and extension(path) not in hdf5.EXTENSIONS:
        raise FileError(f"--dataset {dataset} is for HDF5; write the path of an array in {path}")
    if not path.exists():
        raise FileError(f"{path}: no such file")
    if zarrs.is_zarr(path):
        source = zarrs.read_source(path)
    elif extension(path) in hdf5.EXTENSIONS:
        source = hdf5.read_source(path, dataset)
    elif extension(path) in tiffs.EXTENSIONS:
        source = tiffs.read_source(path)
    else:
        raise FileError(f"{path} is read as a whole; Zarr, HDF5 and TIFF are restored in parts")
    pyramid.check(path, (source.shape, *source.reduced))
    return source


def is_begun(folder: Path) -> bool:
    """Whether a directory holds the parts of a result that is not complete."""
    return folder.suffix == SUFFIX and is_store_name(Path(folder.stem))


def output_name(path: Path) -> str:
    """Return the name of a result: a Zarr array without the extension gets it."""
    return path.name if is_store_name(path) else f"{path.name}{zarrs.EXTENSION}"


def check_target(target: Path, source: Source | None = None) -> None:
    """Raise if a result cannot be written, or not in the format of the target."""
    kinds = hdf5.EXTENSIONS if extension(target) in hdf5.EXTENSIONS else (extension(target),)
    other = source is not None and extension(source.root) not in kinds
    if source is not None and other and extension(target) != zarrs.EXTENSION:
        raise FileError(f"{target}: the result of {source.root} is written in its own format or "
                        "as .zarr")  # fmt: skip
    check_link(target)
    folder = target.parent
    if not folder.is_dir():
        raise FileError(f"{target}: there is no directory {folder}; create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(f"{target}: the directory {folder} is not writable")
    begun = target.with_name(target.name + SUFFIX)
    if begun.exists() and not (begun.is_dir() and os.access(begun, os.W_OK | os.X_OK)):
        raise FileError(f"{target}: {begun}, where parts are collected, is not writable")
    if target.is_dir() and any(target.iterdir()) and not zarrs.is_zarr(target):
        raise FileError(f"{target} is a directory of other files; choose another output")


def missing_space(target: Path, source: Source) -> str:
    """Return a warning if the disk has less space than the result may take."""
    copies = 1 if extension(target) == zarrs.EXTENSION else 2  # the parts, and the file
    needed, free = copies * source.nbytes, shutil.disk_usage(target.parent).free
    if needed <= free:
        return ""
    return (f"{target}: up to {size_text(needed)} are written, and {size_text(free)} of the disk "
            "are free; if it is full, make space and start again: complete parts are "
            "kept")  # fmt: skip


def size_text(size: float) -> str:
    """Return a number of bytes in words."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1e3:.0f} kB"
