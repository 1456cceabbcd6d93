"""Results that are written part by part, and continued after a stop.

While `OUT` is written there is a directory `OUT.partial` with a Zarr store and a manifest. The
store becomes `OUT`, or is converted to it, when all parts are complete.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore._io.errors import FileError, reason
from fastrestore._io.files import extension
from fastrestore._io.picture import Image
from fastrestore._io.stores import hdf5, pyramid, tiffs, zarrs
from fastrestore._io.stores.manifest import Manifest, Settings, digest
from fastrestore._io.stores.regions import Shape, region, regions
from fastrestore._io.stores.source import Place, Source

SUFFIX = ".partial"
_MANIFEST = "manifest.jsonl"


class Partial:
    """A result that is being written."""

    def __init__(self, target: Path, source: Source, unit: Shape, settings: Settings) -> None:
        self.target, self.source, self.unit = target, source, unit
        self.folder = target.with_name(target.name + SUFFIX)
        self.settings = {**settings, "shape": list(source.shape), "unit": list(unit)}
        self.notice = ""  # what was found
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise FileError(f"cannot create directory {self.folder}: {reason(error)}") from error
        self.manifest = Manifest(self.folder / _MANIFEST)
        try:
            self._begin()
        except BaseException:
            self.manifest.close()
            raise

    @property
    def store(self) -> Path:
        """The store; those of other settings have other names, so that stray writes do no harm."""
        text = json.dumps(self.settings, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}{zarrs.EXTENSION}"

    @property
    def is_copied(self) -> bool:
        """Whether the result is a copy of a Zarr store with other values."""
        return self.source.place.kind == "zarr" and extension(self.target) == zarrs.EXTENSION

    @property
    def place(self) -> Place:
        """The array that parts are written to."""
        return Place("zarr", str(self.store), self.source.place.name if self.is_copied else "")

    def _begin(self) -> None:
        """Continue a result of the same settings, or begin a new one."""
        before = self.manifest.settings
        if before == self.settings and self.store.is_dir():
            return
        if before and before != self.settings:
            self.notice = f"{self.folder} was begun {_difference(before, self.settings)}; all " \
                          "parts are restored anew"  # fmt: skip
        for path in self.folder.iterdir():
            if path.name != _MANIFEST:
                shutil.rmtree(path)
        self.manifest.begin({})  # until the store is complete
        try:
            self._create()
        except FileError:
            raise
        except Exception as error:
            raise FileError(f"cannot write {self.folder}: {reason(error)}") from error
        self.manifest.begin(self.settings)

    def _create(self) -> None:
        """Create the store without values."""
        if self.is_copied:
            zarrs.copy_without_chunks(self.source, self.store)
        else:
            zarrs.create(self.store, self.source, self.unit)

    def recorded(self) -> list[Shape]:
        """Return the corners of the parts that the manifest lists; they are not verified."""
        return [each for each in self.corners() if each in self.manifest.parts]

    def corners(self) -> list[Shape]:
        """Return the corners of all parts."""
        return [tuple(each.start for each in part)
                for part in regions(self.source.shape, self.unit)]  # fmt: skip

    def close(self) -> None:
        """Give up the lock; remove the directory if no part is complete."""
        empty = not self.manifest.parts and not self.manifest.is_closed
        self.manifest.close()
        if empty:
            shutil.rmtree(self.folder, ignore_errors=True)

    def finish(self) -> None:
        """Give a complete result its name and format, and remove the directory."""
        result = zarrs.open_array(self.place, "r+")
        kind = extension(self.target)
        try:
            if kind == zarrs.EXTENSION:
                self._fill_levels(result)
                self._rename()
            elif kind in hdf5.EXTENSIONS:
                hdf5.write(self.target, self.source, result, self.unit)
            else:
                tiffs.write(self.target, self.source, result, self._reduced(result))
        except OSError as error:
            raise FileError(f"cannot write {self.target}: {reason(error)}") from error
        self.manifest.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _fill_levels(self, result: Any) -> None:
        """Compute the reduced images of OME-Zarr."""
        for name in self.source.levels if self.is_copied else ():
            level = zarrs.open_array(Place("zarr", str(self.store), name), "r+")
            pyramid.reduce(self.source.root, result, level, level.shards or level.chunks)
            result = level

    def _reduced(self, result: Any) -> list[Any]:
        """Compute the reduced images of a TIFF in the store's directory."""
        levels = []
        for number, shape in enumerate(self.source.reduced):
            part = tuple(min(*pair) for pair in zip(self.unit, shape, strict=True))
            path = self.folder / f"level-{number}{zarrs.EXTENSION}"
            level = zarrs.need_zarr().create_array(
                path, shape=shape, dtype=result.dtype, chunks=part, overwrite=True
            )
            pyramid.reduce(self.source.root, result, level, part)
            levels.append(level)
            result = level
        return levels

    def _rename(self) -> None:
        """Move the store to the target; one that is there is removed afterwards."""
        if self.target.exists():
            self.target.rename(self.folder / "replaced")
        self.store.rename(self.target)


def write_part(values: Image, place: Place, corner: Shape, unit: Shape) -> str:
    """Write a part, read it again, and return its checksum."""
    array = zarrs.open_array(place, "r+")
    part = region(corner, array.shape, unit)
    try:
        array[part] = values
        return digest(np.asarray(array[part]))
    except Exception as error:
        raise FileError(f"cannot write {place.path}: {reason(error)}") from error


def checksum(place: Place, corner: Shape, unit: Shape) -> str:
    """Return the checksum of a part that was written, or nothing if it cannot be read."""
    try:
        array = zarrs.open_array(place)
        return digest(np.asarray(array[region(corner, array.shape, unit)]))
    except Exception:  # a damaged part makes decoders raise many types; it is written again
        return ""


def _difference(before: Settings, now: Settings) -> str:
    """Describe the first setting that is not the same."""
    for name in now:
        if before.get(name) != now[name]:
            old, new = before.get(name), now[name]
            short = all(len(str(each)) < 40 for each in (old, new))
            return f"with {name} {old}, now {new}" if short else f"with another {name}"
    return "with other settings"
