"""Stacks in OME-TIFF, with the scale, units and labels of layers, and what was done to them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.replacement import Replacement
from fastrestore._napari import KEY

LayerData = tuple[Any, dict[str, Any], str]
LETTERS = "TZC"  # axes that OME-TIFF has beside rows and columns
SYMBOLS = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "centimeter": "cm",
           "decimeter": "dm", "meter": "m", "kilometer": "km", "picometer": "pm",
           "angstrom": "Å", "inch": "in", "foot": "ft", "pixel": "pixel",
           "nanosecond": "ns", "microsecond": "µs", "millisecond": "ms", "second": "s",
           "minute": "min", "hour": "h", "day": "d"}  # fmt: skip
UNITS = {symbol: name for name, symbol in SYMBOLS.items()} | {"um": "micrometer"}
PLACE = ("translate", "rotate", "shear", "affine")  # what OME-TIFF has no fields for
PLACE_KEY = "place"  # of these, beside what was done


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
            metadata={"axes": axes, **_described(meta, axes, image.shape)},
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
    pairs = zip(labels, _restored_along(meta, count), strict=True)
    labels = [label if label in set(LETTERS) else letter for label, letter in pairs]
    found = [label if label in LETTERS and label not in labels[:k] else ""
             for k, label in enumerate(labels)]  # fmt: skip
    rest = [letter for letter in LETTERS[-count:] + LETTERS if letter not in found]
    named = [letter or rest.pop(0) for letter in found]
    return "".join(named) + "YX" + "S" * bool(meta.get("rgb"))


def _restored_along(meta: dict[str, Any], count: int) -> list[str]:
    """Return Z or T for the axis along which a volume or a film was restored, "" for others."""
    arguments = meta.get("metadata", {}).get(KEY, {}).get("arguments", {})
    axes = arguments.get("axes", "") if "kind" in arguments else ""
    return [letter if letter in "TZ" else "" for letter in axes[:count].ljust(count)]


def _described(meta: dict[str, Any], axes: str, shape: Sequence[int]) -> dict[str, Any]:
    """Return the metadata of OME: name, what was done, and the size of a voxel."""
    fields: dict[str, Any] = {"Name": str(meta.get("name", ""))}
    described = _more(meta, axes, shape)
    if described:
        fields["Description"] = json.dumps({KEY: described}, default=str)
    units = meta.get("units") or ("pixel",) * len(axes)
    places = zip(axes, meta.get("scale", ()), units, strict=False)
    for letter, size, unit in places:
        symbol = SYMBOLS.get(str(unit), str(unit))
        size = abs(float(size))  # OME-TIFF has positive sizes only
        if letter in "ZYX":
            fields |= {f"PhysicalSize{letter}": size, f"PhysicalSize{letter}Unit": symbol}
        elif letter == "T":
            fields |= {"TimeIncrement": size, "TimeIncrementUnit": symbol}
    return fields


def _more(meta: dict[str, Any], axes: str, shape: Sequence[int]) -> dict[str, Any]:
    """Return what was done to an image, and what the fields of OME-TIFF cannot say of its place."""
    given = {name: np.asarray(meta[name], float) for name in PLACE if meta.get(name) is not None}
    place: dict[str, Any] = {name: each.tolist() for name, each in given.items() if _moves(each)}
    scale = [float(size) for size in meta.get("scale", ())]
    named = zip(axes, scale, strict=False)
    if any(size <= 0 or (letter == "C" and size != 1) for letter, size in named):
        place["scale"] = scale
    if 1 in shape:  # readers leave such axes out
        place["axes"] = axes
    done = dict(meta.get("metadata", {}).get(KEY) or {})
    return {**done, PLACE_KEY: place} if place else done


def _moves(values: NDArray[Any]) -> bool:
    """Return whether a part of a transform changes places."""
    rest = np.eye(len(values)) if values.ndim == 2 else 0.0
    return bool(np.any(values != rest))


def reader(path: Any) -> Callable[[Any], list[LayerData]] | None:
    """Return a function that reads an OME-TIFF, or None for other files."""
    first = path if isinstance(path, str) else None
    return read if first and first.lower().endswith((".ome.tif", ".ome.tiff")) else None


def read(path: str) -> list[LayerData]:
    """Return each image of an OME-TIFF as a layer with its scale, units and labels."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        images = _images(file.ome_metadata)
        images += [{}] * (len(file.series) - len(images))
        found = [
            _layer(series.asarray(), series.axes, image)
            for series, image in zip(file.series, images, strict=False)
        ]
    name = Path(path).name.split(".ome.")[0]
    for number, (_, options, _) in enumerate(found):
        options["name"] = name if len(found) == 1 else f"{name} ({number + 1})"
    return found


def _layer(values: Any, axes: str, pixels: dict[str, Any]) -> LayerData:
    """Return an image as a layer."""
    done = _read_description(pixels)
    place = done.get(KEY, {}).pop(PLACE_KEY, {})
    if "axes" in place:
        sizes = dict(zip(axes, values.shape, strict=True))
        axes = place.pop("axes")
        values = values.reshape([sizes.get(letter, 1) for letter in axes])
    if "S" in axes:  # colors in planes, for example
        values = np.moveaxis(values, axes.index("S"), -1)
    labels = axes.replace("S", "")
    rgb = "S" in axes and values.shape[-1] in (3, 4)
    if "S" in axes and not rgb:  # samples that are no colors
        values, labels = np.moveaxis(values, -1, 0), "S" + labels
    options: dict[str, Any] = {
        "rgb": rgb,
        "axis_labels": tuple(label.lower() for label in labels),
        "scale": tuple(_size(pixels, label) for label in labels),
        "units": tuple(_unit(pixels, label) for label in labels),
        "metadata": {key: each for key, each in done.items() if each},
        **{name: np.asarray(place[name]) for name in (*PLACE, "scale") if name in place},
    }
    return values, options, "image"


def _images(text: str | None) -> list[dict[str, Any]]:
    """Return the attributes of the pixels, and the description, of each image of a document."""
    import tifffile

    document = tifffile.xml2dict(text or "").get("OME", {})
    images = document.get("Image", [])
    return [
        {**image.get("Pixels", {}), "Description": image.get("Description", "")}
        for image in (images if isinstance(images, list) else [images])
    ]


def _size(pixels: dict[str, Any], label: str) -> float:
    """Return the distance of two pixels along an axis."""
    name = "TimeIncrement" if label == "T" else f"PhysicalSize{label}"
    return float(pixels.get(name) or 1.0)


def _unit(pixels: dict[str, Any], label: str) -> str:
    """Return the unit of an axis, as napari names it."""
    name = "TimeIncrement" if label == "T" else f"PhysicalSize{label}"
    if name not in pixels:
        return "pixel"
    symbol = str(pixels.get(f"{name}Unit", "s" if label == "T" else "µm")).replace("μ", "µ")
    return UNITS.get(symbol, "pixel")


def _read_description(pixels: dict[str, Any]) -> dict[str, Any]:
    """Return what was done to the image, if this plugin wrote it."""
    try:
        found = json.loads(pixels["Description"])
    except (ValueError, TypeError):
        return {}
    return found if isinstance(found, dict) and KEY in found else {}
