"""Demosaicing: color images from the raw values of a sensor with a Bayer pattern."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrestore._algorithms.inpaint import Gaps, fill
from fastrestore._arrays import interop, outliers, ranges, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._arrays.streams import on_stream_of
from fastrestore._collaborative.profile import Profile
from fastrestore.inverse.iterations import decreasing_sigmas

PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
HIGHEST, LOWEST = 12 / 255, 2 / 255  # of the range: noise level of the first and last iteration
ITERATIONS = 8


@on_stream_of("mosaic")
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
    """Reconstruct a color image from a Bayer mosaic and remove its noise.

    A mosaic has one color at each pixel; the other two are interpolated. Its noise is white, which
    that of an interpolated image is not.

    Parameters
    ----------
    mosaic : array, shape (M, N)
        Raw image of any integer or float type with one color at each pixel. Values may be linear or
        gamma-corrected.
    pattern : {"RGGB", "BGGR", "GRBG", "GBRG"}
        Colors of the first two pixels of the first row, then of the second row.
    sigma : float, default 0
        Standard deviation of the noise, in the units of the mosaic. With 0, known values are not
        changed.
    iterations : int, default 8
        Number of filter iterations. With 0, the initial linear interpolation is returned.
    data_range, profile, workers, backend, progress : optional
        As for `inpaint`.

    Returns
    -------
    array, shape (M, N, 3)
        Red, green and blue, as the same kind of array. Floats keep their type, integers give
        float32.

    Raises
    ------
    TypeError, ValueError, BackendUnavailableError
        As for `inpaint`, and if the pattern is unknown or there are fewer than 4 x 4 pixels.

    See Also
    --------
    denoise : Remove noise from a color image.
    denoise_burst : Merge several frames of a scene.

    Notes
    -----
    The mosaic is interpolated linearly with gradient correction [1]_. The missing colors are then
    improved by the iterations of `inpaint`, on the three channels jointly.

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
    array, restore = interop.recognize("mosaic", mosaic)
    validate.channels("mosaic", array, None, cure="replace them first")
    validate.choice("pattern", pattern, PATTERNS)
    if min(array.shape) < 4:
        raise ValueError(f"mosaic must have at least 4 x 4 pixels, got shape {array.shape}")
    level = validate.not_negative("sigma", sigma)
    outliers.check("mosaic", array, level, outliers.REPLACE)
    count = validate.iterations(iterations, least=0)
    with interop.use_device_of(array), reporting(progress, "demosaic") as report_progress:
        values = array.astype(np.float64)
        known = interop.namespace(array).asarray(_color_masks(pattern, values.shape))
        extent = ranges.range_of(data_range, values)
        ranges.check_sigma(level, extent)
        result = _interpolate(values, known)
        if count > 0:
            sigmas = decreasing_sigmas(HIGHEST * extent, max(LOWEST * extent, level), count)
            options = {"profile": profile, "workers": workers, "backend": backend}
            gaps = Gaps(known * values, ~known, level, sigmas)
            result = fill(gaps, result, {"data_range": extent, **options}, report_progress)
        return restore(interop.planes_to_image(result, array, 2))


def _color_masks(pattern: str, shape: tuple[int, ...]) -> Any:
    """Return where each color is known (3, M, N)."""
    masks = np.zeros((3, *shape), bool)
    for k, color in enumerate(pattern):
        masks["RGB".index(color), k // 2 :: 2, k % 2 :: 2] = True
    return masks


# Filters of [1]_: green at red and blue; red and blue at green, along their row (transposed: along
# their column); red at blue and blue at red
GREEN = np.array([[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0],
                  [0, 0, -1, 0, 0]]) / 8  # fmt: skip
ROW = np.array([[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0],
                   [0, 0, 0.5, 0, 0]]) / 8  # fmt: skip
OTHER = np.array([[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0],
                   [0, 0, -1.5, 0, 0]]) / 8  # fmt: skip


def _interpolate(values: Any, known: Any) -> Any:
    """Interpolate linearly, corrected by the gradient of the known color."""
    namespace, ndimage = interop.namespace(values), interop.ndimage(values)
    at_color, in_row, in_column, at_other = (
        ndimage.convolve(values, namespace.asarray(each), mode="mirror")
        for each in (GREEN, ROW, ROW.T, OTHER)
    )
    red, green, blue = known
    planes = [namespace.where(green, values, at_color)]
    for own, other in ((red, blue), (blue, red)):
        beside = own.any(1)[:, None] & green
        at_green = namespace.where(beside, in_row, in_column)
        rest = namespace.where(other, at_other, at_green)
        planes.append(namespace.where(own, values, rest))
    return namespace.stack([planes[1], planes[0], planes[2]])
