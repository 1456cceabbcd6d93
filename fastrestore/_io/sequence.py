"""Numbered images, such as ``frames/%05d.png``, read and written as a video."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore._io import codecs, images
from fastrestore._io.errors import FileError
from fastrestore._io.files import check_extension, records_axes
from fastrestore._io.film_reader import SAMPLES, FilmInfo
from fastrestore._io.picture import Picture
from fastrestore._io.pixels import full_range, split_channels
from fastrestore._io.planes import Frame, Layout, Planes, layout_of_values
from fastrestore._io.pyav import FULL

_NUMBER = re.compile(r"%(0?)(\d*)d")


def is_sequence(name: str) -> bool:
    """Whether a name is a pattern of numbered images."""
    path = Path(name)
    numbered = _NUMBER.search(path.name) is not None
    return numbered and not codecs.is_film(path) and not path.exists()


class Pattern:
    """A file name with a placeholder for the number."""

    def __init__(self, name: str) -> None:
        self.path = Path(name)
        if len(_NUMBER.findall(self.path.name)) != 1 or _NUMBER.search(str(self.path.parent)):
            raise FileError(f"{name}: expected exactly one number in the file name, such as "
                            "frames/%05d.png")  # fmt: skip
        check_extension(self.path, images.readable_extensions())
        self._before, zero, width, self._after = _NUMBER.split(self.path.name)
        self._width = int(width or 0) if zero else 0

    def file(self, number: int) -> Path:
        """Return the path of the image with this number."""
        name = f"{self._before}{number:0{self._width}d}{self._after}"
        return self.path.with_name(name)

    def numbers(self) -> list[int]:
        """Return the numbers of the existing images, sorted."""
        found = []
        wanted = re.compile(re.escape(self._before) + r"(\d+)" + re.escape(self._after))
        folder = self.path.parent
        for entry in folder.iterdir() if folder.is_dir() else ():
            match = wanted.fullmatch(entry.name)
            if match and entry == self.file(int(match[1])):
                found.append(int(match[1]))
        return sorted(found)


class SequenceReader:
    """Numbered images, read one by one."""

    interlaced = False

    def __init__(self, name: str, rate: Fraction | None) -> None:
        self.path, self._rate = Path(name), rate
        self._pattern = Pattern(name)
        self.numbers = self._pattern.numbers()
        if not self.numbers:
            raise FileError(f"{name}: no images match this pattern, such as "
                            f"{self._pattern.file(1)}")  # fmt: skip
        first, last = self.numbers[0], self.numbers[-1]
        missing = last - first + 1 - len(self.numbers)
        if missing:
            gap = next(k for k, number in enumerate(self.numbers, first) if k != number)
            more = f" and {missing - 1} more are" if missing > 1 else " is"
            raise FileError(
                f"{self._pattern.file(gap)}{more} missing between {self._pattern.file(first)} and "
                f"{self._pattern.file(last)}"
            )
        self._first = self._read(self.numbers[0])
        self.layout: Layout = layout_of_values(self._first.values)

    @property
    def length(self) -> int:
        """Number of images."""
        return len(self.numbers)

    def frames(self) -> Iterator[Frame]:
        """Read image by image."""
        shape, dtype = self._first.values.shape, self._first.values.dtype
        for number in self.numbers:
            picture = self._read(number)
            values = picture.values
            if (values.shape, values.dtype) != (shape, dtype):
                raise FileError(
                    f"{self._pattern.file(number)} has shape {values.shape} and type "
                    f"{values.dtype}, the first has {shape} and {dtype}"
                )
            yield Frame(split_channels(values), picture)

    def samples(self) -> Iterator[Planes]:
        """Read a few images spread over the sequence."""
        for number in self.numbers[:: -(-len(self.numbers) // SAMPLES)]:
            yield split_channels(self._read(number).values)

    def take_packets(self) -> Iterator[Any]:
        """Yield nothing: images have no other tracks."""
        return iter(())

    def damage(self) -> None:
        """Return None: damaged images raise when they are read."""

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def info(self) -> FilmInfo:
        """Return the properties of a video made of the images."""
        if self._rate is None:
            raise FileError(f"{self.path}: images have no frame rate; specify fps, for example 25")
        values = self._first.values
        if values.dtype not in (np.uint8, np.uint16) or self.layout.kind == "other":
            raise FileError(
                f"{self.path}: videos are gray or RGB in uint8 or uint16, and these images have "
                f"shape {values.shape} and type {values.dtype}; write the output as images too"
            )
        name = "gray" if self.layout.kind == "gray" else "gbrp"
        deep = "16le" if values.dtype == np.uint16 else ""
        height, width = values.shape[:2]
        return FilmInfo(
            width, height, name + deep, rate=self._rate, time_base=1 / self._rate,
            colors={"color_range": FULL},
        )  # fmt: skip

    def _read(self, number: int) -> Picture:
        path = self._pattern.file(number)
        picture = images.read(path)
        if not records_axes(path) and picture.values.ndim != 2:
            raise FileError(f"{path} has shape {picture.values.shape}, and .npy does not record "
                            "which axis holds channels; save as .tif")  # fmt: skip
        return picture


class SequenceWriter:
    """Numbered images to write; each file is complete or missing."""

    def __init__(self, name: str, numbers: list[int] | None) -> None:
        self.path, self.count = Path(name), 0
        self._written: list[Path] = []
        self._pattern = Pattern(name)
        self._numbers = numbers  # of the images that are read; None counts from 1

    def write(self, frame: Frame) -> None:
        """Write an image."""
        number = self._numbers[self.count] if self._numbers else self.count + 1
        if not self.count and len(getattr(frame.origin, "planes", ())) == 4:
            warnings.warn(f"{self.path}: the alpha of the video is not written", stacklevel=2)
        path = self._pattern.file(number)
        images.write(path, _picture(frame))
        self._written.append(path)
        self.count += 1

    def copy_packets(self, packets: Iterator[Any]) -> None:
        """Discard the packets of other tracks."""
        for _ in packets:
            pass

    def finish(self) -> None:
        """Do nothing: all images are written."""

    def abort(self) -> None:
        """Remove the images that were written: a part would be taken for a result."""
        for path in self._written:
            path.unlink(missing_ok=True)


def _picture(frame: Frame) -> Picture:
    """Return a frame as an image, gray or RGB of full range."""
    planes = frame.planes
    if isinstance(frame.origin, Picture):
        values = planes[0] if frame.origin.values.ndim == 2 else np.stack(planes, -1)
        return replace(frame.origin, values=values)
    return Picture(full_range(planes, frame.origin))
