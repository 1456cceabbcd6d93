"""Stacks in OME-TIFF, with the scale, units and labels of layers, and what was done to them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore._arrays.replacement import Replacement
from fastrestore._napari import KEY

LayerData = tuple[Any, dict[str, Any], str]
LETTERS = "TZC"  # axes that OME-TIFF has beside rows and columns
SYMBOLS = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "centimeter": "cm",
           "meter": "m", "angstrom": "Å", "pixel": "pixel",
           "second": "s", "millisecond": "ms", "minute": "min"}  # fmt: skip
UNITS = {symbol: name for name, symbol in SYMBOLS.items()} | {"um": "micrometer"}


def write(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write an image layer to a file.

    Parameters
    ----------
    path : str
        File, whose name ends in ``.ome.tif`` or ``.ome.tiff``. It is replaced when the new one is
        complete.
    data : array, or list of arrays
        Values of the layer; the first resolution is written.
    meta : dict
        Attributes of the layer.
    """
    import tifffile

    image = data[0] if meta.get("multiscale") else data
    axes = _axes(meta, image.ndim)
    new = Replacement(Path(path))
    try:
        tifffile.imwrite(
            new.temporary,
            _pages(image, axes),
            shape=image.shape,
            dtype=_dtype(image),
            ome=True,
            photometric="rgb" if meta.get("rgb") else "minisblack",
            bigtiff=math.prod(image.shape) * _dtype(image).itemsize > 2**31,
            metadata={"axes": axes, **_described(meta, axes)},
        )
        new.commit()
    finally:
        new.discard()
    return [path]


def _dtype(image: Any) -> np.dtype[Any]:
    """Return the type in the file; OME-TIFF has no integers of 64 bits or floats of 16."""
    dtype = np.dtype(image.dtype)
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype in (np.int64, np.uint64):
        raise ValueError(
            f"OME-TIFF has no {dtype.name}; convert the layer to a type of at most 32 bits first"
        )
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def _pages(image: Any, axes: str) -> Any:
    """Yield the planes of an array in order, so that a lazy one is never read as a whole."""
    inner = 3 if axes.endswith("S") else 2
    for place in np.ndindex(*image.shape[: image.ndim - inner]):
        yield np.ascontiguousarray(np.asarray(image[place]).astype(_dtype(image)))


def _axes(meta: dict[str, Any], ndim: int) -> str:
    """Return a letter for each axis: those of the labels, and others in the order T, Z, C."""
    count = ndim - 2 - bool(meta.get("rgb"))
    if count > len(LETTERS):
        raise ValueError(
            f"OME-TIFF has at most {len(LETTERS)} axes beside rows and columns, the layer {count}"
        )
    labels = [str(label).upper()[:1] for label in meta.get("axis_labels", ())][:count]
    labels += [""] * (count - len(labels))
    found = [label if label in LETTERS and label not in labels[:k] else ""
             for k, label in enumerate(labels)]  # fmt: skip
    rest = [letter for letter in LETTERS[-count:] + LETTERS if letter not in found]
    named = [letter or rest.pop(0) for letter in found]
    return "".join(named) + "YX" + "S" * bool(meta.get("rgb"))


def _described(meta: dict[str, Any], axes: str) -> dict[str, Any]:
    """Return the metadata of OME: name, what was done, and the size of a voxel."""
    fields: dict[str, Any] = {"Name": str(meta.get("name", ""))}
    done = meta.get("metadata", {}).get(KEY)
    if done is not None:
        fields["Description"] = json.dumps({KEY: done}, default=str)
    places = zip(axes, meta.get("scale", ()), meta.get("units", ()), strict=False)
    for letter, size, unit in places:
        symbol = SYMBOLS.get(str(unit), str(unit))
        if letter in "ZYX":
            fields |= {f"PhysicalSize{letter}": float(size), f"PhysicalSize{letter}Unit": symbol}
        elif letter == "T":
            fields |= {"TimeIncrement": float(size), "TimeIncrementUnit": symbol}
    return fields


def reader(path: Any) -> Callable[[Any], list[LayerData]] | None:
    """Return a function that reads an OME-TIFF, or None for other files."""
    first = path if isinstance(path, str) else None
    return read if first and first.lower().endswith((".ome.tif", ".ome.tiff")) else None


def read(path: str) -> list[LayerData]:
    """Return an OME-TIFF as a layer with its scale, units and labels."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        axes, shape = series.axes, series.shape
        pixels = _pixels(file.ome_metadata)
        values = series.asarray()
    rgb = axes.endswith("S")
    labels = axes.removesuffix("S")
    options: dict[str, Any] = {
        "name": Path(path).name.split(".ome.")[0],
        "rgb": rgb,
        "axis_labels": tuple(label.lower() for label in labels),
        "scale": tuple(_size(pixels, label) for label in labels),
        "units": tuple(_unit(pixels, label) for label in labels),
        "metadata": _read_description(pixels),
    }
    assert values.shape == shape
    return [(values, options, "image")]


def _pixels(text: str | None) -> dict[str, Any]:
    """Return the attributes of the pixels, and the description, of a document of OME."""
    import tifffile

    document = tifffile.xml2dict(text or "").get("OME", {})
    image = document.get("Image", {})
    image = image[0] if isinstance(image, list) else image
    return {**image.get("Pixels", {}), "Description": image.get("Description", "")}


def _size(pixels: dict[str, Any], label: str) -> float:
    """Return the distance of two pixels along an axis."""
    name = "TimeIncrement" if label == "T" else f"PhysicalSize{label}"
    return float(pixels.get(name) or 1.0)


def _unit(pixels: dict[str, Any], label: str) -> str:
    """Return the unit of an axis, as napari names it."""
    name = "TimeIncrement" if label == "T" else f"PhysicalSize{label}"
    if name not in pixels:
        return "pixel"
    symbol = str(pixels.get(f"{name}Unit", "s" if label == "T" else "µm"))
    return UNITS.get(symbol, "pixel")


def _read_description(pixels: dict[str, Any]) -> dict[str, Any]:
    """Return what was done to the image, if this plugin wrote it."""
    try:
        found = json.loads(pixels["Description"])
    except (ValueError, TypeError):
        return {}
    return found if isinstance(found, dict) and KEY in found else {}
