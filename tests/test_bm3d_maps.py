"""Noise whose level differs from pixel to pixel."""

import numpy as np
import pytest
from support.images import assert_close, camera, psnr, scene

from fastrestore import bm3d


def rising(shape, low=5.0, high=50.0):
    """Sigma that increases from left to right."""
    return np.broadcast_to(np.linspace(low, high, shape[1]), shape)


def noisy(clean, sigma, seed=1):
    return clean + sigma * np.random.default_rng(seed).standard_normal(clean.shape)


def test_a_map_is_better_than_any_single_sigma():
    clean = camera(60, 100, 192, 192)
    sigma = rising(clean.shape)
    image = noisy(clean, sigma)
    mapped = psnr(clean, bm3d(image, sigma))
    assert mapped > max(psnr(clean, bm3d(image, s)) for s in (10, 15, 20, 25, 30, 35)) + 0.5


@pytest.mark.parametrize("profile", ["np", "vn"])
def test_backends_agree(profile):
    clean = scene(48, 56)
    sigma = 5 + 30 * (scene(48, 56, seed=7) > 120)
    image = np.round(noisy(clean, sigma))
    results = [bm3d(image, sigma, profile=profile, backend=b) for b in ("numpy", "numba")]
    assert_close(results[1], results[0], 255)


def test_constant_map_equals_a_number():
    image = noisy(scene(32, 40), 20)
    expected = bm3d(image, 20)
    for sigma in (np.full((32, 40), 20.0), np.full(40, 20), np.full((32, 1), 20, "u1")):
        np.testing.assert_array_equal(bm3d(image, sigma), expected)


def test_maps_broadcast():
    image = noisy(scene(32, 40), 20)
    row = np.linspace(10, 30, 40)
    expected = bm3d(image, np.tile(row, (32, 1)))
    np.testing.assert_array_equal(bm3d(image, row), expected)
    np.testing.assert_array_equal(bm3d(image, row[None]), expected)


def test_pixels_without_noise_are_unchanged_and_improve_others(backend):
    clean = scene(40, 40)
    sigma = np.full(clean.shape, 25.0)
    sigma[10:20, 5:30] = 0
    image = noisy(clean, sigma)
    result = bm3d(image, sigma, backend=backend)
    np.testing.assert_array_equal(result[sigma == 0], image[sigma == 0])
    assert np.isfinite(result).all()
    assert psnr(clean, result) > psnr(clean, bm3d(image, 25, backend=backend))


def test_extreme_maps_give_finite_results():
    clean = scene(40, 44)
    for low, high in ((0.0, 60.0), (1e-6, 60.0), (1e-3, 1e3)):
        sigma = np.where(clean > 100, low, high)
        assert np.isfinite(bm3d(noisy(clean, sigma), sigma)).all()
    one = np.zeros(clean.shape)
    one[7, 9] = 20
    image = noisy(clean, one)
    result = bm3d(image, one)
    np.testing.assert_array_equal(result[one == 0], image[one == 0])
    np.testing.assert_array_equal(bm3d(clean, 0 * one), clean.astype(result.dtype))


@pytest.mark.parametrize("name", ["opp", "pca", None])
def test_color(name):
    clean = np.stack([scene(48, 48), 0.7 * scene(48, 48) + 20, scene(48, 48, seed=4)], axis=-1)
    plane = rising((48, 48))
    image = noisy(clean, plane[..., None])
    options = {"channel_axis": -1, "colorspace": name}
    result = bm3d(image, plane, **options)
    np.testing.assert_array_equal(bm3d(image, plane[..., None], **options), result)
    np.testing.assert_array_equal(bm3d(image, np.tile(plane[..., None], 3), **options), result)
    assert psnr(clean, result) > psnr(clean, bm3d(image, 30, **options)) + 0.3
    own = np.stack([plane, plane[:, ::-1], np.full((48, 48), 20.0)], axis=-1)
    image = noisy(clean, own)
    results = [bm3d(image, own, backend=b, **options) for b in ("numpy", "numba")]
    assert_close(results[1], results[0], 255)


def test_units_workers_and_small_images():
    sigma = rising((40, 44))
    image = noisy(scene(40, 44), sigma)
    expected = bm3d(image, sigma)
    np.testing.assert_array_equal(bm3d(image * 4, sigma * 4), expected * 4)
    np.testing.assert_array_equal(bm3d(image, sigma, workers=3), expected)
    assert_close(bm3d(image / 255, sigma / 255) * 255, expected, 255)
    for shape in ((1, 1), (1, 9), (5, 3)):
        small = np.arange(float(np.prod(shape))).reshape(shape)
        assert np.isfinite(bm3d(small, 1 + small / 10)).all()


@pytest.mark.parametrize(
    ("error", "message", "sigma"),
    [
        (ValueError, r"sigma must be .*to \(16, 16\), .*got an array of shape \(3,\)", np.ones(3)),
        (ValueError, r"sigma must be .*got an array of shape \(16, 15\)", np.ones((16, 15))),
        (ValueError, r"sigma must be .*got -1.0 at \(0, 2\)", np.array([[1, 1, -1.0] + [1] * 13])),
        (ValueError, r"sigma must be .*got nan at \(3,\)", np.array([1.0] * 3 + [np.nan] * 13)),
        (TypeError, r"sigma must be .*got a masked array", np.ma.ones((16, 16))),
        (TypeError, r"sigma must be ", np.ones((16, 16), bool)),
    ],
)
def test_bad_maps(error, message, sigma):
    with pytest.raises(error, match=message):
        bm3d(scene(16, 16), sigma)
