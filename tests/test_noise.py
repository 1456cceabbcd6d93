"""The noise level, estimated from the image alone."""

import numpy as np
import pytest
from support.images import camera, noisy, scene

from fastrestore import bm3d, estimate_sigma
from fastrestore._noise.estimate import mean_sigma, sigmas


@pytest.mark.parametrize("sigma", [3, 10, 25, 60])
def test_photograph(sigma):
    image = noisy(camera(50, 50, 300, 300), sigma)
    assert estimate_sigma(image) == pytest.approx(sigma, rel=0.06)


@pytest.mark.parametrize("sigma", [1e-6, 1.0, 1e8])
def test_pure_noise(sigma):
    image = noisy(np.full((200, 210), 3 * sigma), sigma)
    assert estimate_sigma(image) == pytest.approx(sigma, rel=0.05)


def test_units():
    image = noisy(camera(), 20)
    expected = estimate_sigma(image)
    assert estimate_sigma(image / 255 - 3) == pytest.approx(expected / 255, rel=1e-6)
    assert estimate_sigma(np.round(image).astype(np.int16)) == pytest.approx(expected, rel=0.02)


def test_weak_noise_in_texture():
    clean = camera(50, 50, 300, 300)
    assert estimate_sigma(clean) < 3
    assert estimate_sigma(noisy(clean, 5)) > estimate_sigma(clean)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (2, 3), (5, 9), (7, 7), (20, 20), (7, 200)])
def test_small_images(shape):
    image = noisy(np.full(shape, 50.0), 10)
    found = estimate_sigma(image)
    assert np.isfinite(found)
    assert found >= 0
    assert image.size < 100 or found == pytest.approx(10, rel=0.3)


def test_constant_image():
    assert estimate_sigma(np.full((30, 30), 7)) == 0
    np.testing.assert_array_equal(bm3d(np.full((30, 30), 7.0)), 7)


def test_each_channel():
    levels = np.array([5.0, 20.0, 40.0])
    clean = np.repeat(camera(50, 50, 256, 256)[None], 3, axis=0)
    image = clean + levels[:, None, None] * np.random.default_rng(0).standard_normal(clean.shape)
    np.testing.assert_allclose(estimate_sigma(image, channel_axis=0), levels, rtol=0.08)
    moved = estimate_sigma(np.moveaxis(image, 0, -1), channel_axis=-1)
    np.testing.assert_array_equal(moved, estimate_sigma(image, channel_axis=0))


def test_large_images_are_sampled():
    image = noisy(np.add.outer(np.arange(1500.0), np.arange(1400.0)) / 10, 10)
    assert estimate_sigma(image) == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize("fill", [0.0, np.nan, 1e30])
def test_invalid_pixels_take_no_part(fill):
    image = noisy(camera(50, 50, 300, 300), 10)
    valid = np.ones(image.shape, bool)
    valid[:100] = valid[:, 200:] = valid[150:170, 80:100] = False
    image[~valid] = fill
    found = sigmas(image[None], valid)
    assert found == pytest.approx(10, rel=0.06)
    assert sigmas(image[None], valid[None]) == found
    assert mean_sigma(np.stack([image, 2 * image]), valid) == pytest.approx(found[0] * 2.5**0.5)


def test_few_valid_pixels():
    image = noisy(np.full((60, 60), 50.0), 10)
    valid = np.zeros(image.shape, bool)
    assert sigmas(image[None], valid) == 0
    valid[10:20, 10:20] = True
    image[~valid] = np.nan
    assert sigmas(image[None], valid) == pytest.approx(10, rel=0.3)


@pytest.mark.parametrize("axis", [None, -1])
def test_bm3d_returns_the_estimated_sigma(axis):
    image = noisy(scene(64, 64), 20)
    if axis is not None:
        image = np.stack([image, image.T, image[::-1]], axis=axis)
    result, info = bm3d(image, channel_axis=axis, return_info=True)
    np.testing.assert_array_equal(info.sigma, estimate_sigma(image, channel_axis=axis))
    np.testing.assert_array_equal(result, bm3d(image, info.sigma, channel_axis=axis))
    assert info.estimated
    assert info.profile.name == "np"
    assert info.backend in ("numba", "cupy")
    assert not bm3d(image, 20, channel_axis=axis, return_info=True)[1].estimated


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (TypeError, r"image must be an array, got list", {"image": [[1.0]]}),
        (ValueError, r"2 axes.*write channel_axis=-1", {"image": np.ones((9, 9, 3))}),
        (ValueError, r"3 axes for channel_axis=0", {"image": np.ones((9, 9)), "channel_axis": 0}),
        (ValueError, r"NaN or infinite, 1 in all", {"image": np.array([[1.0, np.nan]])}),
    ],
)
def test_bad_input(error, message, arguments):
    with pytest.raises(error, match=message):
        estimate_sigma(**arguments)
