"""Videos: files, or numbered images such as ``frames/%05d.png``."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from fastrestore._io import codecs, files, images
from fastrestore._io.codecs import EncoderOptions
from fastrestore._io.errors import FileError
from fastrestore._io.files import extension
from fastrestore._io.film_reader import FilmReader
from fastrestore._io.film_writer import FilmWriter
from fastrestore._io.pixels import frame_from_pixels, frame_pixels
from fastrestore._io.planes import Frame, Layout, Planes
from fastrestore._io.sequence import Pattern, SequenceReader, SequenceWriter, is_sequence

__all__ = [
    "EXTENSIONS",
    "EncoderOptions",
    "Frame",
    "Layout",
    "Planes",
    "Reader",
    "Writer",
    "check_output",
    "check_target",
    "existing_output",
    "files_of",
    "frame_from_pixels",
    "frame_pixels",
    "is_film",
    "is_part",
    "is_sequence",
    "open_reader",
    "open_writer",
    "output_name",
]

# Of directories, and of names without a pattern; other containers are read if they are named
EXTENSIONS = (
    *codecs.CONTAINERS, ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".3gp", ".mxf", ".ogv",
)  # fmt: skip
_READ_ONLY = ".mkv"  # of the result of a container that is not written

Reader = FilmReader | SequenceReader
Writer = FilmWriter | SequenceWriter


def is_film(name: str) -> bool:
    """Whether a name is that of a video, or a pattern of numbered images."""
    return extension(Path(name)) in EXTENSIONS or is_sequence(name)


def output_name(path: Path) -> str:
    """Return the name for a result: that of the input, but Matroska if it is only read."""
    if codecs.is_film(path) or is_sequence(str(path)):
        return path.name
    return path.with_suffix(_READ_ONLY).name


def open_reader(name: str, rate: Fraction | None) -> Reader:
    """Open a video or numbered images; `rate` is the frame rate of the latter."""
    path = Path(name)
    if is_sequence(name):
        return SequenceReader(name, rate)
    if path.is_dir():
        raise FileError(
            f"{path} is a directory; specify the images in it, such as {path / '%05d.png'}"
        )
    if not path.exists():
        raise FileError(f"{path}: no such file")
    return FilmReader(path)


def open_writer(name: str, source: Reader, options: EncoderOptions, scale: float = 1) -> Writer:
    """Open a file, or numbered images, for the frames of `source` enlarged by `scale`."""
    if is_sequence(name):
        numbers = source.numbers if isinstance(source, SequenceReader) else None
        return SequenceWriter(name, numbers)
    info = source.info()
    if scale > 1:  # rows of enlarged frames are not those of two fields
        width, height = (enlarged_length(n, scale) for n in (info.width, info.height))
        info = replace(info, width=width, height=height, interlaced=False)
    return FilmWriter(Path(name), info, options)


def enlarged_length(length: int, scale: float) -> int:
    """Return the number of rows or columns of enlarged frames.

    It is even if the scale is not a whole number: most encoders of videos need that.
    """
    exact = round(scale * length)
    return exact if float(scale).is_integer() else exact - exact % 2


def check_output(name: str) -> None:
    """Raise if a video, or numbered images, cannot be written under this name."""
    if is_sequence(name):
        images.check_output(Pattern(name).file(1))
    else:
        files.check_output(Path(name), codecs.CONTAINERS)


def check_target(path: Path) -> None:
    """Raise if a video, or numbered images, cannot be written to this path."""
    check_output(str(path))


def existing_output(name: str) -> Path | None:
    """Return the first file that writing under this name may replace, or None."""
    if not is_sequence(name):
        return Path(name) if Path(name).exists() else None
    pattern = Pattern(name)
    numbers = pattern.numbers()
    return pattern.file(numbers[0]) if numbers else None


def is_part(source: Path, target: Path) -> bool:
    """Whether there are results of some numbered images, but not of all."""
    return is_sequence(str(target)) and 0 < len(files_of(target)) < len(files_of(source))


def files_of(path: Path) -> list[Path]:
    """Return a file, or the numbered images of a pattern."""
    if not is_sequence(str(path)):
        return [path]
    pattern = Pattern(str(path))
    return [pattern.file(number) for number in pattern.numbers()]
