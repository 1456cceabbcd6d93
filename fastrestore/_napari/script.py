"""What was done in a widget, as Python for a script or for napari's console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def call(function: str, values: Sequence[str], arguments: Mapping[str, Any]) -> str:
    """Return a call as text."""
    named = [f"{name}={value!r}" for name, value in arguments.items()]
    return f"fastrestore.{function}({', '.join([*values, *named])})"


def script(
    layer: str, name: str, expression: str, before: Sequence[str] = (), after: Sequence[str] = ()
) -> str:
    """Return lines that restore the layer of a viewer and add the result.

    Parameters
    ----------
    layer, name : str
        Names of the layer and of the result.
    expression : str
        Python that restores `image`.
    before, after : sequence of str
        Lines around it.
    """
    body = [*before, f"restored = {expression}", *after]
    lines = [
        *(["import dask.array"] if any("dask.array." in line for line in body) else []),
        *(["import numpy as np"] if any("np." in line for line in body) else []),
        "import fastrestore",
        "",
        f"layer = viewer.layers[{layer!r}]",
        "image = layer.data[0] if layer.multiscale else layer.data",
        *body,
        "viewer.add_image(",
        f"    restored, name={name!r}, rgb=layer.rgb, scale=layer.scale,",
        "    translate=layer.translate, rotate=layer.rotate, shear=layer.shear,",
        "    affine=layer.affine, units=layer.units, axis_labels=layer.axis_labels,",
        ")",
    ]
    return "\n".join(lines) + "\n"


def each_plane(
    function: str, values: Sequence[str], arguments: Mapping[str, Any], ndim: int, inner: int
) -> str:
    """Return an expression that calls a function for each plane, of `inner` axes, of `image`."""
    if ndim == inner:
        return call(function, ["image", *values], arguments)
    each = call(function, ["plane", *values], arguments)
    planes = f"np.asarray(image).reshape(-1, *image.shape[-{inner}:])"
    return f"np.stack([{each} for plane in {planes}]).reshape(image.shape)"
