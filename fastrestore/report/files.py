"""Compare files: images, stacks and videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import validate
from fastrestore._io import films, images, stacks, volumes
from fastrestore._io.errors import FileError
from fastrestore._io.files import extension
from fastrestore.report.comparison import SIZE, of_series
from fastrestore.report.page import Page
from fastrestore.report.series import Series, spread

FRAMES = 16  # of a video that are compared
TIFF = (".tif", ".tiff")
Pixels = NDArray[Any]

# What viewers do with the pixels of a file, by the orientation in its EXIF
TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
    7: lambda pixels: pixels.swapaxes(0, 1)[::-1, ::-1],
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}


# What the axes of a stack are called, by their letters; others are called by their letter
WORDS = {"T": "frame", "Z": "slice", "C": "channel"}


class Loaded(NamedTuple):
    """The values of a file."""

    values: Pixels
    has_channels: bool = False  # in the last axis
    labels: tuple[str, ...] = ()  # of the frames of a video
    icc: bytes | None = None


def compare_files(
    noisy: Path,
    restored: Sequence[Path],
    truth: Path | None = None,
    *,
    channel_axis: int | None = None,
    axes: str | None = None,
    data_range: float | None = None,
    title: str | None = None,
    max_bytes: float = SIZE,
) -> Page:
    """Return the page that compares files.

    `channel_axis` is that of NPY files; `axes` are the letters of the axes of stacks, by default
    those in the files.
    """
    paths = [noisy, *restored, *([] if truth is None else [truth])]
    loaded = [load(path, channel_axis, axes) for path in paths]
    _check_types(paths, loaded)
    series = [
        Series.of(name, name, each.values, -1 if each.has_channels else None)
        for name, each in zip(names_of(paths), loaded, strict=True)
    ]
    return of_series(
        series,
        None if truth is None else series[-1],
        data_range=data_range,
        title=title,
        max_bytes=max_bytes,
        labels=loaded[0].labels,
        icc=loaded[0].icc,
    )


def names_of(paths: Sequence[Path]) -> list[str]:
    """Return the names of files, with their directories if two are equal."""
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def load(path: Path, channel_axis: int | None = None, axes: str | None = None) -> Loaded:
    """Read an image, a stack or some frames of a video."""
    kind = extension(path)
    if films.is_film(str(path)):
        return _video(path)
    if kind == ".npy" and axes is not None:
        return _stack(path, axes)
    if kind == ".npy":
        values = _array(path)
        return Loaded(values if channel_axis is None else _last(path, values, channel_axis),
                      channel_axis is not None)  # fmt: skip
    if kind in volumes.NIFTI:
        return _stack(path, axes)
    if kind in TIFF and (axes is not None or stacks.stored_axes(path)):
        return _stack(path, axes)
    return _image(path)


def _image(path: Path) -> Loaded:
    """Read an image, and turn it as viewers do."""
    picture = images.read(path)
    values = picture.values
    if picture.orientation in TURNS:
        values = TURNS[picture.orientation](values)
    return Loaded(values, values.ndim == 3, icc=picture.icc)


def _stack(path: Path, axes: str | None) -> Loaded:
    """Read a stack of named axes, as a series of images, with the samples of a pixel last."""
    volume = volumes.read_named(path, axes)
    if not set("YX") <= set(volume.axes):
        raise FileError(f"the axes of {path} are {volume.axes}; rows Y and columns X are needed")
    others = [name for name in volume.axes if name not in "YXS"]
    order = [*others, "Y", "X", *(name for name in volume.axes if name == "S")]
    values = np.transpose(volume.values, [volume.axes.index(name) for name in order])
    sizes, shape = values.shape[: len(others)], values.shape[len(others) :]
    labels = [
        ", ".join(f"{WORDS.get(name, name)} {k + 1}" for name, k in zip(others, index, strict=True))
        for index in np.ndindex(sizes)
    ]
    return Loaded(values.reshape(-1, *shape), "S" in order, tuple(labels))


def _array(path: Path) -> Pixels:
    """Read an NPY file."""
    if not path.exists():
        raise FileError(f"{path}: no such file")
    return volumes.read_array(path)


def _last(path: Path, values: Pixels, channel_axis: int) -> Pixels:
    """Return an array with the channels in the last axis."""
    try:
        return np.moveaxis(values, validate.axis("channel_axis", channel_axis, values.shape), -1)
    except ValueError as error:
        raise FileError(f"{path}: {error}") from None


def _video(path: Path) -> Loaded:
    """Read some frames of a video, evenly spread."""
    with closing(films.open_reader(str(path), None)) as reader:
        wanted = set(spread(reader.length or FRAMES, FRAMES))
        frames = islice(enumerate(reader.frames()), max(wanted) + 1)
        chosen = [(k, films.frame_pixels(frame)) for k, frame in frames if k in wanted]
    values = np.stack([pixels for _, pixels in chosen])
    return Loaded(values, values.ndim == 4, tuple(f"frame {k + 1}" for k, _ in chosen))


def _check_types(paths: Sequence[Path], loaded: Sequence[Loaded]) -> None:
    """Raise if integers of different types are compared, whose white differs."""
    first = loaded[0].values.dtype
    for path, each in zip(paths, loaded, strict=True):
        if first.kind in "ui" and each.values.dtype.kind in "ui" and each.values.dtype != first:
            raise FileError(
                f"{path} is {each.values.dtype} and {paths[0]} is {first}, whose white differs; "
                "convert one of them first"
            )
