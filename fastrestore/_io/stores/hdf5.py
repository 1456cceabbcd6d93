"""HDF5 files and NeXus: one dataset is restored, all else stays as it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore._arrays.install import extra
from fastrestore._arrays.replacement import Replacement
from fastrestore._io.errors import FileError, reason, unreadable
from fastrestore._io.stores.source import Place, Shape, Source, check_type

EXTENSIONS = (".h5", ".hdf5", ".nxs", ".nx5")
_PAGE = 2**20  # values of the parts that are read from files without chunks
_SHOWN = 8


def need_h5py() -> Any:
    """Return the package h5py; raise if it is not installed."""
    try:
        import h5py
    except ImportError:
        raise FileError(f"HDF5 needs h5py; install it with {extra('dask')}") from None
    return h5py


def open_dataset(place: Place) -> Any:
    """Open a dataset for reading."""
    return need_h5py().File(place.path, "r")[place.name]


def read_source(path: Path, name: str | None = None) -> Source:
    """Find the dataset `name`; by default the signal of NeXus, or the only image."""
    h5py = need_h5py()
    try:
        with h5py.File(path, "r") as file:
            return _source(path, _chosen(path, file, name))
    except FileError:
        raise
    except Exception as error:
        raise unreadable(path, error) from error


def _source(path: Path, dataset: Any) -> Source:
    """Describe a dataset."""
    check_type(path, dataset.dtype, dataset.shape)
    if dataset.is_virtual or dataset.external:
        raise FileError(f"the values of {dataset.name} in {path} are in other files; restore those")
    storage = dataset.chunks or _pages(dataset.shape)
    dtype = dataset.dtype.newbyteorder("=")
    place = Place("hdf5", str(path), dataset.name)
    return Source(place, path, tuple(dataset.shape), dtype, tuple(storage))


def _pages(shape: Shape) -> Shape:
    """Return the parts to read of a dataset without chunks: rows of one plane."""
    rows = min(shape[-2], max(1, _PAGE // shape[-1]))
    return (*(1 for _ in shape[:-2]), rows, shape[-1])


def _chosen(path: Path, file: Any, name: str | None) -> Any:
    """Return the dataset of a name, of NeXus's default, or the only one."""
    h5py = need_h5py()
    if name is not None:
        found = file.get(name)
        if not isinstance(found, h5py.Dataset):
            raise FileError(f"{path} has no dataset {name!r}{_advice(file)}")
        return found
    signal = _signal(file)
    if signal is not None:
        return signal
    found = list(_images(file))
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} datasets" if found else "no dataset"
    raise FileError(f"{path} contains {what} of two axes or more{_advice(file)}")


def _advice(file: Any) -> str:
    """Return what can be written for --dataset."""
    names = [each.name for each in _images(file)][:_SHOWN]
    return f"; write --dataset with one of {', '.join(names)}" if names else ""


def _signal(file: Any) -> Any:
    """Return the dataset that a NeXus file shows by default, or None."""
    node = file
    for _ in range(_SHOWN):  # entry, then data
        name = node.attrs.get("signal")
        if name is not None and _text(name) in node:
            found = node[_text(name)]
            return found if _is_image(found) else None
        name = node.attrs.get("default")
        if name is None or _text(name) not in node:
            return None
        node = node[_text(name)]
    return None


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _is_image(node: Any) -> bool:
    """Whether a node is a dataset of numbers with two axes or more."""
    if not isinstance(node, need_h5py().Dataset):
        return False
    return len(node.shape or ()) >= 2 and node.dtype.kind in "iuf"


def _images(file: Any) -> Iterator[Any]:
    """Yield the datasets that may be images."""
    found: list[Any] = []
    file.visititems(lambda _name, node: found.append(node) if _is_image(node) else None)
    yield from found


def write(target: Path, source: Source, values: Any, unit: Shape) -> None:
    """Write a copy of the file with other values in its dataset; complete or not at all."""
    from fastrestore._io.stores.regions import regions

    new = Replacement(target)
    try:
        shutil.copyfile(source.root, new.temporary)
        with need_h5py().File(new.temporary, "r+") as file:
            dataset = file[source.place.name]
            for part in regions(source.shape, unit):
                dataset[part] = np.asarray(values[part])
        new.commit()
    except Exception as error:
        raise FileError(f"cannot write {target}: {reason(error)}") from error
    finally:
        new.discard()
