"""Read and write gray images, or say in one line why not."""

from __future__ import annotations

import logging
import math
import os
import secrets
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastrestore.cli._error import CliError, reason

if TYPE_CHECKING:
    from tifffile import TiffPage

Image = NDArray[Any]

_NO_COLOUR = "colour is not supported in this version, gray is"


def check_extension(path: Path) -> None:
    """Refuse a file whose format is unknown."""
    if path.suffix.lower() not in READERS:
        raise CliError(f"{path}: unknown extension {path.suffix!r}; known are {', '.join(READERS)}")


def check_input(path: Path) -> None:
    """Refuse an input that cannot be an image, before anything is computed."""
    if path.is_dir():
        raise CliError(f"{path} is a directory; write the files in it, as in {path / '*.png'}")
    if not path.exists():
        raise CliError(f"{path}: no such file")
    check_extension(path)


def check_output(path: Path, *, overwrite: bool) -> None:
    """Refuse an output that cannot be written, before anything is computed."""
    if path.is_dir():
        raise CliError(f"{path} is a directory; write a file name")
    check_extension(path)
    if path.exists() and not path.is_file():
        raise CliError(f"{path} is not a regular file")
    if path.exists() and not overwrite:
        raise CliError(f"{path} exists already; add --overwrite to replace it")
    if not path.parent.is_dir():
        raise CliError(f"{path}: there is no directory {path.parent}; create it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise CliError(f"{path}: the directory {path.parent} may not be written to")


def read(path: Path) -> Image:
    """Read a gray image of integers or floats, in the byte order of this machine."""
    check_input(path)
    try:
        with path.open("rb") as file:
            image = READERS[path.suffix.lower()](file)
    except Exception as error:  # on a damaged file the decoders raise nearly anything
        raise CliError(f"cannot read {path}: {reason(error)}") from error
    if image.dtype.kind not in "iuf":
        raise CliError(f"cannot read {path}: it holds {image.dtype}, neither integers nor floats")
    if image.size == 0:
        raise CliError(f"cannot read {path}: it has no pixels")
    return image.astype(image.dtype.newbyteorder("="), copy=False)


def check_format(path: Path, dtype: np.dtype[Any], source: Path) -> None:
    """Refuse to write numbers of a type that the format of `path` does not have."""
    if path.suffix.lower() == ".png" and dtype not in (np.uint8, np.uint16):
        raise CliError(
            f"{path}: PNG holds uint8 and uint16, and {source} is {dtype}; write .tif or .npy"
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


def write(path: Path, image: Image) -> None:
    """Write the whole file or nothing: under another name first, then renamed."""
    # A symbolic link stays, and the file that it points to is replaced.
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".fastrestore-{secrets.token_hex(8)}.tmp")
    try:
        data = _encode(image, path.suffix.lower())
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


def _read_png(file: IO[bytes]) -> Image:
    """Read 8 or 16 bits; PNG of 2 and 4 bits come stretched to 8, as the format defines them."""
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    # Pillow takes images over 89 megapixels for attacks; here the user has named the file.
    Pillow.MAX_IMAGE_PIXELS = None
    try:
        image = Pillow.open(file, formats=["PNG"])
    except UnidentifiedImageError:
        raise CliError("it is not a PNG file, or it is damaged") from None
    if image.mode not in ("L", "I;16"):
        raise CliError(f"its mode is {image.mode}; {_NO_COLOUR}, with 8 or 16 bits")
    if getattr(image, "n_frames", 1) > 1:
        raise CliError("it has several frames; one is supported")
    return np.asarray(image)


def _read_tiff(file: IO[bytes]) -> Image:
    """Read a TIFF of one gray page."""
    import tifffile

    # tifffile logs whatever is odd in a file; what matters here arrives as an exception.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    with tifffile.TiffFile(file) as tiff:
        if len(tiff.pages) != 1:
            raise CliError(f"it has {len(tiff.pages)} pages; one is supported")
        page = tiff.pages.first
        _check_page(page)
        segments = zip(page.dataoffsets, page.databytecounts, strict=True)
        if any(start + count > tiff.filehandle.size for start, count in segments):
            raise CliError("it is truncated")  # tifffile may fill in zeros without a word
        image = page.asarray()
        if image.ndim != 2:
            raise CliError(f"its shape is {image.shape}; one plane is supported")
        white_is_zero = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
        return np.invert(image) if white_is_zero else image


def _check_page(page: TiffPage) -> None:
    """Refuse what is not gray."""
    kind = getattr(page.photometric, "name", str(page.photometric))
    if kind not in ("MINISBLACK", "MINISWHITE") or page.samplesperpixel != 1:
        raise CliError(
            f"its mode is {kind} with {page.samplesperpixel} values a pixel; {_NO_COLOUR}"
        )
    if kind == "MINISWHITE" and (page.dtype is None or page.dtype.kind != "u"):
        raise CliError(f"its mode is {kind} with numbers of type {page.dtype}; gray is MINISBLACK")
    if page.bitspersample not in (8, 16, 32, 64):
        raise CliError(f"it has {page.bitspersample} bits a pixel; 8, 16, 32 and 64 are supported")


def _read_npy(file: IO[bytes]) -> Image:
    """Read an array of two axes; never a pickle, which could run any code."""
    image: Image = np.lib.format.read_array(file, allow_pickle=False)
    if image.ndim != 2:
        raise CliError(f"its shape is {image.shape}; two axes are expected, and {_NO_COLOUR}")
    return image


def _encode(image: Image, extension: str) -> memoryview:
    """Return the contents of the file; in memory, so that only a full disk can stop `write`."""
    file = BytesIO()
    if extension == ".npy":
        np.lib.format.write_array(file, image, allow_pickle=False)
    elif extension == ".png":
        from PIL import Image as Pillow

        Pillow.fromarray(image).save(file, "PNG")
    else:
        import tifffile

        tifffile.imwrite(file, image, photometric="minisblack")
    return file.getbuffer()


READERS: dict[str, Callable[[IO[bytes]], Image]] = {
    ".png": _read_png,
    ".tif": _read_tiff,
    ".tiff": _read_tiff,
    ".npy": _read_npy,
}
