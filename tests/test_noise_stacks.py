"""Noise of volumes and videos: counts of unknown gain, and Rician noise with a background."""

import numpy as np
import pytest
from support.images import camera

import fastrestore
from fastrestore._noise.choice_volume import choose_in_volume
from fastrestore._noise.counts import counts_noise_of_frames, counts_noise_of_stack
from fastrestore._noise.rician import rician_noise


def moving(count=12):
    whole = camera(60, 100, 160, 160).astype(float)
    return np.array([whole[k : k + 128, 2 * k : 2 * k + 128] for k in range(count)])


def body():
    z, y, x = np.mgrid[-1:1:24j, -1.2:1.2:96j, -1.2:1.2:96j]
    inside = z**2 / 2 + x**2 + y**2
    return np.where(inside < 1, 120 + 60 * np.sin(6 * x) + 80 * (inside < 0.2), 0)


def counted(clean, seed=0):
    return 2.2 * np.random.default_rng(seed).poisson(clean / 2.2) + 100


def magnitude(clean, sigma, seed=0):
    real, imaginary = np.random.default_rng(seed).normal(0, sigma, (2, *clean.shape))
    return np.hypot(clean + real, imaginary)


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_counts(count):
    model = counts_noise_of_stack(np.rint(counted(moving(count)))[None], None).distribution
    assert model.gain == pytest.approx(2.2, rel=0.1)
    assert model.offset == pytest.approx(100, abs=4)


def test_still_scene_of_texture():
    rng = np.random.default_rng(1)
    texture = rng.uniform(10, 20, (96, 96)) * np.linspace(1, 10, 96)
    image = counts_noise_of_stack(counted(texture[None])[None], None)
    assert image is None or image.distribution.gain > 4
    stack = counted(np.array([texture] * 6))
    assert counts_noise_of_stack(stack[None], None).distribution.gain == pytest.approx(2.2, rel=0.1)


def test_frames():
    clean = np.stack([moving(), moving()[::-1]], 1)  # two channels
    spec = counts_noise_of_frames(counted(clean), None)
    assert spec.distribution.gain == pytest.approx(2.2, rel=0.1)
    assert spec.sigma.shape == (2,)
    assert spec.spectrum.shape == (2, 2, 1, 1)


def test_invalid_voxels():
    noisy, valid = counted(moving()), np.ones((12, 128, 128), bool)
    valid[:, :20] = valid[3] = False
    noisy[~valid] = np.nan
    model = counts_noise_of_stack(noisy[None], valid).distribution
    assert model.gain == pytest.approx(2.2, rel=0.1)


def test_repeated_slices():
    noisy = np.repeat(counted(moving(6)), 2, axis=0)
    model = counts_noise_of_stack(noisy[None], None).distribution
    assert model.gain == pytest.approx(2.2, rel=0.1)


@pytest.mark.parametrize("clean", [moving(), body()], ids=["moving", "body"])
def test_white_noise(clean):
    noisy = (clean + np.random.default_rng(0).normal(0, 10, clean.shape))[None]
    assert counts_noise_of_stack(noisy, None) is None
    assert rician_noise(noisy, None) is None


@pytest.mark.parametrize("sigma", [3, 25])
@pytest.mark.parametrize("scale", [1, 1e-4])
def test_rician(sigma, scale):
    spec = rician_noise(scale * magnitude(body(), sigma)[None], None)
    assert spec.distribution.sigma == pytest.approx(scale * sigma, rel=0.02)
    assert spec.levels[0, 0] == pytest.approx(scale * sigma * np.sqrt(2 - np.pi / 2), rel=0.03)
    assert spec.levels[0, -1] == pytest.approx(scale * sigma, rel=0.03)


def test_rician_needs_a_background():
    assert rician_noise(magnitude(body() + 60, 10)[None], None) is None
    assert rician_noise(magnitude(np.zeros((9, 64, 64)), 10)[None], None) is None
    assert rician_noise(np.where(body() > 0, magnitude(body(), 10), 0)[None], None) is None


def test_photon_noise_of_few_counts_is_not_rician():
    noisy = np.random.default_rng(0).poisson(np.where(body() > 0, body() / 4, 3.66))
    assert rician_noise(noisy[None], None) is None


def test_bm4d_without_arguments():
    clean = body()[4:20]
    noisy = magnitude(clean, 20)
    restored, info = fastrestore.bm4d(noisy, return_info=True)
    assert info.noise.distribution.sigma == pytest.approx(20, rel=0.03)
    white = fastrestore.bm4d(noisy, noise="white")
    better, worse = (
        fastrestore.metrics.psnr(clean, each, data_range=260) for each in (restored, white)
    )
    assert better > worse + 1


def test_level_by_brightness_of_other_noise():
    clean = moving()
    noisy = clean + (2 + clean**2 / 2000) * np.random.default_rng(0).standard_normal(clean.shape)
    spec = choose_in_volume(noisy[None], None, "signal-dependent").spec
    assert spec.model == "signal-dependent"
    assert spec.levels[0, -1] > 3 * spec.levels[0, 0]


@pytest.mark.parametrize("model", ["correlated", "camera"])
def test_models_that_volumes_do_not_have(model):
    with pytest.warns(UserWarning, match=f"noise='{model}' was not found in this volume"):
        assert choose_in_volume(moving()[None], None, model).spec.model == "white"


def test_small_volume_of_white_noise():
    clean = body()[8:16, 30:54, 30:56]
    for seed in range(6):
        noisy = clean + 15 * np.random.default_rng(seed).standard_normal(clean.shape)
        assert counts_noise_of_stack(noisy[None], None) is None
