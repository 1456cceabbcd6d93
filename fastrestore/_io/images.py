"""Read and write images, or say in one line why not."""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Callable, Collection
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import DTypeLike

from fastrestore._io.errors import CliError, reason
from fastrestore._io.jpeg import read_jpeg
from fastrestore._io.picture import Image, Picture
from fastrestore._io.png import encode_png, read_png
from fastrestore._io.tiff import encode_tiff, read_tiff


def check_extension(path: Path, known: Collection[str] | None = None) -> None:
    """Refuse a file whose format is unknown; by default those are known that can be read."""
    known = READERS if known is None else known
    if extension(path) not in known:
        raise CliError(f"{path}: unknown extension {path.suffix!r}; known are {', '.join(known)}")


def extension(path: Path) -> str:
    """Return the end of a name that tells the format, in small letters."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def check_input(path: Path, known: Collection[str] | None = None) -> None:
    """Refuse an input that cannot be an image, before anything is computed."""
    if path.is_dir():
        raise CliError(f"{path} is a directory; write the files in it, as in {path / '*.png'}")
    if not path.exists():
        raise CliError(f"{path}: no such file")
    check_extension(path, known)


def check_output(path: Path, *, overwrite: bool, known: Collection[str] | None = None) -> None:
    """Refuse an output that cannot be written, before anything is computed."""
    if path.is_dir():
        raise CliError(f"{path} is a directory; write a file name")
    if known is None and extension(path) in JPEG:
        raise CliError(
            f"{path}: JPEG is read, not written: it would lose what was restored; write .png or "
            ".tif"
        )
    check_extension(path, WRITTEN if known is None else known)
    if path.exists() and not path.is_file():
        raise CliError(f"{path} is not a regular file")
    if path.exists() and not overwrite:
        raise CliError(f"{path} exists already; add --overwrite to replace it")
    if not path.parent.is_dir():
        raise CliError(f"{path}: there is no directory {path.parent}; create it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise CliError(f"{path}: the directory {path.parent} may not be written to")


def read(path: Path) -> Picture:
    """Read an image of integers or floats, in the byte order of this machine."""
    check_input(path)
    try:
        with path.open("rb") as file:
            picture = READERS[path.suffix.lower()](file)
    except Exception as error:  # on a damaged file the decoders raise nearly anything
        raise CliError(f"cannot read {path}: {reason(error)}") from error
    image = picture.values
    if image.dtype.kind not in "iuf":
        raise CliError(f"cannot read {path}: it holds {image.dtype}, neither integers nor floats")
    if image.size == 0:
        raise CliError(f"cannot read {path}: it has no pixels")
    return replace(picture, values=image.astype(image.dtype.newbyteorder("="), copy=False))


def check_format(path: Path, picture: Picture, source: Path) -> None:
    """Refuse to write what the format of `path` does not have."""
    dtype, shape = picture.values.dtype, picture.values.shape
    if path.suffix.lower() != ".png":
        return
    if dtype not in (np.uint8, np.uint16):
        raise CliError(
            f"{path}: PNG holds uint8 and uint16, and {source} is {dtype}; write .tif or .npy"
        )
    if len(shape) == 3 and shape[2] != 3:
        raise CliError(
            f"{path}: PNG holds gray or RGB, and {source} has {shape[2]} channels; "
            "write .tif or .npy"
        )


def to_type(image: Image, dtype: DTypeLike) -> Image:
    """Bring a result to the type of the input: round halves to even, and clip to its range."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return image.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    high = float(limits.max)
    if high > limits.max:  # 2**63 - 1 and 2**64 - 1 are no float64; the next one up overflows
        high = math.nextafter(high, 0)
    return np.clip(np.rint(image.astype(np.float64)), float(limits.min), high).astype(dtype)


def write(path: Path, picture: Picture) -> None:
    """Write the whole file or nothing."""
    write_bytes(path, lambda: _encode(picture, path.suffix.lower()))


def write_bytes(path: Path, encode: Callable[[], bytes]) -> None:
    """Write what `encode` returns, or nothing: under another name first, then renamed."""
    # A symbolic link stays, and the file that it points to is replaced.
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".fastrestore-{secrets.token_hex(8)}.tmp")
    try:
        data = encode()
        # Not `tempfile`: its files are closed to everyone else, whatever the umask.
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except Exception as error:
        raise CliError(f"cannot write {path}: {reason(error)}") from error
    finally:  # after Ctrl-C too; it is gone if all went well
        temporary.unlink(missing_ok=True)


def _read_npy(file: IO[bytes]) -> Picture:
    """Read an array of two axes, or three; never a pickle, which could run any code."""
    image: Image = np.lib.format.read_array(file, allow_pickle=False)
    if image.ndim not in (2, 3):
        raise CliError(f"its shape is {image.shape}; two axes are expected, or three with channels")
    return Picture(image)


def _encode(picture: Picture, extension: str) -> bytes:
    """Return the contents of the file; in memory, so that only a full disk can stop `write`."""
    if extension == ".npy":
        file = BytesIO()
        np.lib.format.write_array(file, picture.pixels, allow_pickle=False)
        return file.getvalue()
    return encode_png(picture) if extension == ".png" else encode_tiff(picture)


READERS: dict[str, Callable[[IO[bytes]], Picture]] = {
    ".png": read_png,
    ".tif": read_tiff,
    ".tiff": read_tiff,
    ".npy": _read_npy,
    ".jpg": read_jpeg,
    ".jpeg": read_jpeg,
}
JPEG = (".jpg", ".jpeg")
WRITTEN = tuple(name for name in READERS if name not in JPEG)
