"""Images made sharper, and less noisy."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrestore._algorithms.bm3d import bm3d
from fastrestore._arrays import interop, validate
from fastrestore._arrays.progress import Progress
from fastrestore._collaborative.profile import Profile
from fastrestore._noise.estimate import estimate_sigma

LEAST = 1e-3  # of the range: noise is taken for no less


def sharpen(
    image: Any,
    sigma: Any = None,
    alpha: float = 1.5,
    *,
    channel_axis: int | None = None,
    data_range: float | None = None,
    profile: str | Profile = "np",
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
) -> Any:
    """Make an image sharper and remove its noise at the same time.

    Parameters
    ----------
    image : array, shape (M, N), or three axes with `channel_axis`
        Image of any integer or float type, that of `bm3d`. Black must be 0: details gain by how
        small they are beside the brightness around them.
    sigma : float, or one for each channel, optional
        Standard deviation of the noise, in the units of the image; of none, a thousandth of the
        range is taken. Without it the level is estimated, see `estimate_sigma`.
    alpha : float, default 1.5
        How sharp: 1 denoises alone, 2 takes square roots of details. 1.1 to 1.3 is plenty for
        photographs that are not very soft; edges get halos, and values beyond the range, by more.
    channel_axis : int, optional
        Where channels are: of 3 the luminance is made sharper and colours are denoised, any other
        number is made sharper one by one.
    data_range : float, optional
        Range of the clean image. Without it that of the noisy one is measured.
    profile, workers, backend, progress
        As for `bm3d`; a GPU does not do this.

    Returns
    -------
    array, shape of `image`
        The same kind of array, not clipped: edges may lie beyond the range.

    Raises
    ------
    TypeError, ValueError, BackendUnavailableError
        As `bm3d` does, and if alpha is less than 1.

    Notes
    -----
    Alpha-rooting [1]_ of the coefficients of a group that noise does not explain:
    ``sign(c) |d| |c / d|**(1 / alpha)``, d being the mean of the group.

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
    there, _ = interop.recognize("image", image)
    strength = validate.not_negative("alpha", alpha)
    if strength < 1:
        raise ValueError(f"alpha must be a number of 1 or more, got {alpha!r}")
    numbers = Profile.named(profile) if isinstance(profile, str) else profile
    if not isinstance(numbers, Profile):
        raise TypeError(f"profile must be a name or a Profile, got {profile!r}")
    if sigma is None:
        sigma = estimate_sigma(image, channel_axis=channel_axis)
    levels = np.asarray(interop.to_host(sigma), np.float64)
    if not (levels >= 0).all():
        raise ValueError(f"sigma must be 0 or more, got {sigma!r:.60}")
    told: dict[str, Any] = {
        "data_range": data_range, "workers": workers, "backend": backend, "progress": progress
    }  # fmt: skip
    least = LEAST * (validate.extent(data_range) or _range(there))
    level = np.maximum(levels, least)
    axis = channel_axis
    if axis is not None and there.ndim == 3 and -3 <= axis < 3 and there.shape[axis] not in (1, 3):
        return _one_by_one(image, level, alpha, axis, told)
    return bm3d(
        image, float(level) if level.ndim == 0 else level, stage="basic", channel_axis=axis,
        profile=numbers.replace(sharpen=strength) if strength > 1 else numbers, **told,
    )  # fmt: skip


def _one_by_one(image: Any, level: Any, alpha: float, axis: int, told: dict[str, Any]) -> Any:
    """Channels that are no colours."""
    there, restore = interop.recognize("image", image)
    planes = interop.channels_first(there, axis)
    levels = np.broadcast_to(level, len(planes)).tolist()
    done = [
        sharpen(plane, sigma, alpha, **told) for plane, sigma in zip(planes, levels, strict=True)
    ]
    namespace = interop.namespace(there)
    stacked = interop.move_axis(namespace.stack(done), 0, axis % 3)
    return restore(namespace.ascontiguousarray(stacked))


def _range(values: Any) -> float:
    """Range of what is finite; the rest is refused later."""
    plain = interop.to_host(values)
    finite = plain[np.isfinite(plain)] if plain.dtype.kind == "f" else plain
    return float(finite.max()) - float(finite.min()) or 1.0 if finite.size else 1.0
