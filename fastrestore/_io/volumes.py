"""Files of volumes: TIFF of several pages, NPY and NIfTI.

The axes are those of the file: slices, rows and columns in TIFF, x, y and z in NIfTI, as stored
in NPY; channels, if there are any, come last.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore._io.errors import CliError, reason
from fastrestore._io.images import extension, to_type, write_bytes
from fastrestore._io.picture import Image, Picture
from fastrestore._io.tiff import encode_pages, read_pages

READERS = (".tif", ".tiff", ".npy", ".nii", ".nii.gz")
_NIFTI = (".nii", ".nii.gz")


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume and what its file holds beside it."""

    values: Image  # (D, M, N), or with channels (D, M, N, C), in the units they are meant in
    stored: np.dtype[Any]  # type in the file
    scale: tuple[float, float] | None = None  # slope and intercept: value = slope * stored + inter
    axis: int | None = None  # where the file has its channels
    picture: Picture | None = None  # of TIFF
    nifti: Any = None  # of nibabel

    def restored(self, result: Image, target: Path) -> Volume:
        """Return the volume with other values, as the file `target` stores them."""
        if self.scale is not None:
            if extension(target) == ".npy":  # which has no place for slope and intercept
                return replace(self, values=np.asarray(result, self.values.dtype))
            slope, inter = self.scale
            result = (np.asarray(result, np.float64) - inter) / slope
        return replace(self, values=to_type(result, self.stored))


def read(path: Path, axis: int | None) -> Volume:
    """Read a volume; `axis` is where NPY has its channels."""
    kind = extension(path)
    if axis is not None and kind != ".npy":
        raise CliError(f"--channel-axis is for .npy; {path} says itself what it holds")
    try:
        if kind == ".npy":
            volume = _read_npy(path, axis)
        elif kind in _NIFTI:
            volume = _read_nifti(path)
        else:
            with path.open("rb") as file:
                picture, at = read_pages(file)
            values = picture.values if at is None else np.moveaxis(picture.values, at, -1)
            volume = Volume(values, values.dtype, axis=at, picture=picture)
    except Exception as error:  # on a damaged file the decoders raise nearly anything
        raise CliError(f"cannot read {path}: {reason(error)}") from error
    values = volume.values
    if values.dtype.kind not in "iuf":
        raise CliError(f"cannot read {path}: it holds {values.dtype}, neither integers nor floats")
    if values.size == 0:
        raise CliError(f"cannot read {path}: it has no voxels")
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    return replace(volume, values=native, stored=volume.stored.newbyteorder("="))


def array(name: str) -> Image:
    """Read a spectrum."""
    try:
        return _load(Path(name))
    except Exception as error:
        raise CliError(f"cannot read {name}: {reason(error)}") from error


def check_format(path: Path, volume: Volume, source: Path) -> None:
    """Refuse to write what the format of `path` does not have."""
    if extension(path) in _NIFTI and volume.nifti is None:
        raise CliError(f"{path}: NIfTI needs a header and an affine, which {source} has not; write "
                       "the kind of IN")  # fmt: skip
    if extension(path) in (".tif", ".tiff") and volume.nifti is not None:
        raise CliError(f"{path}: TIFF does not hold the header and the affine of {source}; write "
                       ".nii, .nii.gz or .npy")  # fmt: skip


def write(path: Path, volume: Volume) -> None:
    """Write the whole file or nothing."""
    write_bytes(path, lambda: _encode(extension(path), volume))


def _encode(kind: str, volume: Volume) -> bytes:
    """Return the contents of the file."""
    values = volume.values
    if volume.axis is not None:
        values = np.moveaxis(values, -1, volume.axis)
    if kind in (".tif", ".tiff"):
        return encode_pages(replace(volume.picture or Picture(values), values=values))
    if kind in _NIFTI:
        data = _nifti_bytes(volume)
        return gzip.compress(data, 6) if kind == ".nii.gz" else data
    file = BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)
    return file.getvalue()


def _load(path: Path) -> Image:
    """Read an array; never a pickle, which could run any code."""
    with path.open("rb") as file:
        values: Image = np.lib.format.read_array(file, allow_pickle=False)
    return values


def _read_npy(path: Path, axis: int | None) -> Volume:
    """Read an array of three axes, or of four with channels."""
    values = _load(path)
    if values.ndim != (3 if axis is None else 4):
        advice = "; with channels write --channel-axis too" if values.ndim == 4 else ""
        count = "three axes are" if axis is None else "four axes, one of channels, are"
        raise CliError(f"its shape is {values.shape}; {count} expected{advice}")
    if axis is None:
        return Volume(values, values.dtype)
    if not -4 <= axis < 4:
        raise CliError(f"--channel-axis {axis} is not an axis of shape {values.shape}")
    return Volume(np.moveaxis(values, axis, -1), values.dtype, axis=axis)


def _read_nifti(path: Path) -> Volume:
    """Read a volume in the units that its slope and intercept lead to."""
    try:
        import nibabel
    except ImportError:
        raise CliError(
            "NIfTI needs nibabel; install it with pip install 'fastrestore[volume]'"
        ) from None
    image: Any = nibabel.load(path)
    if image.ndim != 3:
        raise CliError(f"its shape is {image.shape}; three axes are expected, so take the volumes "
                       "of a series one by one")  # fmt: skip
    stored = np.asanyarray(image.dataobj.get_unscaled())
    slope, inter = float(image.dataobj.slope), float(image.dataobj.inter)
    if (slope, inter) == (1, 0):
        return Volume(stored, stored.dtype, nifti=image)
    values = stored.astype(np.float64) * slope + inter
    return Volume(values, stored.dtype, (slope, inter), nifti=image)


def _nifti_bytes(volume: Volume) -> bytes:
    """Return a NIfTI file with the header of the one that was read."""
    source = volume.nifti
    made = type(source)(volume.values, source.affine, source.header)
    made.header.set_data_dtype(volume.stored)
    made.header.set_slope_inter(*(volume.scale or (1, 0)))  # otherwise nibabel chooses its own
    data: bytes = made.to_bytes()
    return data
