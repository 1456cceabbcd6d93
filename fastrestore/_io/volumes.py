"""Volume files: TIFF of several pages, NPY and NIfTI.

Axes keep the order of the file: slices, rows and columns in TIFF; x, y and z in NIfTI; as stored
in NPY. Channels, if any, are moved to the end.
"""

from __future__ import annotations

import gzip
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore._arrays.install import extra
from fastrestore._io import files, stacks
from fastrestore._io.errors import FileError, unreadable
from fastrestore._io.files import extension
from fastrestore._io.images import to_type
from fastrestore._io.picture import Image
from fastrestore._io.stack_axes import AXES, encode_named
from fastrestore._io.stacks import Stack, channel_axis, check_one, encode_stack, read_stack

EXTENSIONS = (".tif", ".tiff", ".npy", ".nii", ".nii.gz")
_TIFF = (".tif", ".tiff")
NIFTI = (".nii", ".nii.gz")
# Letters of the axes of NIfTI: places, time, vectors, and two more
_NIFTI_AXES = "XYZTCUV"
_GZIP_RATIO = 1032  # the most that gzip can compress


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume and the metadata of its file."""

    values: Image  # (D, M, N) or (D, M, N, C), in physical units
    stored: np.dtype[Any]  # type in the file
    scale: tuple[float, float] | None = None  # slope and intercept: value = slope * stored + inter
    channel_axis: int | None = None  # in the file; in `values` channels are last
    stack: Stack | None = None  # metadata of a TIFF
    nifti: Any = None  # the nibabel image of a NIfTI
    axes: str = ""  # letters of the axes of `values`, if it was read by `read_named`

    def with_values(self, result: Image, target: Path) -> Volume:
        """Return the volume with other values, in the units and type stored in `target`."""
        if self.scale is not None:
            if extension(target) == ".npy":  # which stores no slope and intercept
                return replace(self, values=np.asarray(result, self.values.dtype))
            slope, inter = self.scale
            result = (np.asarray(result, np.float64) - inter) / slope
        return replace(self, values=to_type(result, self.stored))


def check_input(path: Path) -> None:
    """Raise if `path` is not an existing file of a volume format."""
    files.check_input(path, EXTENSIONS)


def check_output(path: Path) -> None:
    """Raise if a volume cannot be written to `path`."""
    files.check_output(path, EXTENSIONS)


def read(path: Path, channel_axis: int | None) -> Volume:
    """Read a volume; `channel_axis` is where an NPY file has its channels."""
    kind = extension(path)
    if channel_axis is not None and kind != ".npy":
        raise FileError(
            f"channel_axis={channel_axis} applies to .npy only; {path} records its own axes"
        )
    try:
        if kind == ".npy":
            volume = _read_npy(path, channel_axis)
        elif kind in NIFTI:
            volume = _read_nifti(path)
            if volume.values.ndim != 3:
                raise FileError(f"its shape is {volume.values.shape}; three axes are expected, or "
                                "write --as planes")  # fmt: skip
        else:
            volume = _read_tiff(path)
    except Exception as error:  # damaged files make the decoders raise many types
        raise unreadable(path, error) from error
    return _native(path, volume)


def read_named(path: Path, axes: str | None) -> Volume:
    """Read an array of any number of axes in the order of the file.

    `axes` names them, by default as the file does; an NPY file does not.
    """
    try:
        volume = _read_all(path)
    except Exception as error:
        raise unreadable(path, error) from error
    stored, shape = volume.axes, volume.values.shape
    if axes is None and not stored:
        raise FileError(f"{path} has shape {shape} and does not name its axes; write --axes, such "
                        f"as --axes {'TZCYX'[-len(shape):]}")  # fmt: skip
    if axes is not None and len(axes) != len(shape):
        named = f", axes {stored}" if stored else ""
        raise FileError(f"--axes {axes} has {len(axes)} letters, and {path} has shape {shape}"
                        f"{named}")  # fmt: skip
    return _native(path, replace(volume, axes=stored if axes is None else axes.upper()))


def stored_axes(path: Path) -> str:
    """Return the axes of a TIFF of several pages or a NIfTI file; "" for files without names."""
    if extension(path) not in NIFTI:
        return stacks.stored_axes(path)
    try:
        return _NIFTI_AXES[: _read_header(path, report=False).ndim]
    except Exception:  # reading says what is wrong
        return ""


def _read_all(path: Path) -> Volume:
    """Read an array with all its axes."""
    kind = extension(path)
    if kind in NIFTI:
        volume = _read_nifti(path)
        return replace(volume, axes=_NIFTI_AXES[: volume.values.ndim])
    if kind == ".npy":
        values = _load(path)
        return Volume(values, values.dtype)
    with path.open("rb") as file:
        stack = read_stack(file)
    return Volume(stack.values, stack.values.dtype, stack=stack, axes=stack.axes)


def _native(path: Path, volume: Volume) -> Volume:
    """Return a volume in the byte order of this computer; raise if its type is unsupported."""
    values = volume.values
    if values.dtype.names is not None:  # RGB of NIfTI
        raise FileError(f"cannot read {path}: its voxels are colors; save the channels as volumes "
                        "of their own")  # fmt: skip
    if values.dtype.kind not in "iuf":
        raise FileError(
            f"cannot read {path}: its type is {values.dtype}; integers and floats are supported"
        )
    if values.size == 0:
        raise FileError(f"cannot read {path}: it has no voxels")
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    return replace(volume, values=native, stored=volume.stored.newbyteorder("="))


def read_array(path: Path) -> Image:
    """Read an NPY file of any shape, such as a spectrum."""
    try:
        return _load(path)
    except Exception as error:
        raise unreadable(path, error) from error


def check_format(path: Path, volume: Volume, source: Path) -> None:
    """Raise if the format of `path` cannot hold the metadata of a volume."""
    if extension(path) in NIFTI and volume.nifti is None:
        raise FileError(f"{path}: NIfTI needs a header and an affine, which {source} lacks; write "
                       "the format of the input")  # fmt: skip
    if extension(path) in _TIFF and volume.nifti is not None:
        raise FileError(f"{path}: TIFF cannot store the header and the affine of {source}; write "
                       ".nii, .nii.gz or .npy")  # fmt: skip
    if extension(path) in _TIFF and volume.stack is None and not set(volume.axes) <= set(AXES):
        raise FileError(f"{path}: TIFF names the axes T, Z, C, Y, X and S, and those of {source} "
                        f"are {volume.axes}; write .npy")  # fmt: skip


def write(path: Path, volume: Volume) -> None:
    """Write the file atomically."""
    ome = path.name.lower().endswith((".ome.tif", ".ome.tiff"))
    files.write_bytes(path, lambda: _encode(extension(path), volume, ome=ome))


def _encode(kind: str, volume: Volume, *, ome: bool) -> bytes:
    """Return the contents of the file."""
    values, axis = volume.values, volume.channel_axis
    if kind in _TIFF and volume.stack is None and volume.axes:
        return encode_named(values, volume.axes, ome=ome)
    if kind in _TIFF and volume.stack is None:  # channels of an NPY file become samples of a pixel
        return encode_stack(Stack(values, "ZYX" if axis is None else "ZYXS"))
    if axis is not None:
        values = np.moveaxis(values, -1, axis)
    if kind in _TIFF and volume.stack is not None:
        return encode_stack(replace(volume.stack, values=values))
    if kind in NIFTI:
        data = _nifti_bytes(volume)
        return gzip.compress(data, 6) if kind == ".nii.gz" else data
    file = BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)
    return file.getvalue()


def _load(path: Path) -> Image:
    """Read an array; no pickles, which can run any code."""
    with path.open("rb") as file:
        values: Image = np.lib.format.read_array(file, allow_pickle=False)
    return values


def _read_npy(path: Path, axis: int | None) -> Volume:
    """Read an array of three axes, or of four with channels."""
    values = _load(path)
    if values.ndim != (3 if axis is None else 4):
        advice = "; if one holds channels, specify channel_axis" if values.ndim == 4 else ""
        count = "three axes are" if axis is None else "four axes, one for channels, are"
        raise FileError(f"its shape is {values.shape}; {count} expected{advice}")
    if axis is None:
        return Volume(values, values.dtype)
    if not -4 <= axis < 4:
        raise FileError(f"channel_axis={axis} is not an axis of shape {values.shape}")
    return Volume(np.moveaxis(values, axis, -1), values.dtype, channel_axis=axis)


def _read_tiff(path: Path) -> Volume:
    """Read a stack of pages."""
    with path.open("rb") as file:
        stack = read_stack(file)
    check_one(stack)
    axis, values = channel_axis(stack.axes), stack.values
    values = values if axis is None else np.moveaxis(values, axis, -1)
    return Volume(values, values.dtype, channel_axis=axis, stack=stack)


def _read_header(path: Path, *, report: bool) -> Any:
    """Open a NIfTI file without its values; report what is repaired in the header."""
    try:
        import nibabel
    except ImportError:
        raise FileError(f"NIfTI needs nibabel; install it with {extra('volume')}") from None
    with _repairs_reported(path if report else None):
        return nibabel.load(path)


def _read_nifti(path: Path) -> Volume:
    """Read a volume or several, scaled by slope and intercept."""
    image = _read_header(path, report=True)
    with _repairs_reported(None):
        _with_values(image, np.zeros((1, 1, 1), np.uint8))  # raises if it could not be written
    _check_length(path, image)
    stored = np.asanyarray(image.dataobj.get_unscaled())
    slope, inter = float(image.dataobj.slope), float(image.dataobj.inter)
    if (slope, inter) == (1, 0):
        return Volume(stored, stored.dtype, nifti=image)
    values = stored.astype(np.float64) * slope + inter
    return Volume(values, stored.dtype, (slope, inter), nifti=image)


def _check_length(path: Path, image: Any) -> None:
    """Raise if a file is too short for its shape; nibabel would reserve the memory first."""
    needed = image.dataobj.offset + math.prod(image.shape) * image.get_data_dtype().itemsize
    length = path.stat().st_size
    most = _GZIP_RATIO * length if path.suffix.lower() == ".gz" else length
    if needed > most:
        raise FileError(f"it is truncated or damaged: its shape {image.shape} does not agree with "
                        f"its length of {length} bytes")  # fmt: skip


def _nifti_bytes(volume: Volume) -> bytes:
    """Return a NIfTI file with the header of the input."""
    with _repairs_reported(None):
        image = _with_values(volume.nifti, volume.values)
        image.header.set_data_dtype(volume.stored)
        image.header.set_slope_inter(*(volume.scale or (1, 0)))  # or nibabel chooses its own
        data: bytes = image.to_bytes()
    return data


def _with_values(source: Any, values: Image) -> Any:
    """Return a NIfTI image with the header of another one."""
    return type(source)(values, source.affine, source.header)


@contextmanager
def _repairs_reported(path: Path | None) -> Iterator[None]:
    """Turn what nibabel logs about a damaged header, which it repairs, into one warning, or none.

    It would print these lines on standard error.
    """
    from nibabel import imageglobals

    lines: dict[str, None] = {}  # without repetitions
    handler = logging.Handler()
    handler.emit = lambda record: lines.setdefault(record.getMessage())  # type: ignore[method-assign]
    with imageglobals.LoggingOutputSuppressor(), warnings.catch_warnings(record=True):
        warnings.simplefilter("ignore")
        logger, disabled = imageglobals.logger, imageglobals.logger.disabled
        logger.addHandler(handler)
        logger.disabled = False  # as logging.config sets it by default
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.disabled = disabled
    if lines and path is not None:
        warnings.warn(f"{path}: the header is damaged: {'; '.join(lines)}", stacklevel=2)
