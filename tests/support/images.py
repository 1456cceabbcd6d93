"""Scenes for the tests: drawn, or carried by an installed package; noise is always seeded."""

import numpy as np


def scene(height=64, width=72, seed=0):
    """An 8-bit-valued float64 image with edges, a ramp, a texture and a flat part."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = 60 + 80 * (x > width / 3) + 0.8 * y + 25 * np.sin(x / 2.5) * (y > height / 2)
    for _ in range(6):
        cy, cx, r = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(3, 12)
        image[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = rng.uniform(20, 235)
    return np.round(np.clip(image, 0, 255))


def noisy(image, sigma, seed=1):
    return image + sigma * np.random.default_rng(seed).standard_normal(image.shape)


def camera(top=100, left=180, height=96, width=96):
    """A part of the photograph that scikit-image carries."""
    from skimage.data import camera as photograph

    return photograph()[top : top + height, left : left + width].astype(np.float64)


def psnr(reference, image, data_range=255.0):
    return 10 * np.log10(data_range**2 / np.mean((np.asarray(image, float) - reference) ** 2))


def assert_close(actual, expected, data_range):
    """Two engines agree: 99 % of the pixels to 1e-4 of the range, none worse than 5e-3."""
    error = np.abs(np.asarray(actual, float) - np.asarray(expected, float)) / data_range
    assert np.quantile(error, 0.99) <= 1e-4
    assert error.max() <= 5e-3
