"""Noise specifications from arguments, and after mixing of channels."""

import numpy as np
import pytest

from fastrestore import PoissonGaussian
from fastrestore._noise.applied import plane_noise
from fastrestore._noise.planes import NoiseArguments, PlaneNoise, noise_of_sigma
from fastrestore._noise.spec import NoiseSpec

SHAPE = (6, 8)
FLAT = np.full(SHAPE, 4.0 * 48)  # a psd of white noise of sigma 2


def spec(shape=SHAPE, channel_axis=None, **given):
    return NoiseArguments(**given).spec(shape, channel_axis, lambda: 5)


def test_sigma_is_estimated_by_default():
    assert spec() is None


def test_number_channels_and_map():
    assert spec(sigma=3).sigmas.tolist() == [3]
    assert spec((6, 8, 2), -1, sigma=[1, 2]).sigmas.tolist() == [1, 2]
    assert spec((6, 8, 2), -1, sigma=3).sigmas.tolist() == [3, 3]
    level = np.ones(SHAPE)
    level[:3], level[5] = 4.0, 0.0
    noise = spec(sigma=level)
    np.testing.assert_allclose(noise.sigmas[0] * noise.map[0], level)
    assert noise.is_zero(2)[0, 5].all()
    assert not noise.is_zero(2)[0, :5].any()
    assert spec(sigma=np.full(SHAPE, 5.0)).map is None


def test_proportional_maps_of_channels_share_one_map():
    level = np.random.default_rng(0).uniform(1, 2, SHAPE)
    alike = spec((*SHAPE, 2), -1, sigma=np.stack([level, 3 * level], -1))
    assert alike.map.shape == (1, *SHAPE)
    np.testing.assert_allclose(alike.sigmas[1], 3 * alike.sigmas[0])
    assert spec((*SHAPE, 2), -1, sigma=np.stack([level, level[::-1]], -1)).map.shape == (2, *SHAPE)


def test_spectra_have_mean_1_and_are_none_if_white():
    white = spec(psd=FLAT)
    assert white.spectrum is None
    np.testing.assert_allclose(white.sigmas, 2)
    noise = spec(noise_kernel=np.full((1, 4), 5.0))
    np.testing.assert_allclose(noise.spectrum.mean(), 1)
    np.testing.assert_allclose(noise.sigmas, 10)


def test_a_map_gives_the_level_and_a_spectrum_the_shape():
    level = np.linspace(1, 3, 48).reshape(SHAPE)
    both = spec(sigma=level, noise_kernel=np.full((1, 4), 5.0))
    np.testing.assert_allclose(both.sigmas[0] * both.map[0], level)
    np.testing.assert_allclose(both.spectrum.mean(), 1)


@pytest.mark.parametrize(
    "given",
    [
        {"sigma": 2.0, "psd": FLAT},
        {"psd": FLAT, "noise_kernel": np.ones((1, 2))},
        {"sigma": np.ones(SHAPE), "noise": PoissonGaussian(1)},
        {"sigma": np.ones(SHAPE), "psd": FLAT, "noise_kernel": np.ones((1, 2))},
    ],
)
def test_noise_is_specified_once(given):
    with pytest.raises(ValueError, match=r"pecify the noise once: got both "):
        spec(**given)


def test_mixing_of_independent_channels():
    rng = np.random.default_rng(0)
    level = np.stack([np.full(SHAPE, 2.0), rng.uniform(1, 4, SHAPE)])
    noise = noise_of_sigma(level, (2, *SHAPE), 0)
    weights = np.array([[0.5, 0.5], [1.0, -1.0]])
    mixed = noise.mixed(weights)
    expected = np.sqrt(np.einsum("kc,cyx->kyx", weights**2, level**2))
    np.testing.assert_allclose(mixed.sigmas[:, None, None] * mixed.map, expected)
    assert noise.mixed(np.eye(2)) is noise


def test_mixed_spectra_are_weighted_by_power():
    spectra = np.stack([np.full((1, 2), 1.0), np.array([[0.0, 2.0]])])
    mixed = PlaneNoise(np.array([1.0, 3.0]), None, spectra).mixed(np.array([[1.0, 1.0]]))
    np.testing.assert_allclose(mixed.sigmas, np.sqrt(10))
    np.testing.assert_allclose(mixed.spectrum, [[[0.1, 1.9]]])


def test_a_ragged_list_beside_another_noise_is_quoted():
    with pytest.raises(ValueError, match=r"got both sigma=5 and psd=\[\[1, 2\], \[3\]\]; only"):
        NoiseArguments(5, psd=[[1, 2], [3]]).spec((8, 8), None, reach=0)


def spec_of_three(levels, brightness):
    """Noise of three channels that are correlated between pixels and channels."""
    kernel = np.zeros((16, 16))
    kernel[:2, :3] = 1.0
    power = np.abs(np.fft.fft2(kernel)) ** 2
    correlation = np.array([[1, 0.8, 0.5], [0.8, 1, 0.3], [0.5, 0.3, 1]])
    spectrum = correlation[..., None, None] * power / power.mean()
    return NoiseSpec(np.ones(3), np.array([brightness] * 3), levels, spectrum)


def test_noise_of_a_source_follows_the_brightness_of_the_image():
    levels = np.array([[1.0, 3.0], [2.0, 2.0], [4.0, 2.0]])
    planes = np.zeros((3, 18, 22))
    planes[:, 8:], planes[0, 16:] = 100.0, 50.0
    noise = plane_noise(spec_of_three(levels, [0.0, 100.0]), planes)
    level = noise.sigmas[:, None, None] * noise.map
    assert level.shape == planes.shape
    np.testing.assert_allclose(level[:, 0, 0], levels[:, 0], rtol=1e-6)
    np.testing.assert_allclose(level[:, 12, 21], levels[:, 1], rtol=1e-6)
    np.testing.assert_allclose(level[0, 17, 3], 2, rtol=1e-6)
    np.testing.assert_allclose(np.mean(noise.map**2, (1, 2)), 1, rtol=1e-5)


def test_mixed_channels_have_the_noise_of_the_sum():
    levels = np.array([[1.0, 3.0], [2.0, 2.0], [4.0, 2.0]])
    planes = np.zeros((3, 64, 64))
    planes[:, 32:] = 100.0
    spec = spec_of_three(levels, [0.0, 100.0])
    mixed = plane_noise(spec, planes).mixed(np.array([[0.2, 0.5, 0.3], [1.0, -1.0, 0.0]]))
    for k, row in enumerate([[0.2, 0.5, 0.3], [1.0, -1.0, 0.0]]):
        for part, place in enumerate((0, 40)):
            weights = row * levels[:, part]
            expected = np.sqrt(weights @ spec.correlation @ weights)
            np.testing.assert_allclose(mixed.sigmas[k] * mixed.map[k, place, 0], expected, 1e-5)
    np.testing.assert_allclose(mixed.spectrum.mean((1, 2)), 1)
    # Lags of the noise beyond its support are 0, and do not wrap around
    lags = np.fft.ifft2(mixed.spectrum[0]).real
    np.testing.assert_allclose(lags[0, :4], [1, 2 / 3, 1 / 3, 0], atol=1e-6)
    assert abs(lags[16]).max() < 1e-6


def test_white_noise_of_a_source_has_no_spectrum_and_no_map():
    noise = plane_noise(NoiseSpec.white(1.0, 2.0), np.zeros((2, 16, 16)))
    assert noise.map is None
    assert noise.spectrum is None
    assert noise.cross is None
    assert noise.sigmas.tolist() == [1, 2]
