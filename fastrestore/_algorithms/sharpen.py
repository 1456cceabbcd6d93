"""Joint sharpening and denoising."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fastrestore._algorithms.bm3d import bm3d
from fastrestore._arrays import interop, outliers, ranges, validate
from fastrestore._arrays.progress import Progress
from fastrestore._collaborative.profile import MOST, Profile, named_profile
from fastrestore._noise.estimate import estimate_sigma

LOWEST = 1e-3  # of the range: least noise level
# Of the range: least estimated noise level. JPEG (quality 92) hides up to 2 gray levels of error
COMPRESSED = 3 / 255


def sharpen(
    image: Any,
    sigma: Any = None,
    alpha: float = 1.5,
    *,
    strength: float = 1.0,
    channel_axis: int | None = None,
    data_range: float | None = None,
    profile: str | Profile = "np",
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
) -> Any:
    """Sharpen an image and remove its noise at the same time.

    Parameters
    ----------
    image : array, shape (M, N), or three axes with `channel_axis`
        Image of any integer or float type. Its black level must be 0, because the gain of a detail
        depends on its amplitude relative to the local mean.
    sigma : float, or one for each channel, optional
        Standard deviation of the noise, in the units of the image; values below a thousandth of the
        range are raised to it. By default it is estimated, see `estimate_sigma`; estimates are
        raised to 3/255 of the range, because sharpening amplifies the errors of JPEG files, which
        are not estimated.
    alpha : float, default 1.5
        Amount of sharpening, at least 1. With 1 the image is only denoised. With 2 the
        amplitudes of details, relative to the local mean, are replaced by their square roots. For
        photographs that are not very soft, 1.1 to 1.3 is enough; larger values cause halos at edges
        and values outside the range.
    strength : float, default 1
        Factor for the noise level, estimated or given. Smaller values sharpen more faint details,
        and more noise.
    channel_axis : int, optional
        Axis of the channels. If there are 3, the luminance is sharpened and the colors are only
        denoised. Any other number of channels is sharpened one by one.
    data_range : float, optional
        Range of the clean image, such as 255. By default that of the noisy image is measured.
    profile, workers, backend, progress
        As for `bm3d`. The backend "cupy" does not support sharpening; choose another for images on
        a GPU.

    Returns
    -------
    array, shape of `image`
        The same kind of array. Floats keep their type, integers give float32. Values are not
        clipped and may be outside the range near edges.

    Raises
    ------
    TypeError, ValueError, BackendUnavailableError
        As for `bm3d`, and if `alpha` is less than 1.

    Notes
    -----
    Each coefficient c of a group that exceeds the threshold is replaced by
    ``sign(c) * |d| * |c / d|**(1 / alpha)``, where d is the coefficient of the mean of the group
    (alpha-rooting, [1]_).

    References
    ----------
    .. [1] K. Dabov, A. Foi, V. Katkovnik, K. Egiazarian, "Joint image sharpening and denoising by
       3D transform-domain collaborative filtering", SMMSP 2007.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> rows, columns = np.mgrid[:64, :64]
    >>> soft = 128 + 60 * np.tanh((columns - 32) / 4)
    >>> noisy = soft + np.random.default_rng(0).normal(0, 5, soft.shape)
    >>> sharp = fastrestore.sharpen(noisy, sigma=5)
    >>> slopes = [float(np.diff(each[:, 24:40].mean(0)).max()) for each in (soft, sharp)]
    >>> slopes[1] > 1.15 * slopes[0]
    True
    """
    array, _ = interop.recognize("image", image)
    validate.channels("image", array, channel_axis)
    amount = validate.number("alpha", alpha, least=1, most=MOST)
    factor = validate.number("strength", strength, least=0, most=MOST)
    numbers = named_profile(profile)
    lowest = LOWEST if sigma is not None else COMPRESSED
    if sigma is None:
        sigma = estimate_sigma(image, channel_axis=channel_axis)
    levels = validate.numbers("sigma", sigma, "a number of 0 or more, or one for each channel")
    outliers.check("image", array, float(levels.max()), outliers.REPLACE)
    extent = ranges.extent(data_range) or _finite_range(array)
    level = np.maximum(factor * np.maximum(levels, lowest * extent), LOWEST * extent)
    sharpened = partial(
        bm3d, stage="basic", data_range=data_range, workers=workers, backend=backend,
        profile=numbers.replace(sharpen=amount) if amount > 1 else numbers, progress=progress,
    )  # fmt: skip
    if channel_axis is not None and array.shape[channel_axis] not in (1, 3):
        if level.shape not in ((), (1,), (array.shape[channel_axis],)):
            raise ValueError(
                f"sigma must be a number, or one for each of {array.shape[channel_axis]} channels, "
                f"got {validate.quoted(levels)}"
            )
        return _each_channel(image, level, channel_axis, sharpened)
    return sharpened(image, float(level) if level.ndim == 0 else level, channel_axis=channel_axis)


def _each_channel(image: Any, level: Any, axis: int, sharpened: Callable[..., Any]) -> Any:
    """Sharpen channels that are not red, green and blue."""
    array, restore = interop.recognize("image", image)
    planes = interop.channels_first(array, axis)
    levels = np.broadcast_to(level, len(planes)).tolist()
    results = [sharpened(plane, sigma) for plane, sigma in zip(planes, levels, strict=True)]
    return restore(interop.planes_to_image(interop.namespace(array).stack(results), array, axis))


def _finite_range(values: Any) -> float:
    """Return the range of the finite values; `bm3d` raises if there are NaN or infinite ones."""
    plain = interop.to_host(values)
    finite = plain[np.isfinite(plain)] if plain.dtype.kind == "f" else plain
    return float(finite.max()) - float(finite.min()) or 1.0 if finite.size else 1.0
