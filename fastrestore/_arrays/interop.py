"""The only place where arrays change library or dtype.

In: any array becomes one of NumPy, or of CuPy if it is on a GPU, that shares its memory where it
can. Out: the result becomes an array of the library, on the device, that the input came from.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

CUPY_CURE = "pip install 'fastrestore[cuda13]', or [cuda12] for a driver of CUDA 12"

Restore = Callable[[Any], Any]

_CPU, _CUDA = 1, 2  # DLPack's numbers for memory that the host reads, and a GPU


def load_cupy() -> Any:
    """Import CuPy, which nothing else here imports, and never before it is needed."""
    import cupy

    return cupy


def loaded_cupy() -> Any:
    """Return CuPy if it has been imported, else None: no array can be one of its own then."""
    return sys.modules.get("cupy")


def is_cupy(value: object) -> bool:
    """Whether this is an array of CuPy."""
    cupy = loaded_cupy()
    return cupy is not None and isinstance(value, cupy.ndarray)


def recognize(name: str, array: Any) -> tuple[Any, Restore]:
    """Return `array` as one of NumPy or CuPy, and how to give a result back as its kind.

    Raises
    ------
    TypeError
        If it is not an array, on a device that nothing here can use, masked, or not of real
        numbers.
    """
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, whose hidden pixels would be restored as if they were "
            f"real; fill them first, for example {name}.filled({name}.mean())"
        )
    if isinstance(array, (np.ndarray, np.generic)):
        values = np.asarray(array)
        restore: Restore = _as_it_is
    elif is_cupy(array):
        values, restore = array, _as_it_is
    elif _is_torch(array):
        values, restore = _from_torch(name, array)
    elif hasattr(array, "__array_namespace__") and hasattr(array, "__dlpack__"):
        values, restore = _from_namespace(name, array)
    else:
        cure = "read the file first" if isinstance(array, (str, bytes, os.PathLike)) else ""
        cure = cure or f"numpy.asarray({name}) may make one of it"
        raise TypeError(f"{name} must be an array, got {_quoted(array)}; {cure}")
    _check_dtype(name, values.dtype)
    return values, restore


def on_host(values: Any) -> bool:
    """Whether this is an array of NumPy."""
    return isinstance(values, np.ndarray)


def to_host(value: Any) -> Any:
    """Copy an array of CuPy to NumPy, which waits for the GPU; anything else stays as it is."""
    return value.get() if is_cupy(value) else value


def namespace(values: Any) -> Any:
    """Return the module of an array, numpy or cupy."""
    return loaded_cupy() if is_cupy(values) else np


def ndimage(values: Any) -> Any:
    """Return the module of image filters for an array, that of SciPy or of CuPy."""
    return importlib.import_module("cupyx.scipy.ndimage" if is_cupy(values) else "scipy.ndimage")


class DeviceCopies:
    """An array on the host, with a copy on each GPU on which it is used."""

    def __init__(self, values: Any) -> None:
        self._copies: dict[int | None, Any] = {None: values}

    def like(self, image: Any) -> Any:
        """Return the copy on the device of an image."""
        device = None if on_host(image) else image.device.id
        if device not in self._copies:
            self._copies[device] = namespace(image).asarray(self._copies[None])
        return self._copies[device]


def to_float64(values: Any) -> Any:
    """Convert numbers, or an array where it is."""
    return values.astype(np.float64) if is_cupy(values) else np.asarray(values, np.float64)


def channels_first(values: Any, axis: int | None) -> Any:
    """View an image as (C, M, N), with one channel if `axis` is None."""
    if axis is None:
        return values[None]
    return values.transpose(axis % 3, *(k for k in range(3) if k != axis % 3))


def move_axis(values: Any, source: int, target: int) -> Any:
    """View with one axis in another place."""
    axes = [k for k in range(values.ndim) if k != source % values.ndim]
    axes.insert(target % values.ndim, source % values.ndim)
    return values.transpose(*axes)


def place_like(result: Any, image: Any) -> Any:
    """Copy a result to the GPU that the image came from, if it is not there."""
    if on_host(image) or not on_host(result):
        return result
    return load_cupy().asarray(result)


def use_device_of(values: Any) -> AbstractContextManager[Any]:
    """Make the GPU that an array is on the current one."""
    return nullcontext() if on_host(values) else values.device


def check_same_device(name: str, values: Any, image: Any, whose: str = "image") -> None:
    """Refuse an array that is not where the image is."""

    def place(array: Any) -> str:
        return "the host" if on_host(array) else f"GPU {array.device.id}"

    if place(values) != place(image):
        raise ValueError(f"{name} is on {place(values)} and {whose} on {place(image)}; move one")


def planes_to_image(planes: Any, there: Any, axis: int | None) -> Any:
    """Turn results (C, M, N) into an image like `there`, of floats: its axes, its device."""
    placed = planes[0] if axis is None else move_axis(planes, 0, axis % 3)
    plain = namespace(planes).ascontiguousarray(placed.astype(result_dtype(there.dtype)))
    return place_like(plain, there)


def result_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Floats keep their type, integers give float32 in the same units."""
    return dtype.newbyteorder("=") if dtype.kind == "f" else np.dtype(np.float32)


def _check_dtype(name: str, dtype: np.dtype[Any]) -> None:
    """Refuse what is not a real number."""
    if dtype.kind == "c":
        raise TypeError(
            f"{name} is complex ({dtype}); "
            + (
                f"restore {name}.real and {name}.imag one by one"
                if name == "image"
                else "it has to be real"
            )
        )
    if dtype.kind == "b":
        raise TypeError(f"{name} is boolean; convert it: {name}.astype('float32')")
    if dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers, got dtype {dtype}")


def _as_it_is(result: Any) -> Any:
    return result


def _is_torch(array: object) -> bool:
    """Ask whether this is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, getattr(torch, "Tensor", ()))


def _from_torch(name: str, tensor: Any) -> tuple[Any, Restore]:
    """Share the memory of a torch tensor on the CPU or a CUDA device."""
    torch = sys.modules["torch"]
    kind, device = tensor.device.type, repr(str(tensor.device))
    if kind not in ("cpu", "cuda"):
        raise TypeError(f"{name} is on device {device}, which no backend uses; pass {name}.cpu()")
    if tensor.requires_grad:
        raise TypeError(
            f"{name} requires a gradient, which restoring does not pass on; write {name}.detach()"
        )
    if kind == "cuda":
        return _from_dlpack(name, tensor, device, f"pass {name}.cpu()"), torch.from_dlpack
    try:
        values = tensor.numpy()
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"{name} cannot be used as it is ({error}); pass {name}.float()") from None
    return values, torch.from_numpy


def _from_namespace(name: str, array: Any) -> tuple[Any, Restore]:
    """Share the memory of an array of the array API standard."""
    kind, device = array.__dlpack_device__()[0], f"{array.device!r}"
    namespace = array.__array_namespace__()

    def restore(result: Any) -> Any:
        return namespace.from_dlpack(result)

    if kind == _CPU:
        return np.from_dlpack(array), restore
    if kind == _CUDA:
        return _from_dlpack(name, array, device, _moved(name)), restore
    raise TypeError(
        f"{name} is a {_quoted(array)} on device {device}, which no backend uses; {_moved(name)}"
    )


def _from_dlpack(name: str, array: Any, device: str, cure: str) -> Any:
    """Share memory of a GPU with CuPy."""
    try:
        cupy = load_cupy()
    except Exception:
        raise TypeError(
            f"{name} is on device {device}, which needs CuPy ({CUPY_CURE}); or {cure}"
        ) from None
    try:
        return cupy.from_dlpack(array)
    except Exception as error:
        raise TypeError(f"{name} cannot be used as it is ({error}); convert it first") from None


def _moved(name: str) -> str:
    return f"move {name} to the host first"


def _quoted(value: object) -> str:
    """Name a type, and the value where it is short."""
    text = repr(value)
    kind = type(value).__name__
    return f"{kind} {text}" if len(text) <= 40 else kind
