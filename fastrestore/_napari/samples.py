"""Sample data, all made here but one photograph that is part of PyWavelets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LayerData = tuple[Any, dict[str, Any], str]
MICROMETER = "micrometer"


def photograph() -> list[LayerData]:
    """Return a photograph with white noise."""
    clean = _camera()
    noisy = clean + np.random.default_rng(0).normal(0, 20, clean.shape)
    return [(noisy.astype(np.float32), {"name": "photograph"}, "image")]


def volume() -> list[LayerData]:
    """Return a confocal stack of cells: photons of few counts, and the noise of the camera."""
    clean = _cells((24, 192, 192))
    rng = np.random.default_rng(1)
    noisy = 2.0 * rng.poisson(clean) + rng.normal(100, 2, clean.shape)
    options = {
        "name": "cells",
        "scale": (1.0, 0.2, 0.2),
        "units": (MICROMETER,) * 3,
        "axis_labels": ("z", "y", "x"),
    }
    return [(np.clip(np.rint(noisy), 0, 65535).astype(np.uint16), options, "image")]


def film() -> list[LayerData]:
    """Return a film of moving spots with white noise."""
    rng = np.random.default_rng(2)
    places, speeds = rng.uniform(20, 140, (24, 2)), rng.normal(0, 1.5, (24, 2))
    grid = np.mgrid[:160, :160].astype(float)
    frames = [_spots(grid, places + time * speeds) for time in range(16)]
    noisy = np.stack(frames) + rng.normal(0, 15, (16, 160, 160))
    options = {
        "name": "spots",
        "scale": (1.0, 0.1, 0.1),
        "units": ("second", MICROMETER, MICROMETER),
        "axis_labels": ("t", "y", "x"),
    }
    return [(noisy.astype(np.float32), options, "image")]


def blurred() -> list[LayerData]:
    """Return a blurred photograph, and the point spread function."""
    from scipy.signal import fftconvolve

    across = np.arange(-10, 11) / 2.0
    psf = np.exp(-np.add.outer(across**2, across**2) / 2)
    psf /= psf.sum()
    wide = np.pad(_camera(), 10, mode="reflect")
    image = fftconvolve(wide, psf, mode="valid")
    image += np.random.default_rng(3).normal(0, 1.5, image.shape)
    return [
        (image.astype(np.float32), {"name": "blurred"}, "image"),
        (psf.astype(np.float32), {"name": "psf", "visible": False}, "image"),
    ]


def sinogram() -> list[LayerData]:
    """Return a sinogram of disks whose detector has streaks."""
    angles, offset = np.linspace(0, np.pi, 360, endpoint=False), np.arange(256) - 127.5
    clean = np.zeros((360, 256))
    for x, y, radius, density in ((0, 0, 100, 1.0), (40, 20, 25, -0.6), (-50, 30, 15, 0.8)):
        center = x * np.cos(angles) + y * np.sin(angles)
        squared = radius**2 - np.subtract.outer(-center, -offset) ** 2
        clean += density * 0.02 * np.sqrt(np.maximum(squared, 0))
    rng = np.random.default_rng(4)
    streaks = rng.normal(0, 0.03, 256)
    noisy = clean + streaks + rng.normal(0, 0.01, clean.shape)
    options = {"name": "sinogram", "axis_labels": ("angle", "detector")}
    return [(noisy.astype(np.float32), options, "image")]


def _camera() -> NDArray[np.float64]:
    """Return the photograph of PyWavelets."""
    import pywt.data

    return np.asarray(pywt.data.camera(), float)


def _cells(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Return photons of ellipsoids with bright grains, on a dim background."""
    rng = np.random.default_rng(5)
    grid = np.ogrid[tuple(map(slice, shape))]
    expected = np.full(shape, 2.0)
    for _ in range(14):
        center = rng.uniform(0.1, 0.9, 3) * shape
        axes = np.array([5.0, 22.0, 22.0]) * rng.uniform(0.7, 1.3, 3)
        distance = _squared(grid, center, axes)
        expected += 20 * np.exp(-60 * (np.sqrt(distance) - 1) ** 2) + 5 * (distance < 1)
        for grain in center + rng.normal(0, 0.45, (8, 3)) * axes:
            spread = zip(grid, grain, (1.2, 2.5, 2.5), strict=True)
            z, y, x = (np.exp(-(((each - at) / width) ** 2)) for each, at, width in spread)
            expected += 35 * z * y * x
    return expected


def _squared(grid: Any, center: NDArray[Any], axes: NDArray[Any]) -> Any:
    """Return the squared distance from a center, 1 on the surface of an ellipsoid."""
    return sum(((each - at) / axis) ** 2 for each, at, axis in zip(grid, center, axes, strict=True))


def _spots(grid: NDArray[Any], places: NDArray[Any]) -> NDArray[np.float64]:
    """Return an image of round spots."""
    image = np.full(grid.shape[1:], 40.0)
    for row, column in places:
        image += 90 * np.exp(-((grid[0] - row) ** 2 + (grid[1] - column) ** 2) / 18)
    return image
