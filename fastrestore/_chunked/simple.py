"""Functions of Dask arrays whose chunks do not overlap: stacks of sinograms, estimates of noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da

from fastrestore._arrays import interop, validate
from fastrestore._chunked import arrays, options
from fastrestore._chunked.noise import specification
from fastrestore._chunked.survey import surveyed
from fastrestore._noise.choice import MODELS


def estimate_noise(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Return the `NoiseSpec` of an image, delayed."""
    image = arguments["image"]
    arrays.check("image", image)
    options.refuse(function, arguments, "mask")
    model = validate.choice("model", arguments["model"], MODELS)
    axis = arguments["channel_axis"]
    validate.check_axes("image", image.shape, axis)
    planes = arrays.as_planes(image, None if axis is None else axis % image.ndim)
    return specification("image", planes, model)


def remove_streaks(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Remove streaks lazily; the chunks of a stack have whole sinograms."""
    sinogram = arguments.pop("sinogram")
    arrays.check("sinogram", sinogram)
    if arguments.pop("progress") is not False:
        raise ValueError(
            f"progress is not supported for a chunked array: {options.CURES['progress']}"
        )
    axes = [
        validate.axis(name, arguments[name], sinogram.shape)
        for name in ("angle_axis", "detector_axis")
    ]
    if any(sinogram.numblocks[axis] > 1 for axis in axes):
        validate.warn(
            f"sinogram is rechunked to whole sinograms, which moves up to {sinogram.nbytes:.3g} "
            f"bytes; chunks that divide only the stack avoid it: sinogram.rechunk({{{axes[0]}: -1, "
            f"{axes[1]}: -1}})"
        )
        sinogram = sinogram.rechunk(dict.fromkeys(axes, -1))
    if arguments["workers"] is None:
        arguments["workers"] = 1
    checked = None
    if arrays.on_host(sinogram):
        checked = surveyed("sinogram", arrays.again(sinogram)[None])
    dtype = interop.result_dtype(sinogram.dtype)
    return da.map_blocks(
        _without_streaks, sinogram, function=function, options=arguments, checked=checked,
        dtype=dtype, meta=arrays.like(sinogram, dtype, sinogram.ndim),
    )  # fmt: skip


def _without_streaks(
    sinograms: Any, function: Callable[..., Any], options: dict[str, Any], checked: Any
) -> Any:
    """Remove the streaks of a chunk, after all chunks have been checked."""
    del checked
    return function(sinograms, **options)
