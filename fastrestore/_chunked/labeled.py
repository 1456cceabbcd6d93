"""Arrays of xarray: their data is restored, and coordinates and attributes are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def restored_labeled(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Return the result of a function for a `DataArray`, whose data is of NumPy or Dask.

    Other arguments that are a `DataArray` are used as their data, in the order of their axes.
    """
    import xarray

    name, array = next(iter(arguments.items()))
    if not isinstance(array, xarray.DataArray):
        kind = type(array).__name__
        one = f"{name}[name]" if kind == "Dataset" else f"{name}.data"
        raise TypeError(f"{name} must be an array, got {kind}; write {one} with one of its arrays")
    plain = {
        key: value.data if isinstance(value, xarray.DataArray) else value
        for key, value in arguments.items()
    }
    result = function(**plain)
    if isinstance(result, tuple):  # with an `Info`
        return (array.copy(data=result[0]), *result[1:])
    shape = getattr(result, "shape", None)  # a delayed object has any attribute
    same = isinstance(shape, tuple) and shape == array.shape
    return array.copy(data=result) if same else result
