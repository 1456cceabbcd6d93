"""Point spread functions (PSFs): validation, transfer functions, symmetry."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrestore._arrays import interop, validate
from fastrestore._arrays.types import FloatArray

SUM_TOLERANCE = 1e-3
NEGATIVE_TOLERANCE = 1e-6  # relative to the largest value: rounding


def check_psf(psf: Any, shape: tuple[int, int]) -> FloatArray:
    """Return a PSF for images of this shape as float64 on the host.

    Raises
    ------
    TypeError, ValueError
        If it is not an array of two axes with non-negative values that sum to 1, or if it is
        larger than the image.
    """
    values = np.asarray(interop.to_host(psf))
    if values.dtype.kind not in "fiu":
        given = f"an array of {values.dtype}" if hasattr(psf, "dtype") else validate.quoted(psf)
        raise TypeError(f"psf must be an array of real numbers, got {given}")
    if values.ndim != 2 or not values.size:
        raise ValueError(f"psf must have two axes (rows, columns), got shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("psf has values that are NaN or infinite")
    if any(k > n for k, n in zip(values.shape, shape, strict=True)):
        raise ValueError(
            f"psf of shape {values.shape} is larger than the image, {shape}; crop its edges where "
            "it is close to 0"
        )
    plain = values.astype(np.float64)
    if plain.min() < -NEGATIVE_TOLERANCE * np.abs(plain).max():
        raise ValueError(
            f"psf must not have negative values, got {plain.min():.3g}; clip them, for example "
            "psf.clip(0)"
        )
    total = float(plain.sum())
    if abs(total - 1) > SUM_TOLERANCE:
        cure = "use psf / psf.sum()" if total > 0 else "all its values are 0"
        raise ValueError(f"psf must sum to 1, got {total:.6g}; {cure}")
    return plain


def center(psf: FloatArray) -> tuple[int, int]:
    """Return the origin of a PSF: pixel n // 2 along each axis."""
    return psf.shape[0] // 2, psf.shape[1] // 2


def transfer_function(
    psf: FloatArray, shape: tuple[int, int], real: bool = False, centered: bool = False
) -> Any:
    """Return the Fourier transform of a PSF, with its center at the origin of a grid.

    The center is the pixel n // 2 along each axis. With `centered`, it is the middle of the array,
    (n - 1) / 2, which is between two pixels if n is even.
    """
    grid = np.zeros(shape)
    grid[: psf.shape[0], : psf.shape[1]] = psf
    grid = np.roll(grid, [-k for k in center(psf)], (0, 1))
    if not centered or all(n % 2 for n in psf.shape):
        return np.fft.rfft2(grid) if real else np.fft.fft2(grid)
    transfer = np.fft.fft2(grid)
    for axis in (0, 1):
        if psf.shape[axis] % 2 == 0:
            transfer = transfer * _half_pixel(shape[axis]).reshape((-1, 1) if axis == 0 else -1)
    return transfer[:, : shape[1] // 2 + 1] if real else transfer


def _half_pixel(size: int) -> Any:
    """Return the transfer function of a shift by half a pixel; its highest frequency is 0."""
    frequency = np.fft.fftfreq(size)
    return np.where(frequency == -0.5, 0, np.exp(-1j * np.pi * frequency))


def is_symmetric(psf: FloatArray, centered: bool = False) -> bool:
    """Return whether a PSF is symmetric along both axes, so that mirrored images stay mirrored."""
    if not centered and not all(n % 2 for n in psf.shape):
        return False
    bound = 1e-9 * psf.max()
    return all(np.allclose(psf, np.flip(psf, axis), rtol=0, atol=bound) for axis in (0, 1))
