"""Registration of photographs of one scene: global shift, then a subpixel affine motion.

A motion is a matrix (2, 3) that maps each pixel (row, column) of the reference to its position in
a frame: ``motion @ (row, column, 1)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray

COARSEST_SIDE = 24  # pixels: the smaller side of the coarsest level of a pyramid, at least
MAX_STEPS = 12  # Gauss-Newton steps on a level
CONVERGED = 2e-3  # pixels: iterations end when no corner moves by more
DIVERGED = 1.0  # affine part minus identity, beyond which the iterations have lost the image
SMALLEST = 1e-300  # sums of squared gradients of a constant image, up to rounding
ROBUST = 3.0  # in units of the typical residual: larger residuals get little weight
SPLINE_ORDER = 5  # for resampling
FRACTIONS = 64  # subpixel positions for which the noise of resampled frames is tabulated


def estimate_motion(reference: FloatArray, frame: FloatArray) -> FloatArray:
    """Return the affine motion from a reference to a frame, both with little noise."""
    motion = np.eye(2, 3)
    motion[:, 2] = global_shift(reference, frame)
    pyramid = [(reference, frame)]
    while min(pyramid[-1][0].shape) >= 2 * COARSEST_SIDE:
        pyramid.append((_halve(pyramid[-1][0]), _halve(pyramid[-1][1])))
    for level in reversed(range(len(pyramid))):
        motion = refine_motion(*pyramid[level], motion, 2.0**level)
    return motion


def global_shift(reference: FloatArray, frame: FloatArray) -> FloatArray:
    """Return the displacement of a frame in whole pixels, by phase correlation.

    Kuglin and Hines, "The phase correlation image alignment method", 1975.
    """
    from scipy import fft

    if _is_flat(reference) or _is_flat(frame):  # their phases are those of rounding errors
        return np.zeros(2)
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in reference.shape))
    spectra = [fft.rfft2((image - image.mean()) * window) for image in (reference, frame)]
    cross = np.conj(spectra[0]) * spectra[1]
    most = float(np.abs(cross).max())
    if not 0 < most < np.inf:  # as of numbers close to the limits of floats
        return np.zeros(2)
    cross /= np.maximum(np.abs(cross), 1e-9 * most)
    correlation = fft.irfft2(cross, reference.shape)
    peak = np.array(np.unravel_index(np.argmax(correlation), correlation.shape), float)
    sizes = np.array(reference.shape)
    return np.where(peak > sizes / 2, peak - sizes, peak)


def _is_flat(image: FloatArray) -> bool:
    """Return whether an image is constant up to rounding errors."""
    low, high = float(image.min()), float(image.max())
    return high - low <= 1e-9 * max(abs(low), abs(high))


def _halve(image: FloatArray) -> FloatArray:
    """Return the next coarser level of a pyramid."""
    from scipy.ndimage import gaussian_filter

    smooth: FloatArray = gaussian_filter(image, 1.0, mode="mirror")[::2, ::2]
    return smooth


def refine_motion(
    reference: FloatArray, frame: FloatArray, motion: FloatArray, scale: float = 1.0
) -> FloatArray:
    """Improve a motion by Gauss-Newton steps on a level whose pixels are `scale` pixels wide.

    Inverse compositional algorithm of Baker and Matthews, "Lucas-Kanade 20 years on", 2004.
    """
    from scipy.ndimage import affine_transform, spline_filter

    slopes = _motion_gradients(reference)
    splines = spline_filter(frame, 3, mode="mirror")
    current = motion.copy()
    current[:, 2] /= scale
    for _ in range(MAX_STEPS):
        warped = affine_transform(splines, current[:, :2], current[:, 2], order=3, prefilter=False)
        inside = _inside(current, reference.shape, 1).astype(float)
        if inside.sum() < 64:
            break
        step = _gauss_newton_step(slopes, warped - reference, inside)
        current = _compose(current, step, _middle(reference))
        if not np.abs(current[:, :2] - np.eye(2)).max() < DIVERGED:
            return motion
        if np.abs(step).sum(1).max() * scale < CONVERGED:
            break
    current[:, 2] *= scale
    return current


def _middle(image: FloatArray) -> FloatArray:
    """Return the center of an image, in pixels."""
    height, width = image.shape
    return np.array([height - 1, width - 1]) / 2


def _motion_gradients(image: FloatArray) -> FloatArray:
    """Return the derivatives of an image by the six parameters of a motion, (6, pixels).

    Parameters refer to coordinates from -1 to 1.
    """
    middle = _middle(image)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(float)
    v, u = (y - middle[0]) / middle[0], (x - middle[1]) / middle[1]
    slopes = np.stack([g * place for g in np.gradient(image) for place in (np.ones_like(v), v, u)])
    return slopes.reshape(6, -1)


def _gauss_newton_step(slopes: FloatArray, residual: FloatArray, inside: FloatArray) -> FloatArray:
    """Return the robust least-squares step (2, 3) for a residual."""
    residual = residual - np.average(residual, weights=inside)  # the brightness may differ
    typical = np.median(np.abs(residual[inside > 0])) / 0.6745
    # Weights of Geman and McClure
    weight = inside / (1 + (residual / (ROBUST * typical + 1e-12)) ** 2) ** 2
    weighted = slopes * weight.ravel()
    normal = weighted @ slopes.T
    ridge = 1e-6 * float(np.trace(normal))
    if not SMALLEST < ridge < np.inf:  # a constant image shows no motion
        return np.zeros((2, 3))
    normal += ridge * np.eye(6)
    return np.linalg.solve(normal, weighted @ residual.ravel()).reshape(2, 3)


def _compose(motion: FloatArray, step: FloatArray, middle: FloatArray) -> FloatArray:
    """Apply the inverse of a small motion, in coordinates from -1 to 1, then a motion."""
    own = np.eye(3)
    own[:2, :2] += step[:, 1:] / middle
    own[:2, 2] = step[:, 0] - (step[:, 1:] / middle) @ middle
    if not abs(np.linalg.det(own)) > 1e-9:  # diverged
        return np.full((2, 3), np.nan)
    whole = np.vstack([motion, [0, 0, 1]]) @ np.linalg.inv(own)
    result: FloatArray = whole[:2]
    return result


def _inside(motion: FloatArray, shape: tuple[int, ...], margin: float) -> NDArray[np.bool_]:
    """Return which pixels of the reference lie inside the frame."""
    down, across = (
        (place >= margin) & (place <= size - 1 - margin)
        for place, size in zip(_positions(motion, shape), shape, strict=True)
    )
    inside: NDArray[np.bool_] = down & across
    return inside


def _positions(motion: FloatArray, shape: tuple[int, ...]) -> list[FloatArray]:
    """Return the rows and columns in a frame of all pixels of the reference."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return [row[0] * y + row[1] * x + row[2] for row in motion]


def resample(planes: NDArray[Any], motion: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Resample the channels of a frame (C, M, N) on the grid of the reference.

    Also returns the variance (M, N) of resampled white noise of variance 1, infinite where the
    frame has no data.
    """
    from scipy.ndimage import affine_transform

    shape = planes.shape[1:]
    if np.array_equal(motion, np.eye(2, 3)):
        return planes.astype(np.float64), np.ones(shape)
    warped = np.array([
        affine_transform(
            plane.astype(np.float64), motion[:, :2], motion[:, 2], order=SPLINE_ORDER, mode="mirror"
        )
        for plane in planes
    ])  # fmt: skip
    gains = noise_gains()
    down, across = (
        gains[np.rint(place % 1 * FRACTIONS).astype(int)] for place in _positions(motion, shape)
    )
    return warped, np.where(_inside(motion, shape, 0), down * across, np.inf)


def noise_gains() -> FloatArray:
    """Return the variance of white noise resampled along one axis, by the subpixel position."""
    from scipy.ndimage import map_coordinates

    impulse = np.zeros(65)
    impulse[32] = 1
    places = np.arange(-24, 25)[:, None] + np.arange(FRACTIONS + 1) / FRACTIONS + 32
    response = map_coordinates(impulse, [places], order=SPLINE_ORDER, mode="mirror")
    gains: FloatArray = (response**2).sum(0)
    return gains
