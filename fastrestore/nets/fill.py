"""Inpainting by networks that take an image and a mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastrestore._arrays import interop
from fastrestore.nets import call
from fastrestore.nets.call import Options, Request
from fastrestore.nets.enlarge import check_channels, colors_of, usual_range
from fastrestore.nets.network import Network
from fastrestore.nets.units import Units, units


def inpainter(model: Any) -> tuple[Network, str]:
    """Return the network that `model` is, or the file contains, and its name; refuse others."""
    net, name = call.named("model", model)
    if not net.takes_mask:
        raise ValueError(
            f"model={name!r} does not take a mask; use a network for inpainting, such as LaMa, or "
            "leave model= out"
        )
    return net, name


def filled(
    request: Request,
    first: Any,
    missing: Any,
    dtype: np.dtype[Any],
    report: Callable[[float], None],
) -> Any:
    """Fill in the missing values of an image (C, M, N) of float64.

    `first` has estimates in their place, which remain in alpha; `dtype` is that of the image. A
    pixel that is missing in one color is missing for the network.
    """
    net, name, options, _ = request
    check_channels(len(first), net, name)
    colors = colors_of(first)
    gaps = missing[: len(colors)]
    scale = _units(colors, gaps, options, dtype)
    context = call.prepared(request, first, report)
    stack = interop.namespace(first).concatenate
    repeated = scale.normalized(colors.repeat(net.channels // len(colors), 0))
    seen = stack([repeated, gaps.any(0)[None].astype(repeated.dtype)])
    made = call.forward(net, seen, None, context)
    result = made.astype(np.float64) * scale.extent + scale.low
    if len(colors) < net.channels:
        result = result.mean(0, keepdims=True)
    return interop.namespace(first).where(missing, stack([result, first[len(colors) :]]), first)


def _units(colors: Any, gaps: Any, options: Options, dtype: np.dtype[Any]) -> Units:
    """Return the units of the known values: of the given or usual range, or measured."""
    known = colors[~gaps]
    extent = options.data_range or usual_range(known, dtype)
    if extent is not None:
        return units(colors, extent, 0.0)
    low, high = float(known.min()), float(known.max())
    return Units(low, high - low) if high > low else Units(low - 0.5, 1.0)
