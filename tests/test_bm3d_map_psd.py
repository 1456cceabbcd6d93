"""Correlated noise whose level differs from pixel to pixel: a map and a spectrum together."""

import numpy as np
import pytest
from support.images import assert_close, camera, psnr, scene
from support.stages import image_stage
from support.volumes import VOLUME, cells

from fastrestore import Profile, bm3d, bm4d, psd_from_kernel
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select

EXECUTION = Execution(2)
LINE = np.full((1, 5), 5**-0.5)  # noise of variance 1
SMALL = Profile(radius_basic=7, radius_final=7)


def rising(shape, low=5.0, high=50.0):
    return np.broadcast_to(np.linspace(low, high, shape[-1]), shape)


def noise_of(shape, seed=3):
    white = np.random.default_rng(seed).standard_normal((*shape[:-1], shape[-1] + 4))
    return sum(LINE[0, k] * white[..., k : k + shape[-1]] for k in range(5))


def spoilt(clean, level):
    return clean + level * noise_of(clean.shape)


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("maps", [1, 2])
@pytest.mark.parametrize("spectra", [1, 2])
def test_filters_equal_the_specification(engine, which, maps, spectra):
    clean = np.stack([scene(32, 36), scene(32, 36, seed=4)]).astype(np.float32)
    powers = [np.abs(np.fft.fft2(each, (64, 64))) ** 2 for each in (LINE, LINE.T)]
    level = np.stack([rising((32, 36), 0, 2), rising((32, 36), 0.5, 1.5)])
    noise = PlaneNoise(np.array([20.0, 12.0]), level[:maps], np.array(powers)[:spectra])
    stage = image_stage(SMALL, which, noise, 255.0)
    image = np.round(spoilt(clean, 20 * level[:1])).astype(np.float32)
    seen = image if which == "basic" else clean
    backends = select("numpy"), select(engine)
    # With a bias distances are no whole numbers: rounding may turn neighbors about
    matches, own = (backend.bm3d_match(seen[0], stage, EXECUTION) for backend in backends)
    assert (matches.offsets == own.offsets).mean() > 0.97
    images = (image,) if which == "basic" else (image, clean)
    results = [b.bm3d_filter(images, matches, stage, EXECUTION) for b in backends]
    np.testing.assert_allclose(results[1], results[0], atol=255 * 4e-6)


@pytest.mark.parametrize("profile", ["np", "vn"])
def test_backends_agree(profile):
    level = rising((40, 44), 0)
    image = np.round(spoilt(scene(40, 44), level))
    psd = psd_from_kernel(LINE, image.shape)
    results = [bm3d(image, level, psd=psd, profile=profile, backend=b) for b in ("numpy", "numba")]
    assert_close(results[1], results[0], 255)
    np.testing.assert_array_equal(results[1][:, 0], image[:, 0])  # no noise there


@pytest.mark.parametrize("level", [np.full((40, 44), 20.0), np.full(44, 20)])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 400.0])
def test_constant_map_overrides_the_level_of_the_spectrum(level, scale):
    image = spoilt(scene(40, 44), 20)
    psd = psd_from_kernel(LINE, image.shape)
    expected = bm3d(image, psd=400 * psd)
    assert_close(bm3d(image, level, psd=scale * psd), expected, 255)
    by_kernel = bm3d(image, noise_kernel=20 * LINE)
    assert_close(bm3d(image, level, noise_kernel=scale * LINE), by_kernel, 255)


def test_nearly_constant_map_is_close_to_constant_map():
    image = spoilt(scene(40, 44), 20)
    psd = psd_from_kernel(LINE, image.shape)
    expected = bm3d(image, psd=400 * psd)
    result = bm3d(image, rising(image.shape, 19.999, 20.001), psd=psd)
    assert np.abs(result - expected).mean() < 0.05


def test_map_with_spectrum_is_better_than_either():
    clean = camera(60, 100, 160, 160)
    level = rising(clean.shape)
    image = spoilt(clean, level)
    psd = psd_from_kernel(LINE, image.shape)
    both = psnr(clean, bm3d(image, level, psd=psd))
    assert both > psnr(clean, bm3d(image, level)) + 1
    assert both > max(psnr(clean, bm3d(image, psd=s**2 * psd)) for s in (15, 20, 25, 32)) + 0.5


def test_colors_units_and_workers():
    level = rising((36, 40))
    clean = np.stack([scene(36, 40), 0.7 * scene(36, 40) + 20, scene(36, 40, seed=4)], axis=-1)
    image = np.stack([spoilt(clean[..., c], level) for c in range(3)], axis=-1)
    psd = psd_from_kernel(LINE, level.shape)
    for space in ("opp", None):
        options = {"psd": psd, "channel_axis": -1, "colorspace": space}
        expected = bm3d(image, level, **options)
        np.testing.assert_array_equal(bm3d(4 * image, 4 * level, **options), 4 * expected)
        np.testing.assert_array_equal(bm3d(image, level, workers=3, **options), expected)
        assert_close(bm3d(image, level, backend="numpy", **options), expected, 255)


def test_tiles_equal_the_whole():
    level = rising((180, 170))
    image = spoilt(camera(0, 100, 180, 170), level)
    profile = SMALL.replace(radius_basic=3, radius_final=3, step_basic=4, step_final=4)
    options = {"psd": psd_from_kernel(LINE, image.shape), "profile": profile}
    expected = bm3d(image, level, **options)
    np.testing.assert_array_equal(bm3d(image, level, max_memory=1e6, **options), expected)


def test_volumes():
    clean = cells(8, 16, 18)
    level = rising(clean.shape, 2, 40)
    kernel = LINE[None]
    volume = np.round(spoilt(clean, level))
    psd = psd_from_kernel(kernel, volume.shape)
    options = {"psd": psd, "profile": VOLUME}
    results = [bm4d(volume, level, backend=b, **options) for b in ("numpy", "numba")]
    assert_close(results[1], results[0], 255)
    assert psnr(clean, results[1]) > psnr(clean, bm4d(volume, level, profile=VOLUME)) + 0.3
    constant = bm4d(volume, np.full(clean.shape, 20.0), **options)
    assert_close(constant, bm4d(volume, psd=400 * psd, profile=VOLUME), 255)


def test_profile_refilter_with_a_map_raises():
    image, psd = scene(24, 26), np.ones((24, 26))
    with pytest.raises(ValueError, match=r"'refilter' filters the residual again.*sigma is a map"):
        bm3d(image, rising(image.shape), psd=psd, profile="refilter")


@pytest.mark.parametrize("sigma", [5, (5, 5, 5)])
def test_single_sigma_with_psd_raises(sigma):
    image = np.stack([scene(24, 26)] * 3)
    with pytest.raises(ValueError, match="specify the noise once: got both sigma="):
        bm3d(image, sigma, psd=np.ones((24, 26)), channel_axis=0)
