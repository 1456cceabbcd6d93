"""Layers that are made from others, with the same place in the world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Image
from napari.utils.transforms import Affine
from numpy.typing import NDArray

from fastrestore._napari import KEY

PREVIEW = "preview"
SHOWN = ("colormap", "contrast_limits", "gamma", "interpolation2d", "interpolation3d", "rendering")


def is_source(layer: Any) -> bool:
    """Return whether a layer can be restored: an image that is not a preview."""
    return isinstance(layer, Image) and not layer.metadata.get(KEY, {}).get(PREVIEW)


def data_of(layer: Image) -> Any:
    """Return the array of a layer, at full resolution."""
    return layer.data[0] if layer.multiscale else layer.data


def is_lazy(layer: Image) -> bool:
    """Return whether the values of a layer are computed or read when they are needed."""
    return not isinstance(data_of(layer), np.ndarray)


def like(
    layer: Image,
    data: Any,
    name: str,
    metadata: dict[str, Any],
    start: Sequence[int] | None = None,
) -> Image:
    """Return a layer with other values, at the place of a layer or of a part of it.

    Parameters
    ----------
    layer : Image
        Layer whose scale, units, colors and other properties are kept.
    data : array
        Values of the new layer.
    name : str
        Its name.
    metadata : dict
        Is added to the metadata under "fastrestore".
    start : sequence of int, optional
        First pixel of the part.
    """
    shown = {} if layer.rgb else {name: getattr(layer, name) for name in SHOWN}
    return Image(
        data,
        name=name,
        rgb=layer.rgb,
        metadata={**layer.metadata, KEY: metadata},
        **place_of(layer, start),
        **shown,
    )


def place_of(layer: Image, start: Sequence[int] | None = None) -> dict[str, Any]:
    """Return the arguments of a layer for the place in the world of another one, or of a part."""
    names = ("scale", "rotate", "shear", "affine", "units", "axis_labels")
    place = {name: getattr(layer, name) for name in names}
    return {**place, "translate": _translate(layer, start)}


def _translate(layer: Image, start: Sequence[int] | None) -> NDArray[Any]:
    """Return where a part of a layer begins."""
    if start is None:
        return np.asarray(layer.translate)
    local = Affine(
        scale=layer.scale, translate=layer.translate, rotate=layer.rotate, shear=layer.shear
    )
    return np.asarray(local(np.asarray(start, float)))


def add_above(viewer: Any, layer: Image, below: Image) -> None:
    """Add a layer directly above another one, and leave the selection as it is."""
    selected, active = set(viewer.layers.selection), viewer.layers.selection.active
    viewer.layers.insert(viewer.layers.index(below) + 1, layer)
    viewer.layers.selection = selected
    viewer.layers.selection.active = active
