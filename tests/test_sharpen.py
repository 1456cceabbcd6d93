"""Sharpening: details, noise, channels, types, invalid arguments."""

import doctest
import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.data import astronaut, camera

from fastrestore import BackendUnavailableError, NoiseSpec, Profile, bm3d, estimate_sigma, sharpen
from fastrestore._algorithms import sharpen as sharpen_module


def photograph():
    """Return a photograph with little noise, and with more."""
    clean = camera()[100:196, 180:276].astype(np.float64)
    return clean, clean + np.random.default_rng(0).normal(0, 10, clean.shape)


def detail(image):
    """Mean size of the differences of neighbors."""
    return float(np.abs(np.diff(image, axis=0)).mean() + np.abs(np.diff(image, axis=1)).mean())


def test_details_grow_with_alpha():
    _, noisy = photograph()
    sizes = [detail(sharpen(noisy, 10, alpha)) for alpha in (1, 1.2, 1.5, 2)]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 1.3 * sizes[0]


def test_noise_of_flat_regions_is_not_amplified():
    noisy = 120 + np.random.default_rng(0).normal(0, 10, (64, 64))
    left = [sharpen(noisy, 10, alpha, data_range=255).std() for alpha in (1.2, 1.5)]
    assert left[0] < 0.3 * noisy.std()
    assert left[1] < 0.6 * noisy.std()


def test_alpha_of_one_is_the_first_stage():
    _, noisy = photograph()
    np.testing.assert_array_equal(
        sharpen(noisy, 10, 1, data_range=255), bm3d(noisy, 10, stage="basic", data_range=255)
    )


def test_mean_is_kept():
    _, noisy = photograph()
    assert abs(sharpen(noisy, 10).mean() - noisy.mean()) < 1


@pytest.mark.parametrize("alpha", [1.2, 1.5, 3.0])
def test_backends_agree(engine, alpha):
    _, noisy = photograph()
    expected, result = (
        sharpen(noisy[:40, :48], 10, alpha, data_range=255, backend=name)
        for name in ("numpy", engine)
    )
    np.testing.assert_allclose(result, expected, atol=0.01)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_types_and_units(dtype):
    _, noisy = photograph()
    seen = np.clip(noisy[:64, :64], 0, 255).astype(dtype)
    result = sharpen(seen, 10, data_range=255)
    assert result.dtype == (np.float32 if dtype == np.uint8 else dtype)
    scaled = sharpen(seen.astype(float) / 255, 10 / 255, data_range=1)
    assert np.abs(255 * scaled - result).mean() < 0.05  # blocks as near as others may change


def test_colors_and_other_channels():
    noisy = astronaut()[60:124, 200:264] + np.random.default_rng(0).normal(0, 8, (64, 64, 3))
    color = sharpen(noisy, 8, channel_axis=-1)
    plain = bm3d(noisy, 8, stage="basic", channel_axis=-1)
    assert detail(color.mean(-1)) > 1.05 * detail(plain.mean(-1))
    two = sharpen(noisy[..., :2], [8, 9], channel_axis=-1, data_range=255)
    np.testing.assert_array_equal(two[..., 1], sharpen(noisy[..., 1], 9, data_range=255))
    fast = {"data_range": 255, "profile": "fast"}
    other = sharpen(noisy[..., :2], [8, 9], channel_axis=-1, **fast)
    np.testing.assert_array_equal(other[..., 1], sharpen(noisy[..., 1], 9, **fast))


def test_without_sigma_and_without_noise():
    clean, noisy = photograph()
    found = sharpen(noisy, estimate_sigma(noisy))  # above the least level
    np.testing.assert_array_equal(sharpen(noisy), found)
    assert detail(sharpen(clean, 0)) > 1.2 * detail(clean)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"alpha": 0}, ValueError, r"alpha must be a number from 1 to 1e\+09, got 0"),
        ({"alpha": 0.5}, ValueError, r"alpha must be a number from 1 to 1e\+09, got 0.5"),
        ({"alpha": "much"}, TypeError, r"alpha must be a number from 1 to 1e\+09, got 'much'"),
        ({"sigma": -3}, ValueError, "sigma must be a number of 0 or more, .*, got -3"),
        ({"channel_axis": "last"}, TypeError, "channel_axis must be a whole number"),
        ({"profile": 3}, TypeError, "profile must be a name or a Profile, got 3"),
        ({"backend": "cupy"}, BackendUnavailableError, "cupy"),
    ],
)
def test_bad_input(given, error, message):
    with pytest.raises(error, match=message):
        sharpen(photograph()[1], **given)


@pytest.mark.parametrize("sigma", [1, 4])
def test_jpeg_files_do_not_turn_grainy(sigma):
    """Compression errors are not estimated, so the level of an estimate has a least value."""
    clean = astronaut()[60:188, 200:328].astype(float)
    soft = ndimage.gaussian_filter(clean, (1.2, 1.2, 0))
    noisy = soft + np.random.default_rng(0).normal(0, sigma, soft.shape)
    file = io.BytesIO()
    Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=92)
    decoded = np.asarray(Image.open(file))

    def error(image):
        return float(np.sqrt(np.mean((image - clean) ** 2)))

    best = error(sharpen(noisy, sigma, 1.3, channel_axis=-1))
    assert error(sharpen(decoded, alpha=1.3, channel_axis=-1)) < 1.15 * best


def camera_noise(shape=(96, 96, 3)):
    """Return noise without high frequencies, as demosaicking leaves it, of level 6."""
    white = np.random.default_rng(0).normal(0, 1, shape)
    noise = ndimage.gaussian_filter(white, (1, 1, 0))
    return 6 * noise / noise.std()


def test_correlated_noise_is_not_sharpened():
    rows, columns = np.mgrid[:96, :96]
    clean = np.repeat((100.0 + 60 * (columns > 70) + rows / 8)[..., None], 3, 2)
    noisy = clean + camera_noise()
    result, info = sharpen(noisy, channel_axis=-1, return_info=True)
    flat = (slice(8, 88), slice(8, 60))
    assert (result - clean)[flat].std() < 0.85 * (noisy - clean)[flat].std()
    white = sharpen(noisy, channel_axis=-1, noise="white")
    assert (white - clean)[flat].std() > (noisy - clean)[flat].std()  # as taken for details
    assert info.estimated
    assert info.noise.model != "white"
    assert abs(info.sigma.mean() - 6) < 1.5
    given = sharpen(noisy, channel_axis=-1, noise=info.noise)
    np.testing.assert_allclose(given, result, atol=1e-3)


def test_info_of_given_and_of_other_channels():
    noisy = photograph()[1][:48, :48]
    _, info = sharpen(noisy, 10, strength=0.5, return_info=True)
    assert (float(info.sigma), info.strength, info.estimated) == (10, 0.5, False)
    stack = np.stack([noisy, noisy / 2], -1)
    _, info = sharpen(stack, [8, 9], channel_axis=-1, return_info=True)
    np.testing.assert_array_equal(info.sigma, [8, 9])
    with pytest.raises(ValueError, match="both sigma and noise"):
        sharpen(noisy, 5, noise="auto")
    with pytest.raises(ValueError, match="1 or 3 channels, but the image has 2"):
        sharpen(stack, noise=NoiseSpec.white(5, 5), channel_axis=-1)


def test_images_of_few_photons():
    clean = 6 + 5 * np.sin(np.arange(128) / 9)[:, None] + np.zeros((128, 128))
    result = sharpen(np.random.default_rng(0).poisson(clean).astype(np.uint8))
    assert np.abs(result - clean).mean() < 2


def test_channels_with_a_map_raise():
    image = np.random.default_rng(0).normal(100, 5, (9, 11, 4))
    message = r"sigma must be a number, or one for each of 4 channels, got an array of shape \("
    for sigma in (np.ones((9, 11)), np.ones(image.shape), np.ones(3)):
        with pytest.raises(ValueError, match=message):
            sharpen(image, sigma, channel_axis=2)


def test_channels_without_color_transform_use_the_profile():
    for channels in (1, 2, 3, 5):
        image = np.random.default_rng(0).normal(100, 5, (32, 32, channels))
        results = [sharpen(image, 5, channel_axis=2, profile=each) for each in ("np", "lc")]
        assert (results[0] != results[1]).any()
        if channels != 3:
            single = sharpen(image[..., 0], 5, profile="lc")
            np.testing.assert_allclose(results[1][..., 0], single, atol=1e-4)


def test_sharpen_field_of_the_profile():
    """Alpha is the field `sharpen` of a profile."""
    assert Profile.named("np").sharpen == 1
    with pytest.raises(ValueError, match="sharpen"):
        Profile.named("np").replace(sharpen=0.5)


def test_the_example():
    result = doctest.testmod(sharpen_module)
    assert result.attempted > 0
    assert result.failed == 0
