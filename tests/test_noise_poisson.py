"""Estimated gain and sigma of Poisson-Gaussian noise."""

import warnings

import numpy as np
import pytest
from support.images import camera

from fastrestore import estimate_poisson_gaussian


def photons(gain, sigma, seed=0):
    rng, clean = np.random.default_rng(seed), camera(0, 0, 512, 512)
    return gain * rng.poisson(clean / gain) + sigma * rng.standard_normal(clean.shape)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("offset", [0, 100, 512, -30])
def test_black_level(offset):
    image = photons(2.2, 3) + offset
    found = estimate_poisson_gaussian(image, offset=offset)
    np.testing.assert_allclose(found, estimate_poisson_gaussian(image - offset), rtol=1e-6)
    gain, sigma = found
    assert gain == pytest.approx(2.2, rel=0.1)
    assert gain * 100 + sigma**2 == pytest.approx(2.2 * 100 + 9, rel=0.1)


@pytest.mark.parametrize(("offset", "given"), [(100, 0), (512, 0), (30, 0), (100, 50)])
def test_wrong_black_level_warns(offset, given):
    with pytest.warns(UserWarning, match="suggests that value as offset=") as warned:
        estimate_poisson_gaussian(photons(2.2, 3) + offset, offset=given)
    assert f"offset={given}" in str(warned[0].message)
    assert warned[0].filename == __file__


def test_processed_image_warns():
    squared = photons(2.2, 3) ** 3
    with pytest.warns(UserWarning, match="do not fit the noise"):
        estimate_poisson_gaussian(squared)


def test_each_channel():
    image = np.stack([photons(1, 3), photons(4, 0, seed=1)])
    each = np.array([estimate_poisson_gaussian(plane) for plane in image]).T
    gains, sigmas = estimate_poisson_gaussian(image, channel_axis=0)
    np.testing.assert_array_equal([gains, sigmas], each)
    moved = estimate_poisson_gaussian(np.moveaxis(image, 0, -1), channel_axis=-1)
    np.testing.assert_array_equal(moved, each)
    np.testing.assert_allclose(gains, [1, 4], rtol=0.2)


@pytest.mark.parametrize("fill", [np.nan, 0.0, 1e6])
def test_invalid_pixels(fill):
    image, mask = photons(2.2, 3), np.ones((512, 512), bool)
    mask[:150] = mask[300:320, 100:200] = False
    image[~mask] = fill
    gain, _ = estimate_poisson_gaussian(image, mask=mask)
    assert gain == pytest.approx(2.2, rel=0.15)
    both = np.stack([image, image], axis=-1)
    np.testing.assert_allclose(estimate_poisson_gaussian(both, -1, mask=mask)[0], gain)


def test_areas_without_noise():
    image = photons(2.2, 3)
    image[:60] = image[-60:] = 16
    gain, _ = estimate_poisson_gaussian(image)
    assert gain == pytest.approx(2.2, rel=0.15)


def test_constant_image():
    assert estimate_poisson_gaussian(np.full((64, 64), 9)) == (0, 0)


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (TypeError, "offset must be a number, got 'x'", {"offset": "x"}),
        (ValueError, "offset must be a number, got inf", {"offset": np.inf}),
        (ValueError, "mask leaves 0 pixels", {"mask": np.eye(64, dtype=bool)}),
        (ValueError, "mask is False everywhere", {"mask": np.zeros((64, 64), bool)}),
        (ValueError, "mask must be .* broadcasts", {"mask": np.ones((3, 64), bool)}),
    ],
)
def test_bad_input(error, message, arguments):
    with pytest.raises(error, match=message):
        estimate_poisson_gaussian(np.ones((64, 64)), **arguments)
