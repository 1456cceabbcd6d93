"""Noise of stacks, volumes and videos, from some of their planes or frames."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastrestore
from fastrestore._io import films, volumes
from fastrestore._io.files import extension
from fastrestore._io.volumes import Volume
from fastrestore._io.voxels import scale_of
from fastrestore._noise import blind
from fastrestore._noise.choice import Choice
from fastrestore._noise.choice_film import Film, choose_in_film
from fastrestore.cli import stack, video_planes
from fastrestore.cli.errors import CommandError, explained

PLANES = 5  # of a stack that are examined, for each channel
FRAMES = 9  # of a video, as many as `vbm3d` examines


class Estimate(NamedTuple):
    """Noise of a stack or video, or of one channel."""

    choice: Choice
    source: str  # the planes or frames that it was estimated from
    channel: str = ""
    chroma: tuple[float, ...] = ()  # levels of the chroma of a video, beside the luminance


def of_file(name: str, model: str) -> list[Estimate]:
    """Estimate the noise of a stack for each channel, or of a volume or video."""
    with explained(name):
        if films.is_film(name):
            return [_of_film(name, model)]
        volume = volumes.read_named(Path(name), None)
        if extension(Path(name)) in volumes.NIFTI and volume.values.ndim > 2:
            return [_of_volume(name, volume, model)]
        volume = stack.opaque(volume)
        names = scale_of(volume).channels
        count = volume.values.shape[volume.axes.index("C")] if "C" in volume.axes else 1
        return [_of_channel(volume, k, names, model) for k in range(count)]


def spec_of(name: str, found: list[Estimate]) -> fastrestore.NoiseSpec:
    """Return the noise for --save; raise if it is not one."""
    if len(found) > 1:
        raise CommandError(f"{name}: its {len(found)} channels have noise of their own, and --save "
                           "writes one; save each channel as a file")  # fmt: skip
    if found[0].chroma:
        raise CommandError(f"{name} stores luminance and chroma, whose noise --save does not "
                           "write; leave --save out")  # fmt: skip
    return found[0].choice.spec


def _of_film(name: str, model: str) -> Estimate:
    """Estimate the noise from the first frames, as `vbm3d` does."""
    with closing(films.open_reader(name, None)) as reader:
        kind = reader.layout.kind
        read = [frame.planes for frame in islice(reader.frames(), FRAMES)]
        frames = [np.stack(planes[:1] if kind == "yuv" else planes) for planes in read]
        choice = choose_in_film(Film(frames, [None] * len(frames)), model)
        chroma: tuple[float, ...] = ()
        source = f"the first {len(frames)} frames" if len(frames) > 1 else "the first frame"
        if kind == "yuv":
            chroma = tuple(video_planes.estimate_noise(reader.samples(), reader.layout).planes[1:])
            source = f"the luminance of {source}"
        return Estimate(choice, source, chroma=chroma)


def _of_volume(name: str, volume: Volume, model: str) -> Estimate:
    """Estimate the noise of a volume, the first one of a series."""
    values = volume.values
    while values.ndim > 3:
        values = values[..., 0]
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise CommandError(f"{name}: volume has values that are NaN or infinite; replace invalid "
                           "pixels first")  # fmt: skip
    place = ", ".join(f"{axis}=0" for axis in volume.axes[3:])
    slices_first = np.moveaxis(values, int(np.argmin(values.shape)), 0)  # as `bm4d` does
    choice = blind.noise_of(slices_first[None], None, model)
    return Estimate(choice, f"the volume at {place}" if place else "the whole volume")


def _of_channel(volume: Volume, channel: int, names: list[str], model: str) -> Estimate:
    """Estimate the noise of some planes of a channel; the most frequent model is used."""
    has_channels = "C" in volume.axes
    values = np.take(volume.values, channel, volume.axes.index("C")) if has_channels else (
        volume.values
    )  # fmt: skip
    axes = volume.axes.replace("C", "")
    planes, places = _ordered(values, axes)
    chosen = [(2 * k + 1) * len(planes) // (2 * PLANES) for k in range(PLANES)]
    chosen = list(range(len(planes))) if len(planes) <= PLANES else chosen
    axis = -1 if "S" in axes else None
    found = [blind.choice_of(planes[k], axis, None, model) for k in chosen]
    best = Counter(each.spec.model for each in found if each.spec.sigma.any()).most_common(1)
    alike = [k for k, each in enumerate(found) if best and each.spec.sigma.any()
             and each.spec.model == best[0][0]] or [0]  # fmt: skip
    spec = fastrestore.NoiseSpec.pool(found[k].spec for k in alike)
    words = "; ".join(places[chosen[k]] for k in alike)
    count = f"{len(alike)} of {len(planes)} planes" if len(planes) > 1 else "its plane"
    label = f"channel {channel}" if has_channels else ""
    label += f", {names[channel]}" if has_channels and channel < len(names) else ""
    source = f"{count}: {words}" if words else count
    return Estimate(found[alike[0]]._replace(spec=spec), source, label)


def _ordered(values: NDArray[Any], axes: str) -> tuple[NDArray[Any], list[str]]:
    """Return the planes (K, M, N) or (K, M, N, S) of a stack, and their places."""
    outer = [k for k, axis in enumerate(axes) if axis not in "YXS"]
    inner = [axes.index(axis) for axis in "YXS" if axis in axes]
    sizes = [values.shape[k] for k in outer]
    planes = np.transpose(values, outer + inner).reshape(-1, *(values.shape[k] for k in inner))
    places = [
        ", ".join(f"{axes[k]}={number}" for k, number in zip(outer, index, strict=True))
        for index in np.ndindex(*sizes)
    ]
    return planes, places
