"""The only place where arrays change library or dtype.

In: any array becomes a NumPy array that shares its memory where it can. Out: the result
becomes an array of the library, on the device, that the input came from.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Restore = Callable[[NDArray[Any]], Any]

_CPU = 1  # DLPack's number for memory that the host reads


def recognise(name: str, array: Any) -> tuple[NDArray[Any], Restore]:
    """Return `array` as a native NumPy array, and how to give a result back as its kind.

    Raises
    ------
    TypeError
        If it is not an array, not on the host, masked, or not of real numbers.
    """
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, whose hidden pixels would be restored as if they were "
            f"real; fill them first, for example {name}.filled({name}.mean())"
        )
    if isinstance(array, (np.ndarray, np.generic)):
        values = np.asarray(array)
        restore: Restore = _as_numpy
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


def _as_numpy(result: NDArray[Any]) -> NDArray[Any]:
    return result


def _is_torch(array: object) -> bool:
    """Ask whether this is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, getattr(torch, "Tensor", ()))


def _from_torch(name: str, tensor: Any) -> tuple[NDArray[Any], Restore]:
    """Share the memory of a torch tensor on the CPU."""
    torch = sys.modules["torch"]
    if tensor.device.type != "cpu":
        raise TypeError(
            f"{name} is on device {str(tensor.device)!r}, which no available backend can use; "
            f"pass {name}.cpu()"
        )
    if tensor.requires_grad:
        raise TypeError(
            f"{name} requires a gradient, which bm3d does not have; pass {name}.detach()"
        )
    try:
        values = tensor.numpy()
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"{name} cannot be used as it is ({error}); pass {name}.float()") from None
    return values, torch.from_numpy


def _from_namespace(name: str, array: Any) -> tuple[NDArray[Any], Restore]:
    """Share the memory of an array of the array API standard on the host."""
    if array.__dlpack_device__()[0] != _CPU:
        raise TypeError(
            f"{name} is a {_quoted(array)} on device {array.device!r}, which no available backend "
            "can use; move it to the host first"
        )
    namespace = array.__array_namespace__()

    def restore(result: NDArray[Any]) -> Any:
        return namespace.from_dlpack(result)

    return np.from_dlpack(array), restore


def _quoted(value: object) -> str:
    """Name a type, and the value where it is short."""
    text = repr(value)
    kind = type(value).__name__
    return f"{kind} {text}" if len(text) <= 40 else kind
