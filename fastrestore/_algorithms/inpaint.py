"""Inpainting: reconstruction of missing pixels."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastrestore._algorithms.bm3d import bm3d
from fastrestore._arrays import interop, outliers, ranges, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._arrays.streams import on_stream_of
from fastrestore._collaborative.profile import Profile
from fastrestore.inverse.iterations import decreasing_sigmas
from fastrestore.inverse.missing import check_mask

if TYPE_CHECKING:
    import os

    from fastrestore.nets import Network

HIGHEST, LOWEST = 30 / 255, 3 / 255  # of the range: noise level of the first and last iteration
ITERATIONS = 16
# Options that only networks use, or only bm3d
DEFAULTS = {
    "tile": "auto", "device": None, "precision": "auto",
    "sigma": 0, "iterations": ITERATIONS, "profile": "lc", "workers": None, "backend": None,
}  # fmt: skip
OVERRELAXATION = 1.8  # of missing pixels; the next iteration corrects an overshoot
WIDTHS = (0.7, 1.5, 3.0, 6.0, 12.0, 24.0, 48.0)  # pixels: Gaussians of the first estimate
LEAST_WEIGHT = 0.05  # least total weight of the known pixels under a Gaussian


@on_stream_of("image")
def inpaint(
    image: Any,
    mask: Any,
    sigma: float = 0.0,
    *,
    model: str | os.PathLike[str] | Network | None = None,
    iterations: int = ITERATIONS,
    channel_axis: int | None = None,
    data_range: float | None = None,
    profile: str | Profile = "lc",
    workers: int | None = None,
    backend: str | None = None,
    tile: int | str | None = "auto",
    device: str | None = None,
    precision: str = "auto",
    progress: Progress = False,
) -> Any:
    """Fill in missing pixels of an image.

    Known pixels are kept, unless there is a noise level `sigma`, which is removed, too.

    Parameters
    ----------
    image : array, shape (M, N), or three axes with `channel_axis`
        Image of any integer or float type. Values of missing pixels are ignored; they may be NaN.
    mask : array of bool, shape (M, N), or shape of `image`
        True where a pixel is missing: scattered pixels, scratches, text, holes. The mask of `bm3d`
        is the opposite.
    sigma : float, default 0
        Standard deviation of the noise of the known pixels, in the units of the image. This noise
        is removed, too. With 0, known pixels are not changed.
    model : path or Network, optional
        Network that takes an image and a mask, such as LaMa, from `fastrestore.nets.load`, or its
        file. It generates plausible contents for large holes. By default `bm3d` is used.
    iterations : int, default 16
        Number of iterations, at least 1. More than 16 make little difference, even in large holes.
    channel_axis : int, optional
        Axis of the channels of a color image.
    data_range : float, optional
        Range of the clean image, such as 255. By default that of the known pixels is measured;
        for networks see `super_resolve`.
    profile : str or Profile, default "lc"
        As for `bm3d`.
    workers, backend : optional
        As for `bm3d`.
    tile, device, precision : optional
        For networks: as for `fastrestore.nets.apply`.
    progress : bool or callable, default False
        As for `bm3d`.

    Returns
    -------
    array, shape of `image`
        The same kind of array, not clipped. Floats keep their type, integers give float32.

    Raises
    ------
    TypeError, ValueError
        As for `bm3d`, and if the mask has another shape or marks all pixels as missing, or an
        option is given that is not used with, or without, `model`.
    BackendUnavailableError
        If the requested backend or device cannot run here.
    ImportError
        If `model` is given and PyTorch is not installed.
    MemoryError
        As for `fastrestore.nets.apply`.

    See Also
    --------
    bm3d : Remove noise; its `mask` excludes pixels, which are not filled in.
    inverse.pnp : Restore an image from any linear measurements.

    Notes
    -----
    Missing pixels are initialized with means of nearby known pixels. `bm3d` then filters the image
    repeatedly, for a noise level that decreases from 30/255 to 3/255 of the range, or to `sigma` if
    that is larger. Known pixels are reset to their values after each iteration [1]_. This is
    half-quadratic splitting, see `fastrestore.inverse.pnp`, with an over-relaxation of 1.8 for the
    missing pixels.

    With `model` the known pixels are not changed. The network sees a pixel as missing if it is
    missing in any color. Gray images are given to networks for RGB as three equal colors. Alpha is
    interpolated.

    References
    ----------
    .. [1] A. Danielyan, A. Foi, V. Katkovnik, K. Egiazarian, "Spatially adaptive filtering as
       regularization in inverse imaging: compressive sensing, super-resolution, and upsampling",
       in "Super-Resolution Imaging", CRC Press, 2010.

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
    options = {"profile": profile, "workers": workers, "backend": backend}
    learned = {"tile": tile, "device": device, "precision": precision}
    _check_unused(model, learned, {"sigma": sigma, "iterations": iterations, **options})
    network = None if model is None else _network(model, {"data_range": data_range, **learned})
    array, restore = interop.recognize("image", image)
    validate.check_axes("image", array.shape, channel_axis)
    planes = interop.channels_first(array, channel_axis)
    mask_planes = _mask_planes(mask, array, channel_axis)
    level = validate.not_negative("sigma", sigma)
    count = validate.iterations(iterations)
    namespace = interop.namespace(array)
    with interop.use_device_of(array), reporting(progress, "inpaint") as report_progress:
        missing = namespace.asarray(mask_planes)
        values = namespace.where(missing, 0, planes).astype(np.float64)
        known = values[0] if channel_axis is None else interop.move_axis(values, 0, channel_axis)
        validate.check_finite("the known part of image", known, cure="mark them as missing in mask")
        known_pixels = ~(
            mask_planes[0] if channel_axis is None else np.moveaxis(mask_planes, 0, channel_axis)
        )
        outliers.check("image", array, level, "mark it as missing in mask", known_pixels)
        extent = ranges.range_of(data_range, values[~missing])
        ranges.check_sigma(level, extent)
        result = values
        if network is not None:
            if mask_planes.any():
                first = first_estimate(values, missing)
                result = network(first, missing, array.dtype, report_progress)
        elif mask_planes.any() or level > 0:
            sigmas = decreasing_sigmas(HIGHEST * extent, max(LOWEST * extent, level), count)
            first = first_estimate(values, missing)
            gaps = Gaps(values, missing, level, sigmas)
            result = fill(gaps, first, {"data_range": extent, **options}, report_progress)
        return restore(interop.planes_to_image(result, array, channel_axis))


def _check_unused(model: Any, learned: dict[str, Any], classical: dict[str, Any]) -> None:
    """Raise if an option is given that is not used with, or without, a network."""
    unused, when = (learned, "only") if model is None else (classical, "not")
    for name, value in unused.items():
        usual = DEFAULTS[name]
        if value is not usual and not (isinstance(value, (str, int, float)) and value == usual):
            raise ValueError(
                f"{name}={validate.quoted(value)} is {when} used with model=; leave it out"
            )


def _network(model: Any, options: dict[str, Any]) -> Callable[..., Any]:
    """Return a function that fills gaps by a network; PyTorch is imported here."""
    from fastrestore.nets import need_torch

    need_torch()
    from fastrestore.nets.call import Options, Request
    from fastrestore.nets.fill import filled, inpainter

    return functools.partial(filled, Request(*inpainter(model), Options(**options)))


class Gaps(NamedTuple):
    """An image with missing pixels."""

    values: Any  # (C, M, N)
    missing: Any  # (C, M, N), True where a value is missing
    sigma: float  # noise of the known values
    sigmas: list[float]  # noise level of the denoiser in each iteration


def fill(
    gaps: Gaps,
    first: Any,
    options: dict[str, Any],  # of `bm3d`
    report_progress: Callable[[float], None],
) -> Any:
    """Denoise (C, M, N) repeatedly, and reset the known pixels each time."""
    where = interop.namespace(first).where
    estimate, last = first, len(gaps.sigmas) - 1
    for k, sigma in enumerate(gaps.sigmas):
        filtered = bm3d(estimate, sigma, channel_axis=0, **options)
        report_progress(1 / len(gaps.sigmas))
        if k == last and gaps.sigma > 0:
            return filtered
        moved = estimate + OVERRELAXATION * (filtered - estimate)
        estimate = where(gaps.missing, moved, gaps.values)
    return estimate


def _mask_planes(mask: Any, image: Any, channel_axis: int | None) -> Any:
    """Return the mask of every channel (C, M, N), on the host."""
    values = np.asarray(interop.to_host(mask))
    if channel_axis is not None and values.ndim == 3:
        validate.same_shape("mask", values, image.shape)
        return np.stack([check_mask(each) for each in interop.channels_first(values, channel_axis)])
    shape = interop.channels_first(image, channel_axis).shape
    validate.same_shape("mask", values, shape[1:])
    return np.broadcast_to(check_mask(mask), shape)


def first_estimate(values: Any, missing: Any) -> Any:
    """Fill missing pixels with Gaussian means of known pixels, as narrow as possible."""
    namespace, gaussian_filter = interop.namespace(values), interop.ndimage(values).gaussian_filter
    planes = []
    for plane, gaps in zip(values, missing, strict=True):
        known = namespace.where(gaps, 0.0, 1.0)
        out = namespace.full_like(plane, float((plane * known).sum() / known.sum()))
        for width in reversed(WIDTHS):
            weight = gaussian_filter(known, width)
            mean = gaussian_filter(plane * known, width)
            enough = weight > LEAST_WEIGHT
            out = namespace.where(enough, mean / namespace.maximum(weight, LEAST_WEIGHT), out)
        planes.append(namespace.where(gaps, out, plane))
    return namespace.stack(planes)
