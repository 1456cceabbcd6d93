"""Arguments that chunked arrays do not support are refused by name, before a graph is built."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from fastrestore._arrays import validate
from fastrestore._collaborative import sides
from fastrestore._collaborative.profile import Profile, named_profile

# What works instead of an argument
CURES = {
    "mask": "invalid pixels are replaced by means of the whole image; replace them first",
    "guide": "its noise is measured on the whole image; leave it out",
    "matches": "the matches of all blocks do not fit in memory; leave it out",
    "return_info": "nothing has been measured before the result is computed; leave it out, and "
    "estimate_noise gives the noise",
    "uncertainty": "call it for parts of the image that fit in memory",
    "max_memory": "the chunks of the array set the memory; rechunk it",
    "progress": "the result is computed later: use dask.diagnostics.ProgressBar, or the dashboard "
    "of dask.distributed",
    "batch_axis": "restore the images one by one, and join them by dask.array.stack",
    "axis": "let chunks have whole signals, and write dask.array.map_blocks",
    "tune": "call it for a part of the image that fits in memory",
}


def refuse(function: Callable[..., Any], arguments: Mapping[str, Any], *names: str) -> None:
    """Raise if one of some arguments differs from its default."""
    parameters = inspect.signature(function).parameters
    for name in names:
        value, default = arguments[name], parameters[name].default
        if value is default or (isinstance(value, (bool, str)) and value == default):
            continue
        raise ValueError(
            f"{name}={validate.quoted(value)} is not supported for a chunked array: {CURES[name]}"
        )


def tileable(profile: Any) -> Profile:
    """Return a profile; raise if it needs the whole image."""
    numbers = named_profile(profile)
    if sides.are_given(numbers):
        raise ValueError(
            f"profile {numbers.name!r} has sides of blocks by axis, which is not supported for a "
            "chunked array; use profile='np'"
        )
    if numbers.whole():
        raise ValueError(
            f"profile {numbers.name!r} {numbers.whole()}, which needs the spectrum of the whole "
            "image: it is not supported for a chunked array; use profile='np'"
        )
    return numbers
