"""The function `bm3d_deblurring` of the package bm3d."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastrestore
from fastrestore._algorithms.inversion import invert_correlated
from fastrestore._arrays import ranges
from fastrestore._arrays.types import FloatArray
from fastrestore.compat import attributes
from fastrestore.compat.arguments import Noise, array
from fastrestore.compat.bm3d.profiles import BM3DProfile, checked, profile_of
from fastrestore.inverse.point_spread import check_psf


def bm3d_deblurring(
    z: Any, sigma_psd: Any, psf: Any, profile: BM3DProfile | str = "np"
) -> NDArray[np.float64]:
    """Restore a noisy image with a periodic blur, with the arguments of the package bm3d.

    The blur is periodic, as in that package. `fastrestore.deblur` has other borders.

    Parameters
    ----------
    z : array, shape (M, N) or (M, N, C)
        Blurred and noisy image.
    sigma_psd : float, list of C floats, or array, shape (M, N) or (M, N, C)
        Standard deviation of the noise, or its power spectrum ``E|FFT2(noise)|**2``.
    psf : array, shape (m, n)
        Point spread function, with its center at ``(m // 2, n // 2)``. It is divided by its sum.
    profile : str or BM3DProfile
        "np", "refilter", "vn", "vn_old", "high", "deb", or an object.

    Returns
    -------
    numpy array, float64
        Estimate of the sharp image: of the shape of `z`, but (M, N) for one channel.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or value.

    See Also
    --------
    fastrestore.deblur : Estimates what is beyond the borders of photographs.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore.compat import bm3d
    >>> clean = np.kron(np.eye(4), np.ones((8, 8)))
    >>> psf = bm3d.gaussian_kernel((5, 5), 1.0)
    >>> blurred = np.fft.ifft2(np.fft.fft2(clean) * np.fft.fft2(psf, clean.shape)).real
    >>> blurred = np.roll(blurred, (-2, -2), (0, 1))
    >>> noisy = blurred + np.random.default_rng(0).normal(0, 0.01, clean.shape)
    >>> restored = bm3d.bm3d_deblurring(noisy, 0.01, psf)
    >>> bool(np.abs(restored - clean).mean() < 0.5 * np.abs(noisy - clean).mean())
    True
    """
    given, image = checked(profile), array("z", z)
    if image.ndim not in (2, 3):
        raise ValueError(f"z must have two or three axes, got shape {image.shape}")
    planes = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    noise = Noise.of(sigma_psd, planes.shape[1:], len(planes), axis=-1)
    point = _odd(array("psf", psf))
    total = point.sum()
    point = check_psf(point / total if total > 0 else point, (planes.shape[1], planes.shape[2]))
    options: dict[str, Any] = {"profile": profile_of(given), "workers": attributes.workers(given)}
    factor = attributes.strength(given)
    if noise.is_white():
        restored = [
            fastrestore.deblur(plane, point, factor * level, boundary="periodic", **options)
            for plane, level in zip(planes, _levels(noise, len(planes)), strict=True)
        ]
    else:
        assert noise.psd is not None
        extent = ranges.range_of(None, planes)
        restored = invert_correlated(planes, point, factor**2 * noise.psd, extent, options)
    return restored[0] if len(planes) == 1 else np.stack(list(restored), axis=-1)


def _odd(psf: FloatArray) -> FloatArray:
    """Append zeros to axes of even length, so that pixel n // 2 is in the middle."""
    return np.pad(psf, [(0, 1 - size % 2) for size in psf.shape])


def _levels(noise: Noise, channels: int) -> list[float]:
    """Return the level of white noise of each channel."""
    if noise.sigma is not None:
        levels = noise.sigma
    else:
        assert noise.psd is not None
        levels = np.array([np.sqrt(each.flat[0] / each.size) for each in noise.psd])
    return [float(each) for each in np.broadcast_to(levels, channels)]
