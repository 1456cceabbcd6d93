"""Deblurring of noisy images with a known point spread function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastrestore._algorithms.bm3d import bm3d
from fastrestore._algorithms.inversion import invert, noise_gain
from fastrestore._arrays import interop, outliers, ranges, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._arrays.streams import on_stream_of
from fastrestore._arrays.types import FloatArray
from fastrestore._collaborative.profile import MOST, Profile
from fastrestore._noise.compression import jpeg_sigma
from fastrestore._noise.estimate import mean_sigma
from fastrestore.inverse.plug_and_play import default_settings, restore_planes
from fastrestore.inverse.point_spread import check_psf
from fastrestore.inverse.unknown import BorderBlur, choose_boundary, make_border

BOUNDARIES = "auto", "reflect", "periodic", "taper", "unknown"
WARNING_RATIO = 1.6  # estimated noise over sigma, above which there is a warning
SMALLEST_CHECKED, CHECKED_SIDE = 32, 128  # pixels: images whose noise is compared with sigma
LOWEST = 1e-3  # of the range: lowest sigma for the regularization
# Of the range: estimates of sigma are raised to this value if the inversion amplifies noise.
# Processing before the blur or after it hides errors from the estimate
COMPRESSED = 2 / 255
# Shares of pixels equal to the greatest value: above the first they are clipped, above the second
# too little is known of the image
CLIPPED, LOST = 0.01, 0.5
# Squared differences of neighbors over 2 range**2, means of both axes; of photographs at most 0.02
ROUGHEST = 0.06


@on_stream_of("image")
def deblur(
    image: Any,
    psf: Any,
    sigma: float | None = None,
    *,
    strength: float = 1.0,
    method: str = "bm3d",
    boundary: str = "auto",
    channel_axis: int | None = None,
    data_range: float | None = None,
    profile: str | Profile = "np",
    denoiser: Callable[[Any, float], Any] | str | None = None,
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
) -> Any:
    """Restore a noisy image that was blurred by a known point spread function.

    The noise is not amplified by the inversion: it is removed by BM3D, with the power spectrum that
    the inversion gives it.

    Parameters
    ----------
    image : array, shape (M, N), or three axes with `channel_axis`
        Blurred and noisy image of any integer or float type.
    psf : array, shape (m, n)
        Point spread function (PSF): the image of a point. Its values are 0 or more and sum to 1,
        and it is no larger than the image. Its center is the middle of the array,
        ``((m - 1) / 2, (n - 1) / 2)``, which is between pixels along an axis of even length.
        `scipy.ndimage.convolve` has the pixel ``(m // 2, n // 2)`` there; to invert it, append a
        row or column of zeros to such an axis.
    sigma : float, optional
        Standard deviation of the noise added after the blur, in the units of the image. By default
        it is estimated, see `estimate_sigma`. If the inversion of `psf` amplifies noise, estimates
        are raised to 2/255 of the range. For decoded JPEG files with values 0 to 255, or 0 to 1,
        they are raised to 1.5 times the error of the compression, and to 2 gray levels; twice that
        in color. If in doubt, use a larger value, because the inversion amplifies noise that
        exceeds `sigma`. A warning is issued if the image seems to have much more noise. Rounding to
        integers adds noise of sigma 0.29.
    strength : float, default 1
        Factor for the noise level, estimated or given. Smaller values keep more detail and noise.
    method : {"bm3d", "pnp"}
        "bm3d" inverts the blur twice, and removes the amplified noise each time [1]_; iterations of
        half-quadratic splitting with `bm3d` improve the result, see Notes. "pnp" alternates between
        a step towards the data and a denoiser from the beginning, see `fastrestore.inverse.pnp`.
    boundary : {"auto", "unknown", "reflect", "periodic", "taper"}
        Assumption about pixels outside the image. "auto" (default) chooses "reflect" or "periodic"
        if the image agrees with it, and otherwise "unknown". "unknown" assumes nothing and
        estimates them, which suits photographs. "reflect" mirrors the image and repeats its edge
        pixels, as `scipy.ndimage.convolve` does. "periodic" repeats the image, as in simulations
        with Fourier transforms. "taper" assumes nothing, either: the border is blended with the
        periodic blur of the image, which is faster and less accurate than "unknown".
    channel_axis : int, optional
        Axis of the channels of a color image. All channels have the same blur.
    data_range : float, optional
        Range of the clean image, such as 255. By default that of the blurred image is measured.
    profile : str or Profile, default "np"
        As for `bm3d`.
    denoiser : callable or str, optional
        For "pnp": a function ``denoiser(image, sigma)`` in the units of the image, or the name of a
        method of `denoise`: "bm3d" (default), "unet" or "hybrid".
    workers, backend, progress : optional
        As for `bm3d`.

    Returns
    -------
    array, shape of `image`
        Estimate of the sharp image: the same kind of array. Floats keep their type, integers give
        float32. Values are not clipped, unless the image has clipped highlights, see Notes.

    Raises
    ------
    TypeError, ValueError
        As for `bm3d`, and if `psf` is not a valid point spread function.
    BackendUnavailableError
        If the requested backend cannot run here.

    See Also
    --------
    skimage.restoration.richardson_lucy, skimage.restoration.wiener
        Faster methods for images with very little noise.

    Notes
    -----
    The first inversion is regularized: ``conj(V) / (|V|**2 + alpha * sigma**2)``, where V is the
    transfer function. It leaves noise of a known power spectrum, which hard thresholding removes.
    The second inversion is the Wiener filter for the power spectrum of this basic estimate, and
    is followed by collaborative Wiener filtering [1]_. The factor alpha is 4e-4 in the first
    inversion, for a range of 255, and 5e-3 in the second. If the first inversion amplifies noise by
    more than 1.5, five iterations of half-quadratic splitting [2]_ follow, and the result is their
    estimate and that of the inversions, averaged with weights 3/4 and 1/4.

    The inversions need noise of one spectrum in the whole image. With unknown surroundings, with
    mirrored ones and a PSF that is not symmetric, and with clipped pixels, there are eight
    iterations of half-quadratic splitting instead. If more than 1 % of the pixels are equal to
    the greatest value, they are taken to be clipped: the blurred estimate may exceed this value
    there, and the result is clipped to it.

    For "auto", each boundary condition is tried in four fast iterations. With a wrong one, the
    estimate fits the data worse or varies more than with unknown surroundings. Rows and columns of
    one value at the border of the image, such as black bars, are left out and returned unchanged. A
    warning is issued if the result is rougher than any photograph.

    References
    ----------
    .. [1] K. Dabov, A. Foi, V. Katkovnik, K. Egiazarian, "Image restoration by sparse 3D
       transform-domain collaborative filtering", SPIE Electronic Imaging 6812, 2008.
    .. [2] K. Zhang et al., "Plug-and-play image restoration with deep denoiser prior", IEEE Trans.
       Pattern Analysis and Machine Intelligence 44(10), 2022.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> from scipy import ndimage
    >>> rows, columns = np.mgrid[:64, :64]
    >>> clean = 100.0 + 80 * ((rows // 16 + columns // 16) % 2)
    >>> psf = np.full((5, 5), 1 / 25)
    >>> noise = np.random.default_rng(0).normal(0, 2, clean.shape)
    >>> blurred = ndimage.convolve(clean, psf) + noise
    >>> restored = fastrestore.deblur(blurred, psf, sigma=2)
    >>> before, after = (np.abs(each - clean).mean() for each in (blurred, restored))
    >>> bool(after < before / 3)
    True
    """
    validate.choice("method", method, ("bm3d", "pnp"))
    validate.choice("boundary", boundary, BOUNDARIES)
    if denoiser is not None and method != "pnp":
        raise ValueError(
            f"denoiser={validate.quoted(denoiser)} is for method='pnp', not for {method!r}"
        )
    array, restore = interop.recognize("image", image)
    planes = validate.channels("image", array, channel_axis).astype(np.float64)
    point = check_psf(psf, planes.shape[-2:])
    known = 0.0 if sigma is None else validate.not_negative("sigma", sigma)
    outliers.check("image", array, known, outliers.REPLACE)
    inner = _content(planes, point)
    content = planes[inner]
    extent = ranges.range_of(data_range, content)
    factor = validate.number("strength", strength, least=0, most=MOST)
    level = factor * _noise_level(sigma, content, extent, point)
    options: dict[str, Any] = {"profile": profile, "workers": workers, "backend": backend}
    options["data_range"] = max(extent, level)  # so that there is one warning, that of the level
    with reporting(progress, "deblur") as report_progress, interop.use_device_of(array):
        clipped = [_clipped(plane) for plane in content]
        if _is_lost(clipped):
            return restore(interop.planes_to_image(planes, array, channel_axis))
        if boundary == "auto" and any(each is not None for each in clipped):
            boundary = "unknown"
        elif boundary == "auto":
            boundary = _chosen_boundary(content, point, level, options)
        border = make_border(boundary, point, content.shape[-2:])
        forwards = [BorderBlur(border, each) for each in clipped]
        if method == "pnp":
            del options["data_range"]
            settings = default_settings(level, extent, denoiser, **options)
            result = restore_planes(content, forwards, settings, report_progress)
        else:
            result = invert(content, forwards, point, level, options, report_progress)
        finished = zip(forwards, result, content, strict=True)
        planes[inner] = interop.namespace(planes).stack(
            [forward.finish(estimate, plane) for forward, estimate, plane in finished]
        )
        _warn_if_rough(planes[inner], extent)
        return restore(interop.planes_to_image(planes, array, channel_axis))


def _noise_level(sigma: Any, planes: Any, extent: float, psf: FloatArray) -> float:
    """Return sigma, estimated if it is None; warn if it does not suit the image."""
    if sigma is None:
        lowest = COMPRESSED * extent
        lost = 1 - 1 / max(1.0, noise_gain(psf, planes.shape[-2:], lowest, extent))
        return max(mean_sigma(planes), lowest * lost, _of_compression(planes))
    level = ranges.sigma(sigma, extent)
    if not interop.on_host(planes):
        return level
    ranges.warn_of_units(level, planes, extent)
    if min(planes.shape[-2:]) < SMALLEST_CHECKED:
        return level
    # The center is enough: estimating from a whole image would take as long as the inversions
    top, left = (max(0, n - CHECKED_SIDE) // 2 for n in planes.shape[-2:])
    estimated = mean_sigma(planes[:1, top : top + CHECKED_SIDE, left : left + CHECKED_SIDE])
    if estimated > WARNING_RATIO * max(level, LOWEST * extent):
        validate.warn(
            f"sigma={level:g} is less than the estimated noise of the image, {estimated:.3g}; the "
            "inversion amplifies the difference, so use a larger sigma or leave it out"
        )
    return level


def _of_compression(planes: Any) -> float:
    """Return the least level for a decoded JPEG file, whose errors are correlated; else 0."""
    error = jpeg_sigma(planes) if interop.on_host(planes) else 0.0
    gray_level = 1.0 if planes.max() > 1 else 1 / 255
    more = 2 if len(planes) == 3 else 1  # the colors of a file are compressed more
    return more * max(1.5 * error, 2 * gray_level) if error else 0.0


def _content(planes: Any, psf: FloatArray) -> tuple[slice, ...]:
    """Return the part without rows and columns of one value at the border, such as bars."""
    whole = (slice(None), slice(None), slice(None))
    if not interop.on_host(planes):
        return whole
    found = [slice(None)]
    for axis in (1, 2):
        lines = np.moveaxis(planes, axis, 1).reshape(len(planes), planes.shape[axis], -1)
        ends = []
        for ordered in (lines, lines[:, ::-1]):
            first = ordered[:, :1, :1]
            differs = (ordered != first).any((0, 2))
            ends.append(int(differs.argmax()) if differs.any() else 0)
        found.append(slice(ends[0], planes.shape[axis] - ends[1]))
        if planes.shape[axis] - sum(ends) < max(SMALLEST_CHECKED, psf.shape[axis - 1]):
            return whole
    return tuple(found)


def _clipped(plane: Any) -> Any:
    """Return which pixels are clipped at the highest value; None if few are equal to it."""
    if not interop.on_host(plane):
        return None
    highest = plane == plane.max()
    return highest if CLIPPED < highest.mean() < 1 else None


def _is_lost(clipped: list[Any]) -> bool:
    """Warn and return True if most pixels of a channel are clipped."""
    share = max(0.0 if each is None else float(each.mean()) for each in clipped)
    if share > LOST:
        validate.warn(
            f"{100 * share:.0f} % of the pixels have the greatest value of the image, so they seem "
            "to be clipped; the image is returned as it is, because too little is known of it"
        )
    return share > LOST


def _chosen_boundary(planes: Any, psf: FloatArray, sigma: float, options: dict[str, Any]) -> str:
    """Return the boundary condition that the middle channel agrees with."""
    extent = options["data_range"]
    fast = options | {"profile": "fast"}
    return choose_boundary(
        planes[len(planes) // 2],
        psf,
        max(sigma, LOWEST * extent),
        extent,
        lambda image, level: bm3d(image, level, **fast),
    )


def _warn_if_rough(planes: Any, extent: float) -> None:
    """Warn if the result is rougher than any photograph."""
    if not interop.on_host(planes):
        return
    squares = sum(float((np.diff(planes, axis=axis) ** 2).mean()) for axis in (1, 2))
    if squares > 4 * ROUGHEST * extent**2:
        validate.warn(
            "the result is rougher than any photograph, so the restoration has failed; check psf, "
            "boundary and sigma, which may be too small"
        )
