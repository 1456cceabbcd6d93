"""Functions for one plane, applied to all planes of an array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastrestore._napari import colors
from fastrestore._napari.whole import Result
from fastrestore._napari.work import Report


def each_plane(function: Callable[..., Any], image: Any, inner: int, report: Report) -> Result:
    """Restore each plane of an array by itself.

    Parameters
    ----------
    function : callable
        Is called with a plane and `progress`.
    image : array
        The array. Of a lazy one, a plane at a time is read.
    inner : int
        Axes of a plane: 2, or 3 with colors.
    report : callable
        Is called with ``(done, total)``.
    """
    rgb = inner > 2
    places = list(np.ndindex(*image.shape[: image.ndim - inner]))
    out = None
    for done, place in enumerate(places):
        plane = np.asarray(image[place])
        step = _share(report, done, len(places))
        restored = function(colors.without_alpha(plane, rgb), progress=step)
        values = colors.complete(restored, plane, rgb)
        out = np.empty(image.shape, values.dtype) if out is None else out
        out[place] = values
    return Result(out, {})


def _share(report: Report, done: int, parts: int) -> Report:
    """Return a report for one of several parts."""
    return lambda step, total: report(done * total + step, parts * total)
