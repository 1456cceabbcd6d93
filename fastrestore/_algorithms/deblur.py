"""Deblurring of noisy images with a known point spread function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastrestore._arrays import interop, ranges, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._arrays.types import FloatArray
from fastrestore._collaborative.pipeline import with_spectrum
from fastrestore._collaborative.profile import Profile
from fastrestore._noise.estimate import mean_sigma
from fastrestore.inverse.boundary import KINDS, Periodic
from fastrestore.inverse.operators import Blur
from fastrestore.inverse.plug_and_play import default_settings, restore_planes
from fastrestore.inverse.point_spread import check_psf, transfer_function

ALPHA_INVERSE, ALPHA_WIENER = 4e-4, 5e-3  # regularization of the two inversions, [1]_
PAPER_RANGE = 255.0  # data range of the first
WARNING_RATIO = 1.6  # estimated noise over sigma, above which there is a warning
SMALLEST_CHECKED, CHECKED_SIDE = 32, 128  # pixels: images whose noise is compared with sigma
LOWEST = 1e-3  # of the range: lowest sigma for the regularization


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
    """Restore a noisy image that was blurred by a known point spread function.

    Parameters
    ----------
    image : array, shape (M, N), or three axes with `channel_axis`
        Blurred and noisy image of any integer or float type.
    psf : array, shape (m, n)
        Point spread function (PSF): the image of a point. Its values are 0 or more and sum to 1,
        and it is no larger than the image. The origin is the pixel ``(m // 2, n // 2)``.
    sigma : float, optional
        Standard deviation of the noise added after the blur, in the units of the image. By default
        it is estimated, see `estimate_sigma`. If in doubt, use a larger value, because the
        inversion amplifies noise that exceeds `sigma`. A warning is issued if the image seems to
        have much more noise. Rounding to integers adds noise of sigma 0.29.
    method : {"bm3d", "pnp"}
        "bm3d" inverts the blur twice, and removes the amplified noise each time [1]_. "pnp"
        alternates between a step towards the data and a denoiser, see `fastrestore.inverse.pnp`.
    boundary : {"reflect", "periodic", "taper"}
        Assumption about pixels outside the image. "reflect" mirrors the image and repeats its edge
        pixels, as `scipy.ndimage.convolve` does. "periodic" repeats the image, as in simulations
        with Fourier transforms. "taper" assumes nothing: the border is blended with the periodic
        blur of the image. Use "taper" if "reflect" leaves stripes near the border.
    channel_axis : int, optional
        Axis of the channels of a color image. All channels have the same blur.
    data_range : float, optional
        Range of the clean image, such as 255. By default that of the blurred image is measured.
    profile : str or Profile, default "np"
        As for `bm3d`.
    denoiser : callable or str, optional
        For "pnp": a function ``denoiser(image, sigma)`` in the units of the image, or the name of a
        method of `denoise`: "bm3d" (default), "unet" or "hybrid".
    workers, backend, progress
        As for `bm3d`.

    Returns
    -------
    array, shape of `image`
        Estimate of the sharp image: the same kind of array, not clipped. Floats keep their type,
        integers give float32.

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
    inversion, for a range of 255, and 5e-3 in the second.

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
    validate.choice("method", method, ("bm3d", "pnp"))
    validate.choice("boundary", boundary, KINDS)
    if denoiser is not None and method != "pnp":
        raise ValueError(f"denoiser={denoiser!r:.60} is for method='pnp', not for {method!r}")
    array, restore = interop.recognize("image", image)
    planes = validate.channels("image", array, channel_axis).astype(np.float64)
    point = check_psf(psf, planes.shape[-2:])
    extent = ranges.range_of(data_range, planes)
    level = _noise_level(sigma, planes, extent)
    options: dict[str, Any] = {"profile": profile, "workers": workers, "backend": backend}
    with reporting(progress, "deblur") as report_progress, interop.use_device_of(array):
        if method == "pnp":
            settings = default_settings(level, extent, denoiser, **options)
            result = restore_planes(planes, Blur(point, boundary), settings, report_progress)
        else:
            options |= {"data_range": extent, "channel_axis": 0}
            inversion = _Inversion(KINDS[boundary](point, planes.shape[-2:]), level, extent, point)
            result = _invert_twice(planes, inversion, options, report_progress)
        return restore(interop.planes_to_image(result, array, channel_axis))


def _noise_level(sigma: Any, planes: Any, extent: float) -> float:
    """Return sigma, estimated if it is None; warn if the image seems to have much more noise."""
    if sigma is None:
        return mean_sigma(planes)
    level = ranges.sigma(sigma, extent)
    if not interop.on_host(planes) or min(planes.shape[-2:]) < SMALLEST_CHECKED:
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


class _Inversion:
    """The two regularized inversions of a blur, with the spectrum of the noise that each leaves.

    The spectra are on the grid of the image, as `psd` of `bm3d`.
    """

    def __init__(self, border: Periodic, sigma: float, extent: float, psf: FloatArray) -> None:
        level = max(sigma, LOWEST * extent)
        self.border = border
        self._power = np.abs(transfer_function(psf, border.shape)) ** 2
        self._white = level**2 * self._power.size
        self._penalty = ALPHA_INVERSE * (level * PAPER_RANGE / extent) ** 2
        self._wiener = ALPHA_WIENER * level**2

    def regularized(self, plane: Any) -> Any:
        """Invert with the same penalty at all frequencies."""
        return self.border.solve(plane, self._penalty)

    def regularized_psd(self) -> Any:
        """Return the spectrum of the noise that `regularized` leaves."""
        return self._white * self._power / (self._power + self._penalty) ** 2

    def wiener(self, plane: Any, estimate: Any) -> Any:
        """Invert with the Wiener filter for the power spectrum of an estimate."""
        power = self.border.power_spectrum(estimate)
        floor = max(1e-12 * float(power.max()), 1e-30 * self._wiener)  # against overflow
        return self.border.solve(plane, self._wiener / (power + floor))

    def wiener_psd(self, estimate: Any) -> Any:
        """Return the spectrum of the noise that `wiener` leaves."""
        signal = np.abs(np.fft.fft2(interop.to_host(estimate))) ** 2 / self._power.size
        gain = signal / (signal * self._power + self._wiener)
        return self._white * self._power * gain**2


def _invert_twice(
    planes: Any,
    inversion: _Inversion,
    options: dict[str, Any],
    report_progress: Callable[[float], None],
) -> Any:
    """Invert with regularization, then with the Wiener filter, and denoise after each."""
    stack = interop.namespace(planes).stack
    prepared = [inversion.border.prepare(plane) for plane in planes]
    first = stack([inversion.regularized(plane) for plane in prepared])
    report_progress(0.1)
    basic = with_spectrum(first, inversion.regularized_psd(), options, stage="basic")
    report_progress(0.4)
    second = stack([inversion.wiener(*pair) for pair in zip(prepared, basic, strict=True)])
    psd = np.stack([inversion.wiener_psd(estimate) for estimate in basic])
    report_progress(0.1)
    result = with_spectrum(second, psd, options, basic)
    report_progress(0.4)
    return result
