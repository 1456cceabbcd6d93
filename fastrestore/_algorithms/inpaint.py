"""Images with missing pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastrestore._algorithms.bm3d import bm3d
from fastrestore._arrays import interop, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._collaborative.profile import Profile

HIGHEST, LOWEST = 30 / 255, 3 / 255  # of the range: sigma of the first iteration and the last
ITERATIONS = 16
FURTHER = 1.8  # times as far as the filter says: what it leaves is put right by the next one
WIDTHS = (0.7, 1.5, 3.0, 6.0, 12.0, 24.0, 48.0)  # pixels: of Gaussians that known pixels spread by
ENOUGH = 0.05  # weight of known pixels under a Gaussian


def inpaint(
    image: Any,
    mask: Any,
    sigma: float = 0.0,
    *,
    iterations: int = ITERATIONS,
    channel_axis: int | None = None,
    data_range: float | None = None,
    profile: str | Profile = "lc",
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
) -> Any:
    """Fill in missing pixels, from what the rest of the image looks like.

    Parameters
    ----------
    image : array, shape (M, N), or three axes with `channel_axis`
        Image of any integer or float type. What it holds where pixels are missing, NaN too, does
        not matter.
    mask : array of bool, shape (M, N), or that of `image`
        True where a pixel is missing: scattered pixels, scratches, text, holes.
    sigma : float, default 0
        Standard deviation of the noise of the other pixels, in the units of the image; they are
        restored, too. With 0 they stay exactly as they are.
    iterations : int, default 16
        More of them change little, in large holes too.
    channel_axis : int, optional
        Where colours are.
    data_range : float, optional
        Range of the clean image. Without it that of the known pixels is measured.
    profile : str or Profile, default "lc"
        As for `bm3d`.
    workers, backend, progress
        As for `bm3d`.

    Returns
    -------
    array, shape of `image`
        The same kind of array; floats keep their type, integers give float32.

    Raises
    ------
    TypeError, ValueError
        As `bm3d` does; if the mask has another shape, or all is missing.
    BackendUnavailableError
        If the backend asked for cannot run here.

    Notes
    -----
    Missing pixels begin as means of known ones nearby. Then `bm3d` filters the image again and
    again, for noise that falls from 30 to 3 of 255, and known pixels are put back each time: half
    quadratic splitting, see `fastrestore.inverse.pnp`, in which missing pixels go 1.8 times as far
    as the filter says. After
    A. Danielyan, A. Foi, V. Katkovnik, K. Egiazarian, "Spatially adaptive filtering as
    regularization in inverse imaging: compressive sensing, super-resolution, and upsampling", 2010.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> clean = 100 + 50 * np.sin(np.arange(64) / 3) * np.ones((64, 1))
    >>> missing = np.random.default_rng(0).random((64, 64)) < 0.7
    >>> damaged = np.where(missing, np.nan, clean)
    >>> restored = fastrestore.inpaint(damaged, missing)
    >>> bool(np.abs(restored - clean).max() < 20), bool((restored == clean)[~missing].all())
    (True, True)
    """
    from fastrestore.inverse.operators import missing

    there, restore = interop.recognize("image", image)
    validate.check_axes("image", there.shape, channel_axis)
    planes = there[None] if channel_axis is None else interop.channels_first(there, channel_axis)
    unknown = _unknown(mask, there, planes, channel_axis, missing)
    level = validate.not_negative("sigma", sigma)
    if isinstance(iterations, bool) or not isinstance(iterations, (int, np.integer)):
        raise TypeError(f"iterations must be a whole number, got {iterations!r}")
    if iterations < 1:
        raise ValueError(f"iterations must be 1 or more, got {iterations}")
    namespace = interop.namespace(there)
    with interop.use_device_of(there):
        away = namespace.asarray(unknown)
        seen = namespace.where(away, 0, planes).astype(np.float64)
        validate.check_finite(
            "the known part of image",
            seen[0] if channel_axis is None else interop.move_axis(seen, 0, channel_axis % 3),
        )
        extent = validate.range_of(data_range, seen[~away])
        options: dict[str, Any] = {"data_range": extent, "workers": workers}
        options |= {"profile": profile, "channel_axis": 0, "backend": backend}
        if not unknown.any() and level == 0:
            result = seen
        else:
            with reporting(progress, "inpaint") as tick:
                sigmas = falling(HIGHEST, LOWEST, extent, level, iterations)
                result = filled(seen, away, sigmas, level, options, tick)
        return restore(interop.planes_to_image(result, there, channel_axis))


def _unknown(
    mask: Any, there: Any, planes: Any, axis: int | None, check: Callable[[Any], Any]
) -> Any:
    """The mask of every channel (C, M, N), on the host."""
    values = np.asarray(interop.to_host(mask))
    if axis is not None and values.ndim == 3:
        if values.shape != there.shape:
            raise ValueError(f"mask has shape {values.shape}, the image {there.shape}")
        return np.stack([check(each) for each in interop.channels_first(values, axis)])
    if values.shape != tuple(planes.shape[-2:]):
        size = tuple(planes.shape[-2:])
        raise ValueError(f"mask has shape {values.shape}, the image {size}")
    return np.broadcast_to(check(mask), planes.shape)


def falling(highest: float, lowest: float, extent: float, level: float, count: int) -> Any:
    """Sigmas of the iterations, of which none is less than the noise."""
    least = max(lowest * extent, level)
    return np.geomspace(max(highest * extent, least), least, int(count))


def filled(
    seen: Any,
    away: Any,
    sigmas: Any,
    level: float,
    options: dict[str, Any],
    tick: Callable[[float], None],
    start: Any = None,
) -> Any:
    """Filter (C, M, N) again and again, and put known pixels back."""
    namespace = interop.namespace(seen)
    found = begun(seen, away) if start is None else start
    for k, strength in enumerate(sigmas):
        filtered = bm3d(found, float(strength), **options)
        tick(1 / len(sigmas))
        if k < len(sigmas) - 1 or level == 0:
            found = namespace.where(away, found + FURTHER * (filtered - found), seen)
        else:
            found = filtered
    return found


def begun(seen: Any, away: Any) -> Any:
    """A first image: each missing pixel is the mean of known ones, as near as there are enough."""
    if interop.on_host(seen):
        from scipy import ndimage
    else:
        from cupyx.scipy import ndimage
    namespace = interop.namespace(seen)
    planes = []
    for plane, missing in zip(seen, away, strict=True):
        known = namespace.where(missing, 0.0, 1.0)
        out = namespace.full_like(plane, float((plane * known).sum() / known.sum()))
        for width in reversed(WIDTHS):
            weight = ndimage.gaussian_filter(known, width)
            mean = ndimage.gaussian_filter(plane * known, width)
            enough = weight > ENOUGH
            out = namespace.where(enough, mean / namespace.maximum(weight, ENOUGH), out)
        planes.append(namespace.where(missing, out, plane))
    return namespace.stack(planes)
