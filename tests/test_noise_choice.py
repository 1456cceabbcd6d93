"""The model of the noise that is chosen from the image alone."""

import numpy as np
import pytest
from scipy.ndimage import convolve
from support.images import camera, noisy, psnr
from test_noise_fills import letters

import fastrestore as fr

WIDE = np.ones((1, 9)) / 3  # horizontal streaks, variance 1


def streaks(shape, sigma):
    """Noise that is correlated along rows."""
    white = np.random.default_rng(3).standard_normal(shape)
    return sigma * convolve(white, WIDE, mode="wrap")


@pytest.mark.parametrize("sigma", [5, 15, 25, 50])
def test_white_noise_stays_white(sigma):
    image = noisy(camera(50, 50, 256, 256), sigma)
    spec = fr.estimate_noise(image)
    assert spec.model == "white"
    assert spec.sigma[0] == fr.estimate_sigma(image)


@pytest.mark.parametrize("clean", [camera(50, 50, 256, 256), np.full((256, 256), 100.0)])
def test_correlated_noise_is_recognized(clean):
    image = clean + streaks(clean.shape, 30)
    spec = fr.estimate_noise(image)
    assert spec.model == "correlated"
    assert spec.sigma[0] == pytest.approx(30, rel=0.15)
    power = spec.spectrum[0, 0]
    assert power.mean() == pytest.approx(1)
    assert power[:, 1:3].mean() > 10 * power[:, 10:32].mean()


def test_correlated_noise_is_removed():
    clean = camera(50, 50, 256, 256)
    added = streaks(clean.shape, 30)
    told = fr.bm3d(clean + added, psd=fr.psd_from_kernel(30 * WIDE, clean.shape))
    assert psnr(clean, fr.bm3d(clean + added)) > psnr(clean, told) - 0.8


def test_photograph_without_noise_is_not_changed_much():
    clean = camera()
    assert fr.estimate_noise(clean).model == "white"
    assert psnr(clean, fr.bm3d(clean)) > 42


@pytest.mark.parametrize("name", ["brick", "grass", "gravel"])
def test_texture_is_not_noise(name):
    import skimage.data

    assert fr.estimate_noise(getattr(skimage.data, name)()[:256, 256:]).model == "white"


def test_drawing_has_no_noise():
    image = letters()
    assert fr.estimate_noise(image).sigma[0] == 0
    np.testing.assert_array_equal(fr.bm3d(image), image)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (20, 200), (33, 40), (64, 70)])
@pytest.mark.parametrize("model", ["auto", "correlated"])
def test_small_images(shape, model):
    spec = fr.estimate_noise(noisy(np.full(shape, 50.0), 10), model=model)
    assert np.isfinite(spec.sigma).all()
    assert np.isfinite(spec.spectrum).all()
    assert (spec.spectrum >= 0).all()


def test_units_and_masks():
    image = camera(50, 50, 256, 256) + streaks((256, 256), 30)
    spec = fr.estimate_noise(image)
    scaled = fr.estimate_noise(1e-3 * image + 7)
    np.testing.assert_allclose(scaled.sigma, 1e-3 * spec.sigma, rtol=1e-6)
    valid = np.ones(image.shape, bool)
    valid[:60] = False
    image[:60] = np.nan
    part = fr.estimate_noise(image, mask=valid)
    assert part.model == "correlated"
    assert part.sigma[0] == pytest.approx(30, rel=0.15)


def test_noise_of_a_photograph_in_color():
    import skimage.data

    clean = skimage.data.astronaut()[:256, 100:356].astype(float)
    rng = np.random.default_rng(0)
    white = rng.standard_normal(clean.shape)
    smooth = convolve(white, np.ones((3, 3, 1)) / 3, mode="wrap")
    added = smooth * np.sqrt(4 + 0.1 * clean)
    image = np.round(clean + added)
    spec = fr.estimate_noise(image, channel_axis=-1)
    assert spec.model == "camera"
    assert psnr(clean, fr.bm3d(image, channel_axis=-1)) > psnr(clean, image) + 0.5


def test_color_photograph_without_noise_is_not_changed_much():
    import skimage.data

    clean = skimage.data.astronaut()[:256, 100:356].astype(float)
    assert psnr(clean, fr.bm3d(clean, channel_axis=-1)) > 42


def test_doubtful_noise_is_stronger_if_the_file_confirms_it():
    from test_noise_compression import noisy_file

    from fastrestore._noise.choice import CONFIRMED, WEAK, _limit

    planes, level = noisy_file()
    other = planes + np.random.default_rng(1).normal(0, 2, planes.shape)
    weak, extent = 300 * WEAK, 300.0
    strong = _limit(0.1, planes, level, extent)
    assert 0.9 * CONFIRMED < strong / extent <= CONFIRMED
    assert weak < _limit(0.6, planes, level, extent) < strong
    assert _limit(1.0, planes, level, extent) == _limit(np.inf, planes, level, extent) == weak
    assert _limit(0.1, planes, level / 3, extent) == _limit(0.1, other, level, extent) == weak
    assert _limit(0.1, planes, level, 200.0) == pytest.approx(200 * WEAK)


@pytest.mark.parametrize(("blur", "steepness"), [(0, 0.4), (0.8, 1), (3, 0.7)])
def test_noise_of_cameras_is_steep_and_blurred_texture_is_steeper(blur, steepness):
    from scipy.ndimage import gaussian_filter

    from fastrestore._noise.camera_windows import Windows
    from fastrestore._noise.evenness import _band_powers, _steepness

    noise = np.random.default_rng(0).normal(size=(3, 256, 256))
    windows = Windows.of(gaussian_filter(noise, (0, blur, blur)), None)
    spec = fr.NoiseSpec.white(1, 1, 1)
    assert _steepness(_band_powers(windows, spec)[0]) == pytest.approx(steepness)


def test_moire_is_kept():
    y, x = np.mgrid[:256, :256]
    clean = camera(50, 50, 256, 256) + 12 * np.cos(0.9 * x + 0.4 * y)
    image = noisy(clean, 5)
    assert fr.estimate_noise(image).model == "white"
    assert psnr(clean, fr.bm3d(image)) > psnr(clean, image) - 0.1
