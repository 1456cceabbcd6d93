"""Mosaics of colours, as sensors behind a Bayer filter give them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrestore._arrays import interop, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._collaborative.profile import Profile

PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
HIGHEST, LOWEST = 12 / 255, 2 / 255  # of the range: sigma of the first iteration and the last
ITERATIONS = 8


def demosaic(
    mosaic: Any,
    pattern: str = "RGGB",
    sigma: float = 0.0,
    *,
    iterations: int = ITERATIONS,
    data_range: float | None = None,
    profile: str | Profile = "lc",
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
) -> Any:
    """Make a colour image of a Bayer mosaic, and remove its noise.

    Parameters
    ----------
    mosaic : array, shape (M, N)
        One colour at each pixel, of any integer or float type; linear, or as it is to be shown.
    pattern : {"RGGB", "BGGR", "GRBG", "GBRG"}
        Colours of the first two pixels of the first row, and of the second row.
    sigma : float, default 0
        Standard deviation of the noise, in the units of the mosaic. With 0 what is known stays.
    iterations : int, default 8
        How often the image is filtered; 0 gives the linear interpolation that it begins with.
    data_range, profile, workers, backend, progress
        As for `inpaint`.

    Returns
    -------
    array, shape (M, N, 3)
        Red, green and blue; the same kind of array, floats keep their type, integers give float32.

    Raises
    ------
    TypeError, ValueError, BackendUnavailableError
        As `inpaint` does; if the pattern is unknown, or there are fewer than 4 x 4 pixels.

    Notes
    -----
    Linear interpolation corrected by gradients [1]_, then the iteration of `inpaint`, on colours
    together.

    References
    ----------
    .. [1] H. S. Malvar, L. He, R. Cutler, "High-quality linear interpolation for demosaicing of
       Bayer-patterned color images", ICASSP 2004.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> mosaic = np.full((16, 16), 40.0)
    >>> mosaic[::2, ::2] = 90  # red
    >>> image = fastrestore.demosaic(mosaic, "RGGB")
    >>> image.shape, bool(np.abs(image - [90, 40, 40]).max() < 1)
    ((16, 16, 3), True)
    """
    there, restore = interop.recognize("mosaic", mosaic)
    validate.channels("mosaic", there, None)
    if pattern not in PATTERNS:
        known = ", ".join(map(repr, PATTERNS))
        raise ValueError(f"pattern must be one of {known}, got {pattern!r}")
    if min(there.shape) < 4:
        raise ValueError(f"mosaic must have 4 x 4 pixels or more, got shape {there.shape}")
    level = validate.not_negative("sigma", sigma)
    if isinstance(iterations, bool) or not isinstance(iterations, (int, np.integer)):
        raise TypeError(f"iterations must be a whole number, got {iterations!r}")
    if iterations < 0:
        raise ValueError(f"iterations must be 0 or more, got {iterations}")
    namespace = interop.namespace(there)
    with interop.use_device_of(there), reporting(progress, "demosaic") as tick:
        values = there.astype(np.float64)
        known = namespace.asarray(_places(pattern, values.shape))
        extent = validate.range_of(data_range, values)
        result = _interpolated(values, known)
        if iterations > 0:
            from fastrestore._algorithms.inpaint import falling, filled

            options: dict[str, Any] = {"data_range": extent, "workers": workers}
            options |= {"profile": profile, "channel_axis": 0, "backend": backend}
            sigmas = falling(HIGHEST, LOWEST, extent, level, iterations)
            result = filled(known * values, ~known, sigmas, level, options, tick, result)
        return restore(interop.planes_to_image(result, there, 2))


def _places(pattern: str, shape: tuple[int, ...]) -> Any:
    """Where each colour is known (3, M, N)."""
    places = np.zeros((3, *shape), bool)
    for k, colour in enumerate(pattern):
        places["RGB".index(colour), k // 2 :: 2, k % 2 :: 2] = True
    return places


# Eighths, of the mosaic around a pixel: the colour that is missing there, by where it is known
CROSS = np.array([[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0],
                  [0, 0, -1, 0, 0]]) / 8  # fmt: skip
BESIDE = np.array([[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0],
                   [0, 0, 0.5, 0, 0]]) / 8  # fmt: skip
ACROSS = np.array([[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0],
                   [0, 0, -1.5, 0, 0]]) / 8  # fmt: skip


def _interpolated(values: Any, known: Any) -> Any:
    """Interpolate linearly, corrected by the gradient of the colour that is known."""
    if interop.on_host(values):
        from scipy import ndimage
    else:
        from cupyx.scipy import ndimage
    namespace = interop.namespace(values)
    cross, beside, above, across = (
        ndimage.convolve(values, namespace.asarray(each), mode="mirror")
        for each in (CROSS, BESIDE, BESIDE.T, ACROSS)
    )
    red, green, blue = known
    planes = [namespace.where(green, values, cross)]
    for own, other in ((red, blue), (blue, red)):
        in_row = own.any(1)[:, None] & green
        found = namespace.where(in_row, beside, above)
        planes.append(namespace.where(own, values, namespace.where(other, across, found)))
    return namespace.stack([planes[1], planes[0], planes[2]])
