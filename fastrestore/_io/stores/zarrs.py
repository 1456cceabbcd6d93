"""Zarr stores on a file system, of version 2 or 3, with or without the metadata of OME."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore._arrays.install import extra
from fastrestore._io.errors import FileError, unreadable
from fastrestore._io.stores.source import Place, Source, check_type

EXTENSION = ".zarr"
_METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
_AXES = "TCZYXS"
_SHOWN = 8  # names of arrays in a message


def is_zarr(path: Path) -> bool:
    """Whether a directory is a Zarr store, or an array or group in one."""
    return path.is_dir() and any((path / name).is_file() for name in _METADATA[:3])


def need_zarr() -> Any:
    """Return the package zarr; raise if it is not installed."""
    try:
        import zarr
    except ImportError:
        raise FileError(f"Zarr stores need zarr; install it with {extra('dask')}") from None
    return zarr


def open_array(place: Place, mode: str = "r") -> Any:
    """Open an array of a store."""
    path = Path(place.path) / place.name if place.name else Path(place.path)
    return need_zarr().open_array(path, mode=mode)


def read_source(path: Path) -> Source:
    """Find the image of a store: its only array, or the first resolution of OME-Zarr."""
    zarr = need_zarr()
    try:
        node = zarr.open(path, mode="r")
    except Exception as error:
        raise unreadable(path, error) from error
    if isinstance(node, zarr.Array):
        return _source(path, "", node)
    found = _multiscales(path, node)
    if found is None:
        return _only_array(path, node)
    names = tuple(str(each["path"]) for each in found["datasets"])
    for name in names:
        if name not in node:
            raise FileError(f"cannot read {path}: its metadata list the resolution {name!r}, which "
                            "it lacks")  # fmt: skip
    source = _source(path, names[0], node[names[0]], _ome_axes(found))
    return replace(source, levels=names[1:], reduced=tuple(node[each].shape for each in names[1:]))


def _source(path: Path, name: str, array: Any, axes: str = "") -> Source:
    """Describe an array."""
    dtype = np.dtype(array.dtype)
    check_type(path / name if name else path, dtype, array.shape)
    storage = tuple(array.shards or array.chunks)
    axes = axes if len(axes) == array.ndim else _named_axes(array)
    return Source(
        Place("zarr", str(path), name), path, tuple(array.shape), dtype.newbyteorder("="),
        tuple(min(*pair) for pair in zip(storage, array.shape, strict=True)), axes,
    )  # fmt: skip


def _multiscales(path: Path, group: Any) -> dict[str, Any] | None:
    """Return OME's description of the resolutions of the only image; None without one."""
    attributes = dict(group.attrs)
    ome = attributes.get("ome", attributes)
    if "plate" in ome or "well" in ome or "bioformats2raw.layout" in ome:
        inside = ", ".join(sorted(str(path / name) for name, _ in group.groups())[:_SHOWN])
        raise FileError(f"{path} contains several images; write the path of one, such as {inside}")
    found = ome.get("multiscales")
    if not found:
        return None
    if len(found) > 1:
        raise FileError(f"{path} describes {len(found)} images; write the path of an array in it")
    first: dict[str, Any] = found[0]
    if not first.get("datasets"):
        raise FileError(f"cannot read {path}: its multiscales list no datasets")
    return first


def _ome_axes(found: dict[str, Any]) -> str:
    """Return the letters of the axes of OME-Zarr."""
    names = [each["name"] if isinstance(each, dict) else each for each in found.get("axes", ())]
    return _letters(names)


def _named_axes(array: Any) -> str:
    """Return the letters of the names of dimensions, or none if they are others."""
    names = getattr(array.metadata, "dimension_names", None) or ()
    names = names or array.attrs.get("_ARRAY_DIMENSIONS", ())
    axes = _letters(names)
    return axes if len(axes) == array.ndim else ""


def _letters(names: Any) -> str:
    """Return names as letters, or nothing if they are not axes of images."""
    letters = "".join(str(name).upper() for name in names)
    usable = len(letters) == len(names) and set(letters) <= set(_AXES)
    return letters if usable and len(set(letters)) == len(letters) else ""


def _only_array(path: Path, group: Any) -> Source:
    """Return the only array of a group with two axes or more."""
    found = list(_arrays(group))
    if len(found) == 1:
        return _source(path, *found[0])
    if not found:
        raise FileError(f"cannot read {path}: it contains no array of two axes or more")
    names = ", ".join(str(path / name) for name, _ in found[:_SHOWN])
    raise FileError(f"{path} contains {len(found)} arrays; write the path of one of {names}")


def _arrays(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the arrays of a group that may be images, also those of groups in it."""
    for name, array in sorted(group.arrays()):
        if array.ndim >= 2 and np.dtype(array.dtype).kind in "iuf":
            yield before + name, array
    for name, inner in sorted(group.groups()):
        yield from _arrays(inner, f"{before}{name}/")


def copy_without_chunks(source: Source, target: Path) -> None:
    """Copy a store without the values that will be restored, and with all metadata."""
    emptied = {(source.root / name).resolve() for name in (source.place.name, *source.levels)}

    def ignored(folder: str, names: list[str]) -> list[str]:
        inside = Path(folder).resolve()
        if inside not in emptied:
            return []
        return [name for name in names if name not in _METADATA]

    shutil.copytree(source.root, target, ignore=ignored)


def create(target: Path, source: Source, unit: tuple[int, ...]) -> None:
    """Create a store for the result of a file of another format."""
    zarr = need_zarr()
    names = tuple(source.axes.lower()) if source.axes else None
    zarr.create_array(
        target, shape=source.shape, dtype=source.dtype, chunks=unit, dimension_names=names
    )
