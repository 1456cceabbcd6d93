"""Color and other channels: axes, transforms, noise level per channel."""

import numpy as np
import pytest
from support.images import assert_close, noisy, psnr, scene

from fastrestore import bm3d
from fastrestore._arrays import color
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.host import product


def colors(height=48, width=56):
    """Draw an image whose channels share edges but not values."""
    gray, other = scene(height, width), scene(height, width, seed=3)
    return np.stack([gray, 0.7 * gray + 20, 0.5 * gray + 0.3 * other], axis=-1)


@pytest.mark.parametrize("name", ["auto", "opp", "ycbcr", "pca", None])
def test_noise_is_removed_and_backends_agree(name):
    clean = colors()
    image = noisy(clean, 20)
    results = [
        bm3d(image, 20, channel_axis=-1, colorspace=name, backend=backend)
        for backend in ("numpy", "numba")
    ]
    assert psnr(clean, results[0]) > psnr(clean, image) + 6
    assert_close(results[1], results[0], 255)


def test_opponent_colors_beat_single_channels():
    clean = colors(96, 96)
    image = noisy(clean, 25)
    single = np.stack([bm3d(image[..., k], 25) for k in range(3)], axis=-1)
    assert psnr(clean, bm3d(image, 25, channel_axis=-1)) > psnr(clean, single) + 0.5


@pytest.mark.parametrize("axis", [0, 1, 2, -3, -2, np.int64(0)])
def test_channel_axes(axis):
    image = noisy(colors(24, 28), 20).astype("f4")
    expected = bm3d(image, 20, channel_axis=-1)
    moved = np.moveaxis(image, -1, axis)
    result = bm3d(moved, 20, channel_axis=axis)
    assert result.shape == moved.shape
    assert result.dtype == np.float32
    np.testing.assert_array_equal(np.moveaxis(result, axis, -1), expected)


def test_a_gray_image_in_color_equals_the_gray_result():
    image = noisy(scene(40, 44), 20)
    gray = bm3d(image, 20)
    for pilot in (None, scene(40, 44)):
        gray = bm3d(image, 20, pilot=pilot)
        stored = np.repeat(image[..., None], 3, axis=-1)
        guide = None if pilot is None else np.repeat(pilot[..., None], 3, axis=-1)
        result = bm3d(stored, 20, channel_axis=-1, pilot=guide)
        np.testing.assert_array_equal(result, np.repeat(gray[..., None], 3, axis=-1))


def test_one_channel_equals_the_gray_result():
    image = noisy(scene(40, 44), 20)
    for name in color.NAMES:
        result = bm3d(image[None], 20, channel_axis=0, colorspace=name)
        np.testing.assert_array_equal(result[0], bm3d(image, 20))


@pytest.mark.parametrize("name", ["opp", "pca", None])
def test_noise_level_per_channel(name):
    clean = colors(64, 64)
    sigmas = np.array([5.0, 40.0, 15.0])
    image = clean + sigmas * np.random.default_rng(1).standard_normal(clean.shape)
    own = bm3d(image, sigmas, channel_axis=-1, colorspace=name)
    mean = bm3d(image, np.sqrt((sigmas**2).mean()), channel_axis=-1, colorspace=name)
    assert psnr(clean, own) > psnr(clean, mean) - (0.1 if name == "opp" else -0.5)
    equal = bm3d(image, [20, 20, 20], channel_axis=-1, colorspace=name)
    np.testing.assert_array_equal(equal, bm3d(image, 20, channel_axis=-1, colorspace=name))


def test_a_channel_without_noise_is_unchanged():
    clean = colors()
    image = noisy(clean, 20)
    image[..., 1] = clean[..., 1]
    for name in ("opp", None):
        result = bm3d(image, [20, 0, 20], channel_axis=-1, colorspace=name)
        np.testing.assert_array_equal(result[..., 1], image[..., 1])
        assert psnr(clean, result) > psnr(clean, image) + 3


def test_a_constant_channel_stays_constant_without_a_transform():
    image = noisy(colors(24, 28), 20)
    image[..., 2] = 77
    result = bm3d(image, 20, channel_axis=-1, colorspace=None)
    np.testing.assert_allclose(result[..., 2], 77, rtol=1e-6)
    assert np.isfinite(bm3d(image, 20, channel_axis=-1)).all()


@pytest.mark.parametrize("shape", [(2, 30, 3), (30, 2, 3), (1, 1, 3), (9, 9, 2), (12, 12, 64)])
@pytest.mark.parametrize("name", ["auto", "pca"])
def test_few_pixels_and_many_channels(shape, name):
    image = 100 + 10 * np.random.default_rng(0).standard_normal(shape)
    result = bm3d(image, 10, channel_axis=-1, colorspace=name)
    assert result.shape == shape
    assert np.isfinite(result).all()
    assert image.size < 50 or result.std() < image.std()


def test_principal_components_of_many_channels():
    weights = np.random.default_rng(2).uniform(0.2, 1, (16, 2))
    clean = np.einsum("cs,syx->cyx", weights, [scene(48, 48), scene(48, 48, seed=5)])
    image = noisy(clean, 20)
    pca = bm3d(image, 20, channel_axis=0, colorspace="pca")
    assert psnr(clean, pca) > psnr(clean, bm3d(image, 20, channel_axis=0)) + 2


def test_workers_do_not_change_results_or_the_input():
    image = noisy(colors(), 20)
    before = image.copy()
    expected = bm3d(image, 20, channel_axis=-1, workers=1)
    np.testing.assert_array_equal(bm3d(image, 20, channel_axis=-1, workers=3), expected)
    np.testing.assert_array_equal(image, before)


def test_units():
    image = noisy(colors(32, 32), 20)
    expected = bm3d(image, 20, channel_axis=-1)
    for scale in (2.0**-9, 8.0):
        result = bm3d(image * scale, 20 * scale, channel_axis=-1)
        np.testing.assert_array_equal(result, expected * scale)
    assert_close(bm3d(image / 255 - 1, 20 / 255, channel_axis=-1) * 255 + 255, expected, 255)


def test_uint8_equals_float32():
    image = np.clip(noisy(colors(24, 28), 20), 0, 255).astype(np.uint8)
    result = bm3d(image, 20, channel_axis=-1)
    assert result.dtype == np.float32
    expected = bm3d(image.astype("f4"), 20, channel_axis=-1)
    np.testing.assert_array_equal(result, expected)


def test_transforms_equal_the_published_ones():
    levels = {"opp": [0.57735, 0.70711, 0.61237], "ycbcr": [0.66856, 0.62306, 0.6572]}
    for name, expected in levels.items():
        matrix, weights = color.transform(name, None, np.ones(3))
        assert weights.tolist() == [1, 0, 0]
        np.testing.assert_allclose(
            PlaneNoise.white(1, 1, 1).mixed(matrix).sigmas, expected, atol=1e-5
        )
        assert 255 * np.abs(weights @ matrix).sum() == pytest.approx(255)  # range of luminance
        white = product(matrix, np.full((3, 1, 1), 255, np.float32))
        np.testing.assert_allclose(white.ravel(), [255, 0, 0], atol=1e-3)


@pytest.mark.parametrize("strength", [True, "1", [1.0]])
def test_a_strength_that_is_not_a_number(strength):
    with pytest.raises(TypeError, match=r"chroma_strength must be a number above 0, .*, got"):
        bm3d(scene(16, 16), 20, chroma_strength=strength)
    with pytest.raises(ValueError, match=r"chroma_strength must be .* got an array of shape"):
        bm3d(scene(16, 16), 20, chroma_strength=np.ones((2, 2)))


def test_a_colorspace_that_is_not_a_name():
    for name in (np.ones(2), ["opp"], {}):
        with pytest.raises(ValueError, match="colorspace must be one of"):
            bm3d(scene(16, 16), 20, colorspace=name)
