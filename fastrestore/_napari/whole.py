"""What the widget for denoising computes of a whole layer, without napari."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import fastrestore
from fastrestore._napari import colors, lazy
from fastrestore._napari.estimates import noise_of
from fastrestore._napari.lazy import Report
from fastrestore._napari.settings import Settings


class Result(NamedTuple):
    """A restored array, and what was estimated for it."""

    data: Any
    found: dict[str, Any]


def denoised(image: Any, settings: Settings, report: Report) -> Result:
    """Denoise the whole array of a layer; planes of lazy ones when they are seen."""
    if not isinstance(image, np.ndarray) and settings.axes.kind == "planes":
        return Result(lazy.lazily_denoised(image, settings), {})
    rgb = settings.axes.rgb
    if lazy.is_chunked(image, settings):
        chunked = lazy.restored_in_chunks(image, settings, report)
        return Result(colors.complete(chunked, image, rgb), {})
    values = np.asarray(image)
    arguments = settings.arguments()
    tells = settings.method != "unet"
    result = fastrestore.denoise(
        colors.without_alpha(values, rgb), **arguments, progress=report, return_info=tells
    )
    restored, infos = result if tells else (result, ())
    found = {"noise": [noise_of(info).text() for info in _each(infos)]} if tells else {}
    return Result(colors.complete(restored, values, rgb), found)


def _each(infos: Any) -> tuple[fastrestore.Info, ...]:
    """Return what was used in each part; an image without named axes has one."""
    return (infos,) if isinstance(infos, fastrestore.Info) else infos


def script_lines(image: Any, settings: Settings) -> tuple[list[str], list[str]]:
    """Return the lines of a script before and after the call that do the same."""
    before, after = colors.script_lines(image, settings.axes.rgb)
    if lazy.is_chunked(image, settings):
        sizes = lazy.chunks(image.ndim, settings)
        before = [f"image = dask.array.asarray(image).rechunk({sizes})", *before]
        after = ["restored = restored.compute()", *after]
    elif not isinstance(image, np.ndarray):  # Zarr, for example
        kind = "dask.array" if settings.axes.kind == "planes" else "np"
        before = [f"image = {kind}.asarray(image)", *before]
    return before, after
