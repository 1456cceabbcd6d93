"""Numbered pictures, such as ``frames/%05d.png``, read and written as a film."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore._io.codecs import CONTAINERS, converted
from fastrestore._io.errors import CliError
from fastrestore._io.film import SAMPLES, Heading
from fastrestore._io.images import check_extension, check_output, read, write
from fastrestore._io.picture import Image, Picture
from fastrestore._io.planes import (
    FULL,
    MATRICES,
    Layout,
    Planes,
    Shot,
    layout_of,
    layout_of_values,
    planes_of,
    put,
    unit,
)

_NUMBER = re.compile(r"%(0?)(\d*)d")


def is_pattern(name: str) -> bool:
    """Whether a name stands for numbered pictures."""
    path = Path(name)
    numbered = _NUMBER.search(path.name) is not None
    return numbered and path.suffix.lower() not in CONTAINERS and not path.exists()


class Pattern:
    """A name with a number in it."""

    def __init__(self, name: str) -> None:
        self.path = Path(name)
        if len(_NUMBER.findall(self.path.name)) != 1 or _NUMBER.search(str(self.path.parent)):
            raise CliError(f"{name}: one number is expected, in the name of the file, as in "
                           "frames/%05d.png")  # fmt: skip
        check_extension(self.path)
        self._before, zero, width, self._after = _NUMBER.split(self.path.name)
        self._width = int(width or 0) if zero else 0

    def file(self, number: int) -> Path:
        """Return the name of one picture."""
        name = f"{self._before}{number:0{self._width}d}{self._after}"
        return self.path.with_name(name)

    def numbers(self) -> list[int]:
        """Find the numbers of the pictures that are there."""
        found = []
        wanted = re.compile(re.escape(self._before) + r"(\d+)" + re.escape(self._after))
        folder = self.path.parent
        for entry in folder.iterdir() if folder.is_dir() else ():
            match = wanted.fullmatch(entry.name)
            if match and entry == self.file(int(match[1])):
                found.append(int(match[1]))
        return sorted(found)


class Sequence:
    """Pictures to read, one after the other."""

    interlaced = False

    def __init__(self, name: str, rate: Fraction | None) -> None:
        self.path, self.count, self.rate = Path(name), 0, rate
        self._pattern = Pattern(name)
        self.numbers = self._pattern.numbers()
        if not self.numbers:
            raise CliError(f"{name}: there is no such picture, the first would be for instance "
                           f"{self._pattern.file(1)}")  # fmt: skip
        first, last = self.numbers[0], self.numbers[-1]
        missing = last - first + 1 - len(self.numbers)
        if missing:
            gap = next(k for k, number in enumerate(self.numbers, first) if k != number)
            more = f" and {missing - 1} more are" if missing > 1 else " is"
            raise CliError(
                f"{self._pattern.file(gap)}{more} missing between {self._pattern.file(first)} and "
                f"{self._pattern.file(last)}"
            )
        self._first = self._read(self.numbers[0])
        self.layout: Layout = layout_of_values(self._first.values)

    @property
    def length(self) -> int:
        """Number of pictures."""
        return len(self.numbers)

    def shots(self) -> Iterator[Shot]:
        """Read picture by picture."""
        shape, dtype = self._first.values.shape, self._first.values.dtype
        for number in self.numbers:
            picture = self._read(number)
            values = picture.values
            if (values.shape, values.dtype) != (shape, dtype):
                raise CliError(
                    f"{self._pattern.file(number)} has shape {values.shape} and type "
                    f"{values.dtype}, the first has {shape} and {dtype}"
                )
            self.count += 1
            yield Shot(_planes(values), picture)

    def samples(self) -> Iterator[Planes]:
        """Read some pictures from all over the sequence."""
        for number in self.numbers[:: -(-len(self.numbers) // SAMPLES)]:
            yield _planes(self._read(number).values)

    def taken(self) -> Iterator[Any]:
        """Hand over packets of other tracks, which there are none of."""
        return iter(())

    def complaint(self) -> None:
        """Say what was wrong with the files: errors have told."""

    def close(self) -> None:
        """Close nothing."""

    def heading(self) -> Heading:
        """Describe the film these pictures make."""
        if self.rate is None:
            raise CliError(f"{self.path}: pictures have no frame rate; write --fps 25 for instance")
        values = self._first.values
        if values.dtype not in (np.uint8, np.uint16) or self.layout.kind == "other":
            raise CliError(
                f"{self.path}: films hold gray or RGB in uint8 and uint16, and these pictures have "
                f"shape {values.shape} and type {values.dtype}; write OUT as pictures too"
            )
        name = "gray" if self.layout.kind == "gray" else "gbrp"
        deep = "16le" if values.dtype == np.uint16 else ""
        height, width = values.shape[:2]
        colours = {"color_range": FULL}
        return Heading(width, height, name + deep, self.rate, 1 / self.rate, colours)

    def _read(self, number: int) -> Picture:
        path = self._pattern.file(number)
        picture = read(path)
        if path.suffix.lower() == ".npy" and picture.values.ndim != 2:
            raise CliError(f"{path} has the shape {picture.values.shape}, and .npy does not say "
                           "where its channels are; write .tif")  # fmt: skip
        return picture


class SequenceWriter:
    """Pictures to write: each is whole or not there."""

    def __init__(self, name: str, numbers: list[int] | None) -> None:
        self.path, self.frames = Path(name), 0
        self._pattern = Pattern(name)
        self._numbers = numbers  # those of the pictures that are read, or from 1

    def write(self, shot: Shot) -> None:
        """Write a picture."""
        number = self._numbers[self.frames] if self._numbers else self.frames + 1
        if not self.frames and len(getattr(shot.held, "planes", ())) == 4:
            warnings.warn(f"{self.path}: the alpha of the film is left out", stacklevel=2)
        write(self._pattern.file(number), _picture(shot))
        self.frames += 1

    def copy(self, packets: Iterator[Any]) -> None:
        """Leave other tracks out."""
        for _ in packets:
            pass

    def finish(self) -> None:
        """Do nothing: all is written."""

    def abort(self) -> None:
        """Keep the pictures that were written."""


def check_pictures(name: str, *, overwrite: bool) -> None:
    """Refuse pictures that cannot be written, or are there."""
    pattern = Pattern(name)
    check_output(pattern.file(1), overwrite=True)
    there = [] if overwrite else pattern.numbers()
    if there:
        check_output(pattern.file(there[0]), overwrite=False)


def _planes(values: Image) -> Planes:
    """View (M, N) or (M, N, C) as planes."""
    return [values] if values.ndim == 2 else list(np.moveaxis(values, -1, 0))


def _picture(shot: Shot) -> Picture:
    """Return what is to be written: pictures are gray or RGB of full range."""
    planes = shot.planes
    if isinstance(shot.held, Picture):
        values = planes[0] if shot.held.values.ndim == 2 else np.stack(planes, -1)
        return replace(shot.held, values=values)
    return Picture(full_range(planes, shot.held))


def full_range(planes: Planes, frame: Any) -> Image:
    """Return gray or RGB of full range, 8 or 16 bits, of a frame and its restored planes.

    swscale enlarges the colours; its own way to 16 bits of RGB is 0.4 % too dark.
    """
    layout = layout_of(frame)
    if layout.kind == "yuv" and int(frame.colorspace) not in MATRICES:
        raise CliError(
            "pictures are RGB, and the matrix of the film's colours, FFmpeg's number "
            f"{int(frame.colorspace)}, is not known here; write OUT as .mkv"
        )
    if layout.kind == "yuv" and layout.cells != (1, 1):
        deep = re.sub(r"yuvj?a?\d{3}", "yuv444", frame.format.name)
        planes = planes_of(converted(put(planes, frame), deep))
    shares = unit(planes, layout)
    most = np.iinfo(layout.dtype).max
    values: Image = np.clip(np.rint(np.stack(shares, -1) * most), 0, most).astype(layout.dtype)
    return values[..., 0] if len(shares) == 1 else values
