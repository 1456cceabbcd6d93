"""Lazy arrays: planes are restored when they are seen, large volumes and films in chunks."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastrestore
from fastrestore._arrays import interop
from fastrestore._napari import colors
from fastrestore._napari.settings import Settings

Report = Callable[[int, int], None]
WHOLE = 2**24  # values: smaller volumes and films are read as a whole, which is faster
BYTES = 50  # of memory for each value that is restored
# Slices or frames, and rows and columns: twice what a stage reads beyond a chunk, or more
CHUNK = {"volume": (64, 256), "film": (64, -1)}
THREADS = 4  # chunks that are restored at the same time, because each takes memory


def is_chunked(image: Any, settings: Settings) -> bool:
    """Return whether a volume or a film is restored in chunks."""
    lazy = not isinstance(image, np.ndarray) and settings.axes.kind != "planes"
    return lazy and math.prod(image.shape) > WHOLE


def memory(image: Any, settings: Settings) -> str:
    """Return what is read of a lazy array and how much memory that takes, "" for other arrays."""
    if isinstance(image, np.ndarray):
        return ""
    if settings.axes.kind == "planes":
        return "planes that are seen, each as a whole"
    size = math.prod(image.shape)
    if not is_chunked(image, settings):
        return f"the whole layer, in about {size * BYTES / 1e9:.2g} GB of memory"
    dtype = interop.result_dtype(np.dtype(image.dtype))
    return f"chunks; the result takes {size * dtype.itemsize / 1e9:.2g} GB of memory"


def chunks(ndim: int, settings: Settings) -> tuple[int, ...]:
    """Return the size of a chunk along each axis of an array."""
    axes = settings.axes
    stacked, side = CHUNK[axes.kind]
    sizes = {axes.stacked: stacked, axes.together[-1]: side, axes.together[-2]: side}
    sizes |= {} if axes.channels is None else {axes.channels: -1}
    last = len(axes.labels)  # after it, the axis of RGB
    return tuple(sizes.get(axis, 1 if axis < last else -1) for axis in range(ndim))


def restored_in_chunks(image: Any, settings: Settings, report: Report) -> NDArray[Any]:
    """Restore a volume or a film in chunks, which are read one after another.

    Parameters
    ----------
    image : array of Dask, Zarr or others that can be sliced
        The volume or the film.
    settings : Settings
        How it is restored.
    report : callable
        Is called with ``(done, total)``, and may raise to stop.
    """
    import dask.array
    from dask.callbacks import Callback

    def reported(key: Any, result: Any, graph: Any, state: Any, worker: Any) -> None:
        counts = {name: len(state[name]) for name in ("finished", "ready", "waiting", "running")}
        report(counts["finished"], sum(counts.values()))

    values = colors.without_alpha(dask.array.asarray(image), settings.axes.rgb)
    values = values.rechunk(chunks(values.ndim, settings))
    threads = min(THREADS, os.cpu_count() or 1)
    workers = max(1, (os.cpu_count() or 1) // threads)
    lazy = fastrestore.denoise(values, **settings.arguments(), workers=workers)
    restored = np.empty(lazy.shape, lazy.dtype)
    try:
        with Callback(posttask=reported):
            dask.array.store(lazy, restored, scheduler="threads", num_workers=threads, lock=False)
    except ValueError as error:
        if settings.axes.kind == "film" and settings.sigma is None:
            raise ValueError(f"{error}. In the widget: Noise, given level.") from error
        raise
    return restored


def lazily_denoised(image: Any, settings: Settings) -> Any:
    """Return a Dask array whose planes are read and restored when they are needed.

    Parameters
    ----------
    image : array of Dask, Zarr or others that can be sliced
        The planes. Each is restored as a whole, whatever the chunks are.
    settings : Settings
        How each is restored.
    """
    import dask.array

    planes = dask.array.asarray(image)
    together = {*settings.axes.together, *range(len(settings.axes.labels), planes.ndim)}
    planes = planes.rechunk({axis: -1 if axis in together else 1 for axis in range(planes.ndim)})
    rgb = settings.axes.rgb
    kept = rgb and np.dtype(image.dtype).kind in "iu"
    dtype = np.dtype(image.dtype) if kept else interop.result_dtype(np.dtype(image.dtype))
    arguments = settings.arguments()

    def restored(block: NDArray[Any]) -> NDArray[Any]:
        values = fastrestore.denoise(colors.without_alpha(block, rgb), **arguments)
        return np.asarray(colors.complete(values, block, rgb))

    return planes.map_blocks(restored, dtype=dtype, meta=np.empty((0,) * planes.ndim, dtype))
