"""The files that a command restores, and the names of their results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fastrestore._io import films, images
from fastrestore._io.errors import FileError
from fastrestore._io.files import extension
from fastrestore._io.volumes import NIFTI


def check_image(path: Path) -> None:
    """Raise `FileError` if a file is missing, or is not an image."""
    if path.is_file() and (films.is_film(str(path)) or extension(path) in NIFTI):
        what = "a video" if films.is_film(str(path)) else "a volume"
        raise FileError(f"{path} is {what}, and this command restores images; `fastrestore "
                        "denoise` accepts it")  # fmt: skip
    images.check_input(path)
    if not path.is_file():
        raise FileError(f"{path} is not a regular file")


def never(_path: Path) -> bool:
    """Return False."""
    return False


class Kind(NamedTuple):
    """The files that a command restores, and the names of their results."""

    words: str = "images"
    extensions: tuple[str, ...] = images.readable_extensions()  # of files in directories
    require: Callable[[Path], None] = check_image  # raises for a file that cannot be restored
    name: Callable[[Path], str] = images.output_name  # of the result, with the extension
    check: Callable[[Path], None] = images.check_output  # raises if a result cannot be written
    is_one: Callable[[Path], bool] = never  # whether a directory is one input, as a Zarr store is

    def is_known(self, path: Path) -> bool:
        """Whether a file in a directory is restored, by its extension."""
        return extension(path) in self.extensions


IMAGES = Kind()
