"""Lazy arrays: planes are restored when they are seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastrestore
from fastrestore._arrays import interop
from fastrestore._napari import colors
from fastrestore._napari.settings import Settings


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
