"""Entry from the public functions: recognizes arrays of Dask and xarray before importing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastrestore._arrays.install import extra


def is_chunked(array: Any) -> bool:
    """Whether an array is of Dask or xarray, from the name of its class's module alone."""
    return type(array).__module__.startswith(("dask.", "xarray."))


def is_labeled(array: Any) -> bool:
    """Whether an array is of xarray, from the name of its class's module alone."""
    return type(array).__module__.startswith("xarray.")


def stacked(parts: list[Any], together: list[bool], shape: tuple[int, ...]) -> Any:
    """Join parts of a Dask array, along the axes that they lack, in the order of their indices."""
    import dask.array as da

    outer = [axis for axis, inside in enumerate(together) if not inside]
    for axis in reversed(outer):  # the last axis varies fastest
        count = shape[axis]
        position = sum(together[:axis])
        groups = [parts[k : k + count] for k in range(0, len(parts), count)]
        parts = [da.stack(group, position) for group in groups]
        together[axis] = True
    return parts[0]


def restored(function: Callable[..., Any], arguments: Mapping[str, Any], **others: Any) -> Any:
    """Return the result of a public function for an array of Dask or xarray.

    `arguments` are all its arguments by name, the array first, and `others` what the function for
    Dask needs besides.
    """
    name = next(iter(arguments))
    if is_labeled(arguments[name]):
        from fastrestore._chunked.labeled import restored_labeled

        return restored_labeled(function, dict(arguments))
    try:
        import dask.array  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{name} is a Dask array, which needs {extra('dask')}") from error
    from fastrestore._chunked.arrays import refuse_others
    from fastrestore._chunked.functions import FUNCTIONS
    from fastrestore._chunked.versions import check_workers

    refuse_others(arguments)
    check_workers()
    return FUNCTIONS[function.__name__](function, dict(arguments), **others)
