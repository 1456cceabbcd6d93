"""Images that are blurred in a known way, and noisy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from fastrestore._arrays import interop, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.request import with_spectrum
from fastrestore._noise.estimate import estimate_sigma

ALPHA_INVERSE, ALPHA_WIENER = 4e-4, 5e-3  # regularisation of the two inversions, [1]_
METHODS, BOUNDARIES = ("bm3d", "pnp"), ("reflect", "periodic", "taper")
WHITE = 255.0  # the range in whose units the regularisation is
MORE = 1.6  # times the noise that is told: of so much more there is a warning
SEEN, LOOKED_AT = 32, 128  # pixels along a side: of images that are looked at, and of what of them
LEAST = 1e-3  # of the range: sigma that inversions are regularised for, if there is no noise


def deblur(
    image: Any,
    psf: Any,
    sigma: float | None = None,
    *,
    method: str = "bm3d",
    boundary: str = "reflect",
    channel_axis: int | None = None,
    data_range: float | None = None,
    profile: str | Profile = "np",
    denoiser: Callable[[Any, float], Any] | str | None = None,
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
) -> Any:
    """Undo a blur that is known, of a noisy image.

    Parameters
    ----------
    image : array, shape (M, N), or three axes with `channel_axis`
        Blurred and noisy image of any integer or float type, that of `bm3d`.
    psf : array, shape (m, n)
        Point spread function: what a point becomes. Of 0 or more, with sum 1, no larger than the
        image; the pixel ``(m // 2, n // 2)`` stays where it is.
    sigma : float, optional
        Standard deviation of the noise that came after the blur, in the units of the image.
        Without it the level is estimated, see `estimate_sigma`. If in doubt take more: told half of
        what there is, the inversion makes the rest of the noise large (and a warning says so).
        Rounding to whole numbers is noise of 0.29.
    method : {"bm3d", "pnp"}
        "bm3d" inverts twice, with the noise that this leaves removed by `bm3d` in between [1]_.
        "pnp" alternates between the data and a denoiser, as `fastrestore.inverse.pnp` does.
    boundary : {"reflect", "periodic", "taper"}
        What lies beyond the border: the mirrored image, the border pixels twice (as "reflect" of
        `scipy.ndimage.convolve`); the opposite border, as in simulations by Fourier transforms;
        or nobody knows, and the border is blended into its periodic blur, which may leave stripes
        near it: for where "reflect" leaves worse ones.
    channel_axis : int, optional
        The axis of colours, which are blurred alike.
    data_range : float, optional
        Range of the clean image, such as 255. Without it that of the blurred one is measured.
    profile : str or Profile
        As for `bm3d`.
    denoiser : callable or str, optional
        For "pnp", ``denoiser(image, sigma)`` in the units of the image, or "bm3d", the default,
        "unet" or "hybrid" of `denoise`.
    workers, backend, progress
        As for `bm3d`.

    Returns
    -------
    array, shape of `image`
        The same kind of array; floats keep their type, integers give float32.

    Raises
    ------
    TypeError, ValueError
        As `bm3d` does, and if `psf` is not as said.
    BackendUnavailableError
        If the backend asked for cannot run here.

    See Also
    --------
    skimage.restoration.richardson_lucy, skimage.restoration.wiener
        For images with next to no noise, and where speed is all.

    Notes
    -----
    The first inversion divides frequencies by the transfer function where that is not small,
    ``conj(V) / (|V|**2 + alpha sigma**2)``, which leaves noise of a known spectrum; hard
    thresholding removes it. The second is the Wiener filter for the power of that result, followed
    by collaborative Wiener filtering [1]_. `alpha` is 4e-4, for a range of 255, and 5e-3.

    References
    ----------
    .. [1] K. Dabov, A. Foi, V. Katkovnik, K. Egiazarian, "Image restoration by sparse 3D
       transform-domain collaborative filtering", SPIE Electronic Imaging 6812, 2008.

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
    from fastrestore.inverse import point_spread

    for name, value, known in (("method", method, METHODS), ("boundary", boundary, BOUNDARIES)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}")
    if denoiser is not None and method != "pnp":
        raise ValueError("denoiser is for method='pnp'")
    there, restore = interop.recognize("image", image)
    planes = validate.channels("image", there, channel_axis)
    seen = planes.astype(np.float64)
    point = point_spread.checked(psf, seen.shape[-2:])
    extent = validate.range_of(data_range, seen)
    level = _level(sigma, seen, extent)
    options = {"data_range": extent, "workers": workers, "backend": backend, "profile": profile}
    options["channel_axis"] = 0
    with reporting(progress, "deblur") as tick, interop.use_device_of(there):
        if method == "pnp":
            from fastrestore.inverse.plug_and_play import deblurred

            result = deblurred(seen, point, level, boundary, denoiser, options, tick)
        else:
            result = _inverted_twice(seen, point, level, boundary, options, tick)
        return restore(interop.planes_to_image(result, there, channel_axis))


def _level(sigma: Any, planes: Any, extent: float) -> float:
    """Check sigma, or estimate it; warn if there seems to be much more noise."""
    if sigma is None:
        return _estimated(planes)
    level = validate.not_negative("sigma", sigma)
    if not interop.on_host(planes) or min(planes.shape[-2:]) < SEEN:
        return level
    # The middle tells enough: a whole image would take as long as the inversions
    top, left = (max(0, n - LOOKED_AT) // 2 for n in planes.shape[-2:])
    seen = _estimated(planes[:1, top : top + LOOKED_AT, left : left + LOOKED_AT])
    if seen > MORE * max(level, LEAST * extent):
        warnings.warn(
            f"sigma={level:g} is less than the noise that the image seems to have, {seen:.3g} in "
            "its units; an inversion makes the rest of it large: take more, or leave sigma out",
            stacklevel=3,
        )
    return level


def _estimated(planes: Any) -> float:
    """Level of the noise of all channels."""
    found = [float(estimate_sigma(plane)) for plane in planes]
    return float(np.sqrt(np.square(found).mean()))


def _inverted_twice(
    planes: Any,
    psf: Any,
    sigma: float,
    boundary: str,
    options: dict[str, Any],
    tick: Callable[[float], None],
) -> Any:
    """Regularised inversion and Wiener inversion, each with its noise removed."""
    from fastrestore.inverse.boundary import KINDS
    from fastrestore.inverse.point_spread import transfer

    namespace, shape = interop.namespace(planes), planes.shape[-2:]
    border = KINDS[boundary](psf, shape)
    seen = [border.brought(plane) for plane in planes]
    level = max(sigma, LEAST * options["data_range"])
    noise = (level * WHITE / options["data_range"]) ** 2
    power = np.abs(transfer(psf, shape)) ** 2  # on the grid of the image, that of `psd`
    white = level**2 * power.size

    penalty = ALPHA_INVERSE * noise
    first = namespace.stack([border.solved(plane, penalty) for plane in seen])
    tick(0.1)
    left = white * power / (power + penalty) ** 2
    basic = with_spectrum(first, left, options, stage="basic")
    tick(0.4)

    found, spectra = [], []
    strength = ALPHA_WIENER * level**2
    for plane, estimate in zip(seen, basic, strict=True):
        found.append(border.solved(plane, strength / _positive(border.power(estimate))))
        signal = np.abs(np.fft.fft2(interop.to_host(estimate))) ** 2 / power.size
        gain = signal / (signal * power + strength)
        spectra.append(white * power * gain**2)
    tick(0.1)
    result = with_spectrum(namespace.stack(found), np.stack(spectra), options, basic)
    tick(0.4)
    return result


def _positive(power: Any) -> Any:
    """Keep powers that one divides by away from 0."""
    return power + (1e-12 * power.max() + np.finfo(np.float64).tiny)
