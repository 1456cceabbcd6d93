"""Entry from the public functions: recognizes arrays of Dask and xarray before importing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastrestore._arrays.install import extra


def is_chunked(array: Any) -> bool:
    """Whether an array is of Dask or xarray, from the name of its class's module alone."""
    return type(array).__module__.startswith(("dask.", "xarray."))


def restored(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Return the result of a public function for an array of Dask or xarray.

    `arguments` are all its arguments by name, the array first.
    """
    name = next(iter(arguments))
    if type(arguments[name]).__module__.startswith("xarray."):
        from fastrestore._chunked.labeled import restored_labeled

        return restored_labeled(function, dict(arguments))
    try:
        import dask.array  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{name} is a Dask array, which needs {extra('dask')}") from error
    from fastrestore._chunked.functions import FUNCTIONS

    return FUNCTIONS[function.__name__](function, dict(arguments))
