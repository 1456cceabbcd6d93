"""Golden calls of measures of noise, of noise models and of metrics, by name."""

import warnings

import numpy as np
from inputs import COLOR, GRAY, LINE, SIGMA, STRIPED, noise, scene

import fastrestore

FLAT = 100.0 + noise((5, 32, 36), 21) + np.arange(36)
BRIGHT = np.clip(scene(64, 72) + noise((64, 72), 22, 3) * (1 + scene(64, 72) // 32), 0, None)
VALUES = np.arange(0, 60, 0.25)


def there_and_back(model):
    """What a noise model does to brightness."""
    stable = model.forward(VALUES)
    return stable, model.inverse(VALUES / 2), np.float64(model.extent(255.0))


def of_noise_that_is_not_photons():
    """Parameters for noise in proportion to the brightness, which warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return np.array(fastrestore.estimate_poisson_gaussian(BRIGHT))


CALLS = {
    "psd_from_kernel": lambda: fastrestore.psd_from_kernel(LINE, (20, 22)),
    "psd_from_kernel, volume": lambda: fastrestore.psd_from_kernel(LINE[None], (4, 10, 11)),
    "psd_from_flat_field": lambda: fastrestore.psd_from_flat_field(FLAT),
    "psd_from_flat_field, reach": lambda: fastrestore.psd_from_flat_field(FLAT, (40, 44), reach=4),
    "psd_from_flat_field, one": lambda: fastrestore.psd_from_flat_field(FLAT[0]),
    "estimate_psd": lambda: fastrestore.estimate_psd(STRIPED),
    "estimate_psd, color": lambda: fastrestore.estimate_psd(COLOR, channel_axis=-1),
    "estimate_poisson_gaussian": of_noise_that_is_not_photons,
    "Poisson": lambda: there_and_back(fastrestore.PoissonGaussian(gain=1)),
    "Poisson and Gaussian": lambda: there_and_back(
        fastrestore.PoissonGaussian(gain=2, sigma=1.5, offset=3)
    ),
    "Rician": lambda: there_and_back(fastrestore.Rician(sigma=4)),
    "psnr": lambda: np.float64(fastrestore.metrics.psnr(scene(48, 56), GRAY, data_range=255)),
    "denoise": lambda: fastrestore.denoise(GRAY, SIGMA),
    "denoise bm3d": lambda: fastrestore.denoise(GRAY, SIGMA, method="bm3d", profile="fast"),
}
