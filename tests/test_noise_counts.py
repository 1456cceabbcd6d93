"""Poisson-Gaussian noise of unknown gain, sigma and offset, found from images."""

import numpy as np
import pytest
from support.images import camera

import fastrestore
from fastrestore._noise.counts import counts_noise


def scene(peak):
    return camera(100, 150, 256, 256) / 255 * peak


def counted(clean, model, seed=0):
    rng = np.random.default_rng(seed)
    noise = model.sigma * rng.standard_normal(clean.shape)
    return model.gain * rng.poisson(clean / model.gain) + noise + model.offset


def found(*planes, valid=None):
    return counts_noise(np.array(planes), valid)


@pytest.mark.parametrize("peak", [5, 20, 100])
@pytest.mark.parametrize("offset", [0, 100])
@pytest.mark.parametrize("sigma", [0, 1.5])
def test_gain_sigma_and_offset(peak, offset, sigma):
    model = fastrestore.PoissonGaussian(2.2, sigma, offset)
    clean = scene(peak * model.gain)
    spec = found(counted(clean, model))
    estimate = spec.distribution
    assert estimate.gain == pytest.approx(2.2, rel=0.1)
    brightness = np.quantile(clean, [0.1, 0.3, 0.5, 0.9])
    variances = estimate.gain * (brightness + offset - estimate.offset) + estimate.sigma**2
    np.testing.assert_allclose(variances, 2.2 * brightness + sigma**2, rtol=0.15)
    if peak < 100:  # where it matters
        assert estimate.offset == pytest.approx(offset, abs=0.6)
    assert spec.sigma[0] == pytest.approx(np.sqrt(2.2 * clean.mean() + sigma**2), rel=0.05)


@pytest.mark.parametrize("scale", [1 / 65535, 1e6])
def test_units(scale):
    noisy = counted(scene(50), fastrestore.PoissonGaussian(1, 1, 20))
    one, other = (found(values).distribution for values in (noisy, scale * noisy))
    expected = np.multiply([one.gain, one.sigma, one.offset], scale)
    np.testing.assert_allclose([other.gain, other.sigma, other.offset], expected, rtol=1e-6)


def test_levels_are_those_of_the_distribution():
    spec = found(counted(scene(100), fastrestore.PoissonGaussian(2, 3, 10)))
    model = spec.distribution
    variances = model.gain * (spec.brightness - model.offset) + model.sigma**2
    np.testing.assert_allclose(spec.levels**2, np.maximum(variances, model.sigma**2))
    assert spec.model == "signal-dependent"


def test_whole_numbers_of_16_bits():
    noisy = np.rint(counted(scene(255), fastrestore.PoissonGaussian(2.2, 0, 100)))
    assert found(noisy.astype(np.uint16)).distribution.gain == pytest.approx(2.2, rel=0.1)


@pytest.mark.parametrize("sigma", [0, 5, 25, 50])
@pytest.mark.parametrize("clip", [False, True])
def test_other_noise(sigma, clip):
    noisy = scene(255) + sigma * np.random.default_rng(0).standard_normal((256, 256))
    assert found(np.clip(np.rint(noisy), 0, 255) if clip else noisy) is None


def test_correlated_noise():
    model = fastrestore.PoissonGaussian(2.2, 0, 100)
    noisy = counted(scene(255), model)
    assert found((noisy + np.roll(noisy, 1, 1)) / 2) is None


def test_channels_of_one_sensor():
    model = fastrestore.PoissonGaussian(2.2, 3, 100)
    planes = [counted(scene(peak), model, seed=peak) for peak in (100, 200)]
    assert found(*planes).distribution.gain == pytest.approx(2.2, rel=0.1)


def test_channels_of_different_gain():
    gains = (1, 6)
    planes = [counted(scene(200), fastrestore.PoissonGaussian(g), seed=g) for g in gains]
    spec = found(*planes)
    assert spec.distribution is None
    expected = np.sqrt([gain * scene(200).mean() for gain in gains])
    np.testing.assert_allclose(spec.sigma, expected, rtol=0.05)


@pytest.mark.parametrize("fill", [np.nan, 0.0, 65535.0])
def test_invalid_pixels(fill):
    noisy = counted(scene(100), fastrestore.PoissonGaussian(2.2, 3, 100))
    valid = np.ones(noisy.shape, bool)
    valid[:60] = valid[100:120, 50:80] = False
    noisy[~valid] = fill
    assert found(noisy, valid=valid).distribution.gain == pytest.approx(2.2, rel=0.15)


def test_saturated_and_black_areas():
    noisy = counted(scene(255), fastrestore.PoissonGaussian(2.2, 0, 100))
    noisy[:20] = 0
    assert found(np.minimum(noisy, 300)).distribution.gain == pytest.approx(2.2, rel=0.15)


def test_clipped_black_level():
    noisy = counted(scene(40), fastrestore.PoissonGaussian(2.2, 4))
    assert found(np.maximum(noisy, 0)).distribution.gain == pytest.approx(2.2, rel=0.3)


@pytest.mark.parametrize("shape", [(1, 1), (4, 40), (8, 8), (16, 16)])
def test_small_images(shape):
    assert found(np.random.default_rng(0).poisson(5, shape)) is None


def test_nothing_to_measure():
    assert found(np.full((64, 64), 7)) is None
    assert found(np.ones((64, 64)), valid=np.zeros((64, 64), bool)) is None


def test_few_bright_areas():
    y, x = np.mgrid[:256, :256]
    spots = [np.exp(-((y - 60 * k) ** 2 + (x - 50 * k) ** 2) / 128) for k in (1, 2, 4)]
    model = fastrestore.PoissonGaussian(2.2, 3, 100)
    estimate = found(counted(2 + 100 * np.sum(spots, axis=0), model)).distribution
    assert estimate.gain == pytest.approx(2.2, rel=0.15)


def test_bm3d_without_arguments():
    model = fastrestore.PoissonGaussian(2.2, 0, 100)
    clean = scene(255)[60:188, 60:188]
    noisy = np.rint(counted(clean, model)).astype(np.uint16)
    told, blind, white = (
        fastrestore.metrics.psnr(clean, fastrestore.bm3d(noisy, **given) - 100, data_range=255)
        for given in ({"noise": model}, {}, {"noise": "white"})
    )
    assert blind > told - 0.15
    assert blind > white + 1


def stars(count=20):
    """Return a black image with stars of up to 2000."""
    y, x = np.mgrid[:160, :160]
    image = np.zeros(x.shape)
    for row, column, peak in np.random.default_rng(0).uniform(
        (0, 0, 50), (160, 160, 2000), (count, 3)
    ):
        image += peak * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 2.9)
    return image


@pytest.mark.parametrize("sigma", [1.0, 2.0, 5.0, 20.0])
@pytest.mark.parametrize("stored", [np.uint8, np.float64])
def test_clipped_noise_around_stars_is_not_photon_noise(stored, sigma):
    clean = stars()
    image = np.maximum(clean + np.random.default_rng(0).normal(0, sigma, clean.shape), 0)
    if stored == np.uint8:
        image = np.minimum(image.round(), 255)
    spec = fastrestore.estimate_noise(image.astype(stored))
    assert spec.model == "white"
    assert spec.sigma[0] == pytest.approx(sigma, rel=0.25)


def test_few_stars_are_kept():
    clean = np.minimum(stars(), 255)
    image = np.clip(clean + np.random.default_rng(1).normal(0, 1, clean.shape), 0, 255).round()
    error, before = (np.mean((k - clean) ** 2) for k in (fastrestore.bm3d(image), image))
    assert error < before


@pytest.mark.parametrize("sigma", [5.0, 20.0])
def test_clipped_noise_of_a_dark_image_is_not_photon_noise(sigma):
    y, x = np.mgrid[:160, :160]
    clean = 1.5 * sigma * np.exp(-((x - 80) ** 2 + (y - 80) ** 2) / 800)
    image = np.maximum(clean + np.random.default_rng(0).normal(0, sigma, clean.shape), 0)
    assert found(image) is None
