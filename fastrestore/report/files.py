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
from fastrestore._io import films, images, volumes
from fastrestore._io.errors import FileError
from fastrestore._io.files import extension
from fastrestore.report.comparison import SIZE, of_series
from fastrestore.report.page import Page
from fastrestore.report.series import Series, spread

FRAMES = 16  # of a video that are compared
NIFTI = (".nii", ".nii.gz")
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
    data_range: float | None = None,
    title: str | None = None,
    max_bytes: float = SIZE,
) -> Page:
    """Return the page that compares files; `channel_axis` is that of NPY files."""
    paths = [noisy, *restored, *([] if truth is None else [truth])]
    loaded = [load(path, channel_axis) for path in paths]
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


def load(path: Path, channel_axis: int | None = None) -> Loaded:
    """Read an image, a stack or some frames of a video."""
    kind = extension(path)
    if films.is_film(str(path)):
        return _video(path)
    if kind == ".npy":
        values = _array(path)
        return Loaded(values if channel_axis is None else _last(path, values, channel_axis),
                      channel_axis is not None)  # fmt: skip
    if kind in NIFTI:  # stored as x, y, z
        return Loaded(volumes.read(path, None).values.transpose(2, 1, 0))
    try:
        return _image(path)
    except FileError as error:
        if kind not in TIFF:
            raise
        return _stack(path, error)


def _image(path: Path) -> Loaded:
    """Read an image, and turn it as viewers do."""
    picture = images.read(path)
    values = picture.values
    if picture.orientation in TURNS:
        values = TURNS[picture.orientation](values)
    return Loaded(values, values.ndim == 3, icc=picture.icc)


def _stack(path: Path, error: FileError) -> Loaded:
    """Read a TIFF of several pages; `error` is the reason why it is not an image."""
    try:
        volume = volumes.read(path, None)
    except FileError:
        raise error from None
    return Loaded(volume.values, volume.channel_axis is not None)


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
