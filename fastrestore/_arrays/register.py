"""Registration of photographs of one scene: global shift, then an affine motion to a fraction of a
pixel.

A motion is a matrix (2, 3) that says where in a frame each pixel (row, column) of the reference is:
``motion @ (row, column, 1)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.interop import FloatArray

LEAST = 24  # pixels of the smaller side of the coarsest level
ROUNDS = 12  # most steps on a level
SETTLED = 2e-3  # pixels: a step that moves no corner by more is the last
ROBUST = 3.0  # times the usual difference: larger ones hardly count
ORDER = 5  # of the splines that frames are resampled by
FRACTIONS = 64  # of a pixel, of which the noise of resampled frames is tabulated


def motion_between(reference: FloatArray, frame: FloatArray) -> FloatArray:
    """Return the affine motion from a reference to a frame, both with little noise."""
    motion = np.eye(2, 3)
    motion[:, 2] = global_shift(reference, frame)
    levels = [(reference, frame)]
    while min(levels[-1][0].shape) >= 2 * LEAST:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    for level in reversed(range(len(levels))):
        motion = refined(*levels[level], motion, 2.0**level)
    return motion


def global_shift(reference: FloatArray, frame: FloatArray) -> FloatArray:
    """Whole pixels by which a frame is displaced, by phase correlation.

    Kuglin and Hines, "The phase correlation image alignment method", 1975.
    """
    from scipy import fft

    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in reference.shape))
    spectra = [fft.rfft2((image - image.mean()) * window) for image in (reference, frame)]
    cross = np.conj(spectra[0]) * spectra[1]
    most = float(np.abs(cross).max())
    if most < np.finfo(np.float32).tiny:  # nothing to be seen
        return np.zeros(2)
    cross /= np.maximum(np.abs(cross), 1e-9 * most)
    peak = fft.irfft2(cross, reference.shape)
    place = np.array(np.unravel_index(np.argmax(peak), peak.shape), float)
    sizes = np.array(reference.shape)
    return np.where(place > sizes / 2, place - sizes, place)


def _halved(image: FloatArray) -> FloatArray:
    """The next level of a pyramid."""
    from scipy.ndimage import gaussian_filter

    smooth: FloatArray = gaussian_filter(image, 1.0, mode="mirror")[::2, ::2]
    return smooth


def refined(
    reference: FloatArray, frame: FloatArray, motion: FloatArray, scale: float = 1.0
) -> FloatArray:
    """Gauss-Newton steps on one level, whose pixels are `scale` pixels wide.

    Inverse compositional algorithm of Baker and Matthews, "Lucas-Kanade 20 years on", 2004.
    """
    from scipy.ndimage import affine_transform, spline_filter

    height, width = reference.shape
    middle = np.array([height - 1, width - 1]) / 2
    y, x = np.mgrid[:height, :width].astype(float)
    down, across = np.gradient(reference)
    v, u = (y - middle[0]) / middle[0], (x - middle[1]) / middle[1]
    slopes = np.stack([g * place for g in (down, across) for place in (np.ones_like(v), v, u)])
    slopes = slopes.reshape(6, -1)
    splines = spline_filter(frame, 3, mode="mirror")
    here = motion.copy()
    here[:, 2] /= scale
    for _ in range(ROUNDS):
        warped = affine_transform(splines, here[:, :2], here[:, 2], order=3, prefilter=False)
        weight = _inside(here, reference.shape, 1).astype(float)
        if weight.sum() < 64:
            break
        rest = warped - reference
        rest -= np.average(rest, weights=weight)  # one may be brighter
        usual = np.median(np.abs(rest[weight > 0])) / 0.6745
        weight /= (1 + (rest / (ROBUST * usual + 1e-12)) ** 2) ** 2  # Geman and McClure
        weighted = slopes * weight.ravel()
        normal = weighted @ slopes.T
        normal += 1e-6 * np.trace(normal) * np.eye(6)
        step = np.linalg.solve(normal, weighted @ rest.ravel()).reshape(2, 3)
        here = _composed(here, step, middle)
        if np.abs(step).sum(1).max() * scale < SETTLED:
            break
    here[:, 2] *= scale
    return here


def _composed(motion: FloatArray, step: FloatArray, middle: FloatArray) -> FloatArray:
    """Take back a small motion of the reference, told in coordinates from -1 to 1, then move."""
    own = np.eye(3)
    own[:2, :2] += step[:, 1:] / middle
    own[:2, 2] = step[:, 0] - (step[:, 1:] / middle) @ middle
    whole = np.vstack([motion, [0, 0, 1]]) @ np.linalg.inv(own)
    result: FloatArray = whole[:2]
    return result


def _inside(motion: FloatArray, shape: tuple[int, ...], margin: float) -> NDArray[np.bool_]:
    """Which pixels of the reference the frame shows."""
    places = _places(motion, shape)
    down, across = (
        (place >= margin) & (place <= size - 1 - margin)
        for place, size in zip(places, shape, strict=True)
    )
    inside: NDArray[np.bool_] = down & across
    return inside


def _places(motion: FloatArray, shape: tuple[int, ...]) -> list[FloatArray]:
    """Rows and columns of a frame at which pixels of the reference are."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return [row[0] * y + row[1] * x + row[2] for row in motion]


def resampled(planes: NDArray[Any], motion: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Bring the channels of a frame (C, M, N) onto the reference.

    Returns them and the variance of white noise of variance 1 in them (M, N), infinite where the
    frame shows nothing.
    """
    from scipy.ndimage import affine_transform

    shape = planes.shape[1:]
    if np.array_equal(motion, np.eye(2, 3)):
        return planes.astype(np.float64), np.ones(shape)
    warped = np.array([
        affine_transform(
            plane.astype(np.float64), motion[:, :2], motion[:, 2], order=ORDER, mode="mirror"
        )
        for plane in planes
    ])  # fmt: skip
    gains = noise_gains()
    places = [np.rint(place % 1 * FRACTIONS).astype(int) for place in _places(motion, shape)]
    gain = gains[places[0]] * gains[places[1]]
    return warped, np.where(_inside(motion, shape, 0), gain, np.inf)


def noise_gains() -> FloatArray:
    """Variance of white noise resampled by splines along one axis, by the fraction of a pixel."""
    from scipy.ndimage import map_coordinates

    impulse = np.zeros(65)
    impulse[32] = 1
    places = np.arange(-24, 25)[:, None] + np.arange(FRACTIONS + 1) / FRACTIONS + 32
    response = map_coordinates(impulse, [places], order=ORDER, mode="mirror")
    gains: FloatArray = (response**2).sum(0)
    return gains
