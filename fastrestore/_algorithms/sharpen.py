"""Joint sharpening and denoising."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fastrestore._algorithms.bm3d import bm3d
from fastrestore._algorithms.info import Info
from fastrestore._algorithms.restored import Restored
from fastrestore._arrays import interop, outliers, ranges, validate
from fastrestore._arrays.progress import Progress
from fastrestore._arrays.streams import on_stream_of
from fastrestore._collaborative.profile import MOST, Profile, named_profile
from fastrestore._noise.blind import choice_of
from fastrestore._noise.spec import NoiseSpec

Sharpened = Callable[..., tuple[Any, Info]]
LOWEST = 1e-3  # of the range: least noise level
# Of the range: least estimated noise level. JPEG (quality 92) hides up to 2 gray levels of error
COMPRESSED = 3 / 255


@on_stream_of("image")
def sharpen(
    image: Any,
    sigma: Any = None,
    alpha: float = 1.2,
    *,
    noise: NoiseSpec | str | None = None,
    strength: float = 1.0,
    channel_axis: int | None = None,
    data_range: float | None = None,
    profile: str | Profile = "np",
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
    return_info: bool = False,
) -> Any:
    """Sharpen an image and remove its noise at the same time.

    Only what exceeds the noise is sharpened.

    Parameters
    ----------
    image : array, shape (M, N), or three axes with `channel_axis`
        Image of any integer or float type. Its black level must be 0, because the gain of a detail
        depends on its amplitude relative to the local mean.
    sigma : float, or one for each channel, optional
        Standard deviation of the noise, in the units of the image; values below a thousandth of the
        range are raised to it. By default the noise is estimated, see `noise`.
    alpha : float, default 1.2
        Amount of sharpening, at least 1. With 1 the image is only denoised. With 2 the
        amplitudes of details, relative to the local mean, are replaced by their square roots. For
        photographs 1.1 to 1.3 is enough, for very soft ones 1.5; larger values cause halos at edges
        and values outside the range.
    noise : NoiseSpec or str, optional
        The noise, if `sigma` is not given: a `NoiseSpec`, or the name of a model whose parameters
        are estimated by `estimate_noise`, by default "auto". Noise that is taken for white is
        amplified if it is that of a camera, whose spectrum is not flat. Estimates are raised to
        3/255 of the range, because sharpening amplifies the errors of JPEG files, which are not
        estimated.
    strength : float, default 1
        Factor for the noise level, estimated or given. Smaller values sharpen more faint details,
        and more noise.
    channel_axis : int, optional
        Axis of the channels. If there are 3, the luminance is sharpened and the colors are only
        denoised. Any other number of channels is sharpened one by one.
    data_range : float, optional
        Range of the clean image, such as 255. By default that of the noisy image is measured.
    profile, workers, backend, progress : optional
        As for `bm3d`.
    return_info : bool, default False
        If True, also return an `Info` with the noise that was used.

    Returns
    -------
    array, shape of `image`
        The same kind of array. Floats keep their type, integers give float32. Values are not
        clipped and may be outside the range near edges.
    Info
        Only with `return_info`.

    Raises
    ------
    TypeError, ValueError, BackendUnavailableError
        As for `bm3d`, and if `alpha` is less than 1.

    See Also
    --------
    deblur : Remove a known blur.
    bm3d : Remove noise only.

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
    >>> sharp = fastrestore.sharpen(noisy, sigma=5, alpha=1.5)
    >>> slopes = [float(np.diff(each[:, 24:40].mean(0)).max()) for each in (soft, sharp)]
    >>> slopes[1] > 1.15 * slopes[0]
    True
    """
    array, _ = interop.recognize("image", image)
    validate.channels("image", array, channel_axis)
    amount = validate.number("alpha", alpha, least=1, most=MOST)
    factor = validate.number("strength", strength, least=0, most=MOST)
    wants_info = validate.flag("return_info", return_info)
    numbers = named_profile(profile)
    if sigma is not None and noise is not None:
        raise ValueError("specify the noise once: got both sigma and noise")
    sharpened = partial(
        bm3d, stage="basic", data_range=data_range, workers=workers, backend=backend,
        profile=numbers.replace(sharpen=amount) if amount > 1 else numbers, progress=progress,
        return_info=True,
    )  # fmt: skip
    limits = _Limits(factor, ranges.extent(data_range) or _finite_range(array))
    if sigma is None:
        restore = partial(_with_noise, sharpened, limits, "auto" if noise is None else noise)
    else:
        restore = partial(_with_sigma, sharpened, limits, _levels(sigma, array))
    if channel_axis is not None and array.shape[channel_axis] not in (1, 3):
        result, info = _each_channel(restore, image, channel_axis)
    else:
        result, info = restore(image, channel_axis)
    return Restored(result, info, image, channel_axis) if wants_info else result


class _Limits(NamedTuple):
    """The factor for the noise level, and the range of which its least value is a share."""

    factor: float
    extent: float

    def applied(self, level: Any) -> Any:
        """Return a level times the factor, which is not below the least one."""
        return np.maximum(self.factor * level, LOWEST * self.extent)

    def raised(self, spec: NoiseSpec, lowest: float) -> NoiseSpec:
        """Return noise of at least a share of the range."""
        least = lowest * self.extent
        if spec.model == "white":
            return NoiseSpec.white(*np.maximum(spec.sigma, least))
        return spec * max(1.0, least / float(spec.sigma.mean()))

    def strength(self, spec: NoiseSpec) -> float:
        """Return the factor for a specification, whose level is not below the least one."""
        return max(self.factor, LOWEST * self.extent / float(spec.sigma.max()))


def _levels(sigma: Any, array: Any) -> Any:
    """Validate a noise level that is given."""
    levels = validate.numbers("sigma", sigma, "a number of 0 or more, or one for each channel")
    outliers.check("image", array, float(levels.max()), outliers.REPLACE)
    return levels


def _with_sigma(
    sharpened: Sharpened, limits: _Limits, levels: Any, image: Any, axis: int | None, *part: int
) -> tuple[Any, Info]:
    """Sharpen an image of known levels, or the channel `part` of it."""
    known = np.maximum(levels, LOWEST * limits.extent)
    if part:
        index, count = part
        if known.shape not in ((), (1,), (count,)):
            raise ValueError(
                f"sigma must be a number, or one for each of {count} channels, "
                f"got {validate.quoted(levels)}"
            )
        known = np.broadcast_to(known, count)[index]
    level = limits.applied(known)
    result, info = sharpened(image, float(level) if level.ndim == 0 else level, channel_axis=axis)
    return result, replace(info, sigma=known, strength=limits.factor)


def _with_noise(
    sharpened: Sharpened,
    limits: _Limits,
    noise: NoiseSpec | str,
    image: Any,
    axis: int | None,
    *part: int,
) -> tuple[Any, Info]:
    """Sharpen an image whose noise is estimated or specified."""
    if isinstance(noise, NoiseSpec):
        if part:
            raise ValueError(
                f"noise as a NoiseSpec is for 1 or 3 channels, but the image has {part[1]}; "
                "sharpen them one by one, or leave it out to estimate it"
            )
        spec, lowest, reason = noise, LOWEST, "the noise was given"
    else:
        (spec, reason), lowest = choice_of(image, axis, None, noise), COMPRESSED
        outliers.check(
            "image", interop.recognize("image", image)[0], float(spec.sigma.max()), outliers.REPLACE
        )
    spec = limits.raised(spec, lowest)
    result, info = sharpened(image, noise=spec * limits.strength(spec), channel_axis=axis)
    estimated = isinstance(noise, str)
    level = float(spec.sigma[0]) if axis is None else spec.sigma
    return result, replace(
        info, noise=spec, sigma=level, estimated=estimated, reason=reason, strength=limits.factor
    )


def _each_channel(restore: Callable[..., Any], image: Any, axis: int) -> tuple[Any, Info]:
    """Sharpen channels that are not red, green and blue."""
    array, convert_back = interop.recognize("image", image)
    planes = interop.channels_first(array, axis)
    pairs = [restore(plane, None, k, len(planes)) for k, plane in enumerate(planes)]
    stack = interop.namespace(array).stack([result for result, _ in pairs])
    info = replace(pairs[0][1], sigma=np.array([float(each.sigma) for _, each in pairs]))
    return convert_back(interop.planes_to_image(stack, array, axis)), info


def _finite_range(values: Any) -> float:
    """Return the range of the finite values; `bm3d` raises if there are NaN or infinite ones."""
    low, high = interop.finite_ends(values)
    return high - low if high > low else 1.0
