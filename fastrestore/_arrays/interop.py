"""Conversion between array libraries; no other module converts arrays or data types.

An input array is converted to a NumPy array, or to a CuPy array if it is on a GPU, and shares its
memory if possible. A result is converted to the library and the device of the input.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from fastrestore._arrays.install import extra

CUPY_CURE = f"{extra('cuda13')}, or [cuda12] for a driver of CUDA 12"

Restore = Callable[[Any], Any]

_CPU, _CUDA = 1, 2  # device types of DLPack


def load_cupy() -> Any:
    """Import CuPy on first use. No other module imports it."""
    import cupy

    return cupy


def loaded_cupy() -> Any:
    """Return CuPy if it has been imported, else None: then there are no CuPy arrays."""
    return sys.modules.get("cupy")


def is_cupy(value: object) -> bool:
    """Return whether a value is a CuPy array."""
    cupy = loaded_cupy()
    return cupy is not None and isinstance(value, cupy.ndarray)


def recognize(name: str, array: Any) -> tuple[Any, Restore]:
    """Return `array` as a NumPy or CuPy array, and a function that converts a result back.

    Raises
    ------
    TypeError
        If it is not an array of real numbers, is masked, or is on an unsupported device.
    ValueError
        If a GPU cannot read it.
    """
    values, restore = share(name, array)
    _check_dtype(name, values.dtype)
    if not on_host(values):
        _check_aligned(name, values)
    return values, restore


def share(name: str, array: Any) -> tuple[Any, Restore]:
    """Return an array as `recognize` does, of any data type."""
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, whose mask is True where a value is invalid; write "
            f"{name}.data, and mask=~{name}.mask if the function has mask=, or fill its masked "
            f"values: {name}.filled({name}.mean())"
        )
    if isinstance(array, (np.ndarray, np.generic)):
        values = np.asarray(array)
        restore: Restore = _unchanged
    elif is_cupy(array):
        values, restore = array, _unchanged
    elif is_torch(array):
        values, restore = _from_torch(name, array)
    elif hasattr(array, "__array_namespace__") and hasattr(array, "__dlpack__"):
        values, restore = _from_namespace(name, array)
    else:
        cure = "read the file first" if isinstance(array, (str, bytes, os.PathLike)) else ""
        cure = cure or f"numpy.asarray({name}) may convert it"
        raise TypeError(f"{name} must be an array, got {_quoted(array)}; {cure}")
    return values, restore


def on_host(values: Any) -> bool:
    """Return whether an array is a NumPy array."""
    return isinstance(values, np.ndarray)


def to_host(value: Any) -> Any:
    """Copy a CuPy array to NumPy, after waiting for the GPU; return other values unchanged."""
    return value.get() if is_cupy(value) else value


def namespace(values: Any) -> Any:
    """Return the module of an array: numpy or cupy."""
    return loaded_cupy() if is_cupy(values) else np


def ndimage(values: Any) -> Any:
    """Return the module of image filters for an array: scipy.ndimage or its CuPy version."""
    return importlib.import_module("cupyx.scipy.ndimage" if is_cupy(values) else "scipy.ndimage")


def transforms(values: Any, workers: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the two-dimensional Fourier transform for an array, and its inverse."""
    if is_cupy(values):
        module = load_cupy().fft
        return module.fft2, module.ifft2
    from scipy import fft

    return functools.partial(fft.fft2, workers=workers), functools.partial(
        fft.ifft2, workers=workers
    )


@functools.cache
def has_gpu_transforms() -> bool:
    """Return whether CuPy finds cuFFT, which not every installation has."""
    try:
        importlib.import_module("cupy.cuda.cufft")
    except ImportError:
        return False
    return True


class DeviceCopies:
    """A host array with a copy on every GPU that uses it."""

    def __init__(self, values: Any) -> None:
        self._copies: dict[int | None, Any] = {None: values}

    def like(self, image: Any) -> Any:
        """Return the copy on the device of an image."""
        device = None if on_host(image) else image.device.id
        if device not in self._copies:
            self._copies[device] = namespace(image).asarray(self._copies[None])
        return self._copies[device]


def finite_ends(values: Any) -> tuple[float, float]:
    """Return the smallest and largest finite value, (inf, -inf) if there is none."""
    if values.dtype.kind != "f":
        return float(values.min()), float(values.max())
    module = namespace(values)
    finite = module.isfinite(values)
    ends = [module.where(finite, values, values.dtype.type(beyond)) for beyond in (np.inf, -np.inf)]
    return float(ends[0].min()), float(ends[1].max())


def to_float64(values: Any) -> Any:
    """Convert numbers or an array to float64, on the same device."""
    return values.astype(np.float64) if is_cupy(values) else np.asarray(values, np.float64)


def channels_first(values: Any, axis: int | None) -> Any:
    """View an image as (C, ...), with one channel if `axis` is None."""
    return values[None] if axis is None else move_axis(values, axis, 0)


def move_axis(values: Any, source: int, target: int) -> Any:
    """View an array with one axis moved to another position."""
    axes = [k for k in range(values.ndim) if k != source % values.ndim]
    axes.insert(target % values.ndim, source % values.ndim)
    return values.transpose(*axes)


def place_like(result: Any, image: Any) -> Any:
    """Copy a result to the GPU of the image, unless it is there already."""
    if on_host(image) or not on_host(result):
        return result
    return load_cupy().asarray(result)


def use_device_of(values: Any, requested: int | None = None) -> AbstractContextManager[Any]:
    """Return a context in which the GPU of an array is the current one.

    For arrays on the host it is the GPU that was requested, if any.
    """
    if on_host(values):
        return nullcontext() if requested is None else load_cupy().cuda.Device(requested)
    if requested not in (None, values.device.id):
        raise ValueError(
            f"backend='cupy:{requested}' is for GPU {requested}, but the array is on GPU "
            f"{values.device.id}; move it there, or write backend='cupy'"
        )
    return values.device  # type: ignore[no-any-return]


def check_same_device(name: str, values: Any, image: Any, whose: str = "image") -> None:
    """Raise if an array is on another device than the image."""

    def place(array: Any) -> str:
        return "the host" if on_host(array) else f"GPU {array.device.id}"

    if place(values) != place(image):
        raise ValueError(f"{name} is on {place(values)} and {whose} on {place(image)}; move one")


def planes_to_image(planes: Any, image: Any, axis: int | None) -> Any:
    """Return a result (C, M, N) with the axes, float type and device of an image."""
    placed = planes[0] if axis is None else move_axis(planes, 0, axis % 3)
    plain = namespace(planes).ascontiguousarray(placed.astype(result_dtype(image.dtype)))
    return place_like(plain, image)


def result_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of a result: floats keep their type, integers give float32."""
    return dtype.newbyteorder("=") if dtype.kind == "f" else np.dtype(np.float32)


def _check_dtype(name: str, dtype: np.dtype[Any]) -> None:
    """Raise unless the type is that of real numbers."""
    if dtype.kind == "c":
        raise TypeError(
            f"{name} is complex ({dtype}); "
            + ("restore image.real and image.imag" if name == "image" else "it must be real")
        )
    if dtype.kind == "b":
        raise TypeError(f"{name} is boolean; convert it: {name}.astype('float32')")
    if dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers, got dtype {dtype}")


def _check_aligned(name: str, values: Any) -> None:
    """Raise if numbers on a GPU are not at multiples of their size, as fields of packed records."""
    size, strides = values.dtype.itemsize, zip(values.shape, values.strides, strict=True)
    if values.data.ptr % size or any(count > 1 and stride % size for count, stride in strides):
        raise ValueError(
            f"{name} is not aligned: its address or its strides {values.strides} are not multiples "
            f"of the {size} bytes of a value, so a GPU cannot read it; copy it to a contiguous "
            "array on the host, with numpy.ascontiguousarray, and that to the GPU"
        )


def _unchanged(result: Any) -> Any:
    return result


def is_torch(array: object) -> bool:
    """Return whether an array is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, getattr(torch, "Tensor", ()))


def is_gpu_tensor(value: Any) -> bool:
    """Return whether a value is a torch tensor on a GPU."""
    return is_torch(value) and value.device.type == "cuda"


def has_gpu_tensor(values: tuple[Any, ...]) -> bool:
    """Return whether one of some values is a torch tensor on a GPU."""
    return "torch" in sys.modules and any(map(is_gpu_tensor, values))


def _from_torch(name: str, tensor: Any) -> tuple[Any, Restore]:
    """Share the memory of a torch tensor on the CPU or a CUDA device."""
    torch = sys.modules["torch"]
    kind, device = tensor.device.type, repr(str(tensor.device))
    if kind not in ("cpu", "cuda"):
        raise TypeError(f"{name} is on device {device}, which no backend uses; pass {name}.cpu()")
    if tensor.requires_grad:
        raise TypeError(
            f"{name} requires a gradient, but restoration is not differentiable; "
            f"pass {name}.detach()"
        )
    if kind == "cuda":
        return _from_dlpack(name, tensor, device, f"pass {name}.cpu()"), torch.from_dlpack
    try:
        values = tensor.numpy()
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"{name} cannot be used as it is ({error}); pass {name}.float()") from None
    return values, torch.from_numpy


def _from_namespace(name: str, array: Any) -> tuple[Any, Restore]:
    """Share the memory of an array that follows the array API standard."""
    kind, device = array.__dlpack_device__()[0], f"{array.device!r}"
    namespace, cure = array.__array_namespace__(), f"move {name} to the host first"
    if kind == _CPU:
        return np.from_dlpack(array), namespace.from_dlpack
    if kind == _CUDA:
        return _from_dlpack(name, array, device, cure), namespace.from_dlpack
    raise TypeError(
        f"{name} is a {_quoted(array)} on device {device}, which no backend uses; {cure}"
    )


def _from_dlpack(name: str, array: Any, device: str, cure: str) -> Any:
    """Share GPU memory with CuPy."""
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


def _quoted(value: object) -> str:
    """Quote the type of a value, and the value if it is short."""
    text = repr(value)
    kind = type(value).__name__
    return f"{kind} {text}" if len(text) <= 40 else kind
