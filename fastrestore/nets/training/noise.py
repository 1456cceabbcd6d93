"""Random noise of photographs for training: levels, maps, spectra, correlation of the colors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray
from fastrestore._noise.sampling import drawn
from fastrestore._noise.spec import NoiseSpec

# Shares of the kinds of noise: white noise of a constant level is what networks are compared on
KINDS = {"white": 0.64, "map": 0.06, "signal-dependent": 0.08, "camera": 0.22}
SKEW = 1.5  # power of a uniform number: low levels, at which networks easily do harm, are frequent
STRONGEST = 25.0  # of 255: largest mean level of camera noise
CAMERA = 0.7  # power of the level by brightness, for tone curves from linear to the square root
SIDE = 24  # of the spectra, in frequencies
KNOTS = np.linspace(0, 255, 16)  # brightness at which levels are given


class Noise(NamedTuple):
    """Noise of one photograph (C, M, N) on the range from 0 to 255."""

    kind: str
    spec: NoiseSpec
    map: FloatArray | None = None  # factor of the level at each pixel

    def sample(self, clean: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draw the noise."""
        noise: FloatArray = self.levels(clean) * drawn(self.spec.spectrum, clean.shape, rng)
        return noise

    def levels(self, clean: FloatArray) -> FloatArray:
        """Return the standard deviation at each pixel, (C, M, N)."""
        tables = zip(clean, self.spec.brightness, self.spec.levels, strict=True)
        levels: FloatArray = np.array([np.interp(*each) for each in tables])
        return levels if self.map is None else levels * self.map


def draw_noise(
    rng: np.random.Generator, shape: tuple[int, ...], sigma: tuple[float, float]
) -> Noise:
    """Draw the noise of a photograph (C, M, N) with a level from a range on 0 to 255."""
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    low, high = sigma
    level = low + (high - low) * rng.uniform() ** SKEW
    if kind in ("white", "map"):
        noise = white_noise(level, shape[0])
        return noise if kind == "white" else noise._replace(kind=kind, map=uneven(rng, shape[1:]))
    if kind == "camera":
        level *= min(1.0, STRONGEST / high) if high else 1.0
    return varying_noise(rng, kind, level, shape[0])


def white_noise(level: float, channels: int) -> Noise:
    """Return white noise of a constant level."""
    return Noise("white", NoiseSpec.white(*[level] * channels))


def uneven(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Return a smooth map of factors up to 1."""
    field: FloatArray = np.exp(0.5 * smooth(rng, shape, rng.uniform(15, 60)))
    field /= field.max()
    return field


def varying_noise(rng: np.random.Generator, kind: str, level: float, channels: int) -> Noise:
    """Return "signal-dependent" or "camera" noise of a mean level."""
    white = np.eye(channels)[..., None, None]
    spectrum = white if kind == "signal-dependent" else camera_spectrum(rng, channels)
    levels = level * curves(rng, channels)
    sigmas = np.sqrt(np.square(levels).mean(1))
    return Noise(kind, NoiseSpec(sigmas, np.tile(KNOTS, (channels, 1)), levels, spectrum))


def curves(rng: np.random.Generator, channels: int) -> FloatArray:
    """Return levels by brightness (C, knots), with a mean square of about 1.

    Photons give a variance that rises with the brightness; tone curves bend it, and reduce it for
    highlights.
    """
    share = rng.uniform(0.1, 1)  # of photons
    power = rng.uniform(CAMERA, 2)
    bright = (KNOTS + 1) / 256
    falling = 1 - rng.uniform(0, 0.8) * bright ** rng.uniform(1, 3)
    variance = (1 - share + 3 * share * bright**power) * falling
    levels = np.sqrt(variance / variance.mean())
    gains = np.exp(rng.normal(0, 0.15, channels))
    curves: FloatArray = gains[:, None] * levels
    return curves


def camera_spectrum(rng: np.random.Generator, channels: int) -> FloatArray:
    """Return cross-spectra (C, C, P, Q) as those of demosaicing, smoothing and compression.

    Gaussian low-pass filters of random width, wider for the chrominance than for the luminance,
    with a floor of white noise.
    """
    fine = rng.uniform(0, 1.2)  # standard deviation of the filter in pixels
    floor = rng.uniform(0.01, 0.3)
    luminance = _lowpass(fine, floor)
    if channels == 1:
        alone: FloatArray = luminance / luminance.mean()
        return alone[None, None]
    chrominance = _lowpass(fine + rng.uniform(0, 2.0), floor)
    # Share of the luminance in the power, 1/3 if the channels are independent
    share = rng.uniform(0.25, 0.9)
    mean = np.full((3, 3), 1 / 3)[..., None, None]
    rest = np.eye(3)[..., None, None] - mean
    cross = 3 * share * mean * (luminance / luminance.mean())
    cross = cross + 1.5 * (1 - share) * rest * (chrominance / chrominance.mean())
    scale = np.sqrt([cross[c, c].mean() for c in range(3)])
    spectrum: FloatArray = cross / np.outer(scale, scale)[..., None, None]
    return spectrum


def _lowpass(width: float, floor: float) -> FloatArray:
    """Return the power of white noise after a Gaussian filter, and a floor."""
    f = np.fft.fftfreq(SIDE)
    squared = np.add.outer(f**2, f**2)
    power: FloatArray = (1 - floor) * np.exp(-((2 * np.pi * width) ** 2) * squared) + floor
    return power


def stripes(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Draw slightly bent stripes in a part of an image (C, M, N), with contrast by color.

    Networks tend to remove such textures, and photographs have too few of them for the training.
    """
    angle, frequency = rng.uniform(0, np.pi), rng.uniform(0.08, 0.45)
    bend, part = (smooth(rng, shape[1:], width) for width in (30, 25))
    y, x = np.mgrid[: shape[1], : shape[2]]
    phase = frequency * (x * np.cos(angle) + y * np.sin(angle)) + rng.uniform(0, 2) * bend
    drawn: FloatArray = np.sin(2 * np.pi * phase) * np.clip(part, 0, 1)
    contrast: FloatArray = rng.uniform(5, 45) * rng.uniform(0.3, 1, shape[0])
    return contrast[:, None, None] * drawn


def smooth(rng: np.random.Generator, shape: tuple[int, ...], width: float) -> NDArray[np.float64]:
    """Return Gaussian noise of variance 1 with a correlation length of `width` pixels."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(rng.standard_normal(shape), width, mode="wrap")
    scaled: NDArray[np.float64] = field / field.std()
    return scaled
