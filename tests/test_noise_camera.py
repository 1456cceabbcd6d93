"""Noise of photographs: level by brightness, spectrum, and correlation of the channels."""

import numpy as np
import pytest

from fastrestore._noise.camera import camera_noise

BOTH = {"correlated": True, "varying": True}


def picture(size=256):
    """Draw a picture (M, N) on 0..200 with smooth shading, edges and a textured part."""
    y, x = np.mgrid[:size, :size] / size
    image = 40 + 100 * x + 20 * np.sin(5 * y)
    image[(x - 0.3) ** 2 + (y - 0.4) ** 2 < 0.03] += 50
    image[y > 0.75] += 25 * np.sin(90 * x + 40 * y**2)[y > 0.75]
    return image


def blurred(shape, seed, sigma=1.0):
    """Return smooth noise of variance 1."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).normal(size=shape)
    noise = gaussian_filter(noise, [0] * (len(shape) - 2) + [sigma] * 2, mode="wrap")
    return noise / noise.std()


def photograph(seed=0, size=256):
    """Return a color picture (3, M, N), its level by pixel, and noise, which has a luminance."""
    clean = np.stack([picture(size), 0.8 * picture(size) + 10, 0.6 * picture(size) + 30])
    level = 2 + 0.03 * clean
    common, own = blurred((size, size), seed), blurred((3, size, size), seed + 1, 2.0)
    return clean, level, level * (0.8 * common + 0.6 * own)


def log_ratio(spec, truth):
    """Logarithm to base 2 of the estimated level over the true one."""
    return np.log2(np.asarray(spec.levels) / truth(spec.brightness))


def test_level_of_a_photograph_by_brightness():
    clean, _, noise = photograph()
    spec = camera_noise(clean + noise, None, **BOTH)
    error = log_ratio(spec, lambda b: 2 + 0.03 * b)
    assert np.abs(error[:, 1:]).max() < 0.2
    assert np.abs(error).max() < 0.4


def test_level_of_white_noise_by_brightness():
    clean = picture()
    noisy = clean + (1 + 0.05 * clean) * np.random.default_rng(3).normal(size=clean.shape)
    spec = camera_noise(noisy[None], None, correlated=False, varying=True)
    assert np.abs(log_ratio(spec, lambda b: 1 + 0.05 * b)[0, 1:]).max() < 0.15
    assert spec.spectrum.shape == (1, 1, 1, 1)


@pytest.mark.parametrize("correlated", [True, False])
def test_a_constant_level_has_one_value(correlated):
    noisy = picture() + 5 * np.random.default_rng(4).normal(size=(256, 256))
    spec = camera_noise(noisy[None], None, correlated=correlated, varying=False)
    assert spec.levels.shape == (1, 1)
    assert spec.sigma[0] == pytest.approx(5, rel=0.1)


def test_spectrum_of_smooth_noise():
    noise = 6 * blurred((256, 256), 5)
    spec = camera_noise((picture() + noise)[None], None, **BOTH)
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32)))
    truth = np.exp(-((2 * np.pi * f) ** 2))
    middle = (f > 3 / 32) & (f < 10 / 32)
    decibel = 10 * np.log10(spec.spectrum[0, 0] / (truth / truth.mean()))
    assert np.abs(decibel[middle]).mean() < 1.5
    assert spec.spectrum[0, 0].mean() == pytest.approx(1)


def test_spectrum_of_luminance_and_chroma():
    clean, _, noise = photograph(8)
    spec = camera_noise(clean + noise, None, **BOTH)
    assert spec.correlation == pytest.approx(np.where(np.eye(3) > 0, 1, 0.64), abs=0.3)
    low, high = spec.spectrum[0, 1, 0, 4], spec.spectrum[0, 1, 0, 9]
    assert low > 2 * high > 0  # what the channels share is the luminance
    values = np.moveaxis(spec.spectrum, (0, 1), (2, 3)).reshape(-1, 3, 3)
    assert np.linalg.eigvalsh(values).min() > -1e-9


def test_channels_of_opposite_noise():
    noise = blurred((128, 128), 6)
    clean = np.stack([picture(128), picture(128)])
    spec = camera_noise(clean + 5 * np.stack([noise, -noise]), None, **BOTH)
    assert spec.correlation[0, 1] < -0.9


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_any_number_of_channels(count):
    noise = 5 * blurred((count, 256, 256), 7)
    spec = camera_noise(picture() + noise, None, **BOTH)
    assert spec.spectrum.shape == (count, count, 32, 32)
    assert spec.sigma == pytest.approx(np.full(count, 5.0), rel=0.25)


@pytest.mark.parametrize(("factor", "offset"), [(3.0, 0.0), (1 / 255, 0.0), (2.0, 1e6)])
def test_units_and_offsets(factor, offset):
    clean, _, noise = photograph(2, 128)
    spec = camera_noise(clean + noise, None, **BOTH)
    other = camera_noise(factor * (clean + noise) + offset, None, **BOTH)
    assert other.sigma == pytest.approx(factor * spec.sigma, rel=1e-3)
    assert other.brightness == pytest.approx(factor * spec.brightness + offset, rel=1e-6)
    assert other.levels == pytest.approx(factor * spec.levels, rel=1e-3)
    assert other.spectrum == pytest.approx(spec.spectrum, rel=1e-2, abs=1e-4)


@pytest.mark.parametrize("fill", [0.0, 1e9, np.nan])
def test_invalid_pixels_take_no_part(fill):
    clean, _, noise = photograph(4)
    noisy = clean + noise
    valid = np.ones((1, 256, 256), bool)
    valid[:, :100, :90] = valid[:, 200:203] = False
    spec = camera_noise(np.where(valid, noisy, fill), valid, **BOTH)
    same = camera_noise(np.where(valid, noisy, 7.0), valid, **BOTH)
    assert np.array_equal(spec.levels, same.levels)
    assert np.array_equal(spec.spectrum, same.spectrum)
    assert abs(log_ratio(spec, lambda b: 2 + 0.03 * b).mean()) < 0.2


def test_constant_areas_take_no_part():
    noisy = picture() + 6 * blurred((256, 256), 9)
    noisy[:120] = 90
    spec = camera_noise(noisy[None], None, correlated=True, varying=False)
    assert spec.sigma[0] == pytest.approx(6, rel=0.3)


def test_an_image_smaller_than_the_windows():
    noise = np.random.default_rng(1).normal(size=(1, 7, 7))
    spec = camera_noise(noise, None, **BOTH)
    assert spec.spectrum.shape == (1, 1, 1, 1)
    assert np.isfinite(spec.sigma).all()


@pytest.mark.parametrize("shape", [(12, 40), (9, 9), (33, 300)])
def test_small_images(shape):
    noise = 5 * np.random.default_rng(1).normal(size=(3, *shape))
    spec = camera_noise(noise, None, **BOTH)
    assert np.isfinite(spec.levels).all()
    assert spec.sigma == pytest.approx(np.full(3, 5), rel=0.6)


@pytest.mark.parametrize("image", [np.zeros((1, 64, 64)), np.full((3, 64, 64), 128, np.uint8)])
def test_an_image_without_noise(image):
    spec = camera_noise(image, None, **BOTH)
    assert np.isfinite(spec.spectrum).all()
    assert (spec.levels < 1e-6).all()


def test_result_is_the_same_each_time():
    clean, _, noise = photograph(5, 128)
    first, second = (camera_noise(clean + noise, None, **BOTH) for _ in range(2))
    assert np.array_equal(first.levels, second.levels)
    assert np.array_equal(first.spectrum, second.spectrum)


def test_a_channel_without_noise():
    noise = 5 * blurred((2, 256, 256), 7)
    image = np.stack([picture() + noise[0], np.full((256, 256), 9.0), picture() + noise[1]])
    spec = camera_noise(image, None, **BOTH)
    assert spec.sigma[1] == 0
    assert spec.sigma[::2] == pytest.approx([5, 5], rel=0.25)
    assert np.isfinite(spec.spectrum).all()


def test_compressed_files_have_lost_the_noise_of_some_windows():
    from io import BytesIO

    from PIL import Image

    clean, level, _ = photograph()
    noise = level * blurred(clean.shape, 7)  # independent in each color, as that of sensors is
    pixels = np.moveaxis(np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8), 0, -1)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=75)
    with Image.open(file) as image:
        planes = np.moveaxis(np.asarray(image), -1, 0)
    error = planes - clean
    spec = camera_noise(planes, None, **BOTH)
    assert spec.sigma == pytest.approx(error.std((1, 2)), rel=0.35)


def test_compressed_chroma_has_noise_of_long_wavelengths():
    from io import BytesIO

    from PIL import Image

    shading = picture()[..., None] * [1, 0.8, 0.6]
    image = shading + np.moveaxis(4 * blurred((3, 256, 256), 9), 0, -1)
    file = BytesIO()
    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=60)
    with Image.open(file) as compressed:
        spec = camera_noise(np.moveaxis(np.asarray(compressed), -1, 0), None, **BOTH)
    cross = spec.spectrum[..., 0, 1] * np.outer(spec.sigma, spec.sigma)
    luminance, chroma = (np.array(v) @ cross @ v / np.dot(v, v) for v in ([1, 1, 1], [1, 0, -1]))
    assert chroma.real > 0.7 * luminance.real


def test_texture_is_not_noise_of_long_wavelengths():
    y, x = np.mgrid[:256, :256]
    texture = 15 * blurred((256, 256), 11, 4.0) * (1 + np.sin(x / 30) * np.cos(y / 40))
    spec = camera_noise((100 + texture + 5 * blurred((256, 256), 12))[None], None, **BOTH)
    assert spec.sigma[0] < 8


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("correlated", [True, False])
def test_an_image_of_one_bright_pixel_has_no_noise(channels, correlated):
    image = np.zeros((channels, 64, 64))
    image[:, 9, 5] = 1
    spec = camera_noise(image, None, correlated=correlated, varying=True)
    assert not spec.sigma.any()


def test_shapes_without_noise_have_no_noise():
    y, x = np.mgrid[:160, :160]
    image = np.where((x - 80) ** 2 + (y - 70) ** 2 < 50, 1.0, 0.0)
    assert not camera_noise(image[None], None, **BOTH).sigma.any()


@pytest.mark.parametrize("correlated", [True, False])
def test_a_channel_that_is_constant_in_most_of_the_image(correlated):
    clean = np.stack([picture(160)] * 3)
    noisy = clean + np.random.default_rng(7).normal(0, 6, clean.shape)
    y, x = np.mgrid[:160, :160]
    noisy[2, x + y < 200] = 0
    spec = camera_noise(noisy, None, correlated=correlated, varying=False)
    assert np.abs(spec.sigma[:2] - 6).max() < 1.5


@pytest.mark.parametrize("scale", [2.0**-150, 2.0**100])
def test_units_do_not_matter(scale):
    clean, _, noise = photograph(size=128)
    image = clean + noise
    spec, same = camera_noise(image, None, **BOTH), camera_noise(scale * image, None, **BOTH)
    for name in ("sigma", "brightness", "levels"):
        np.testing.assert_allclose(getattr(same, name) / scale, getattr(spec, name), rtol=1e-4)
