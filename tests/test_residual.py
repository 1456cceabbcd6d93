"""What was removed from an image, compared with its noise."""

import numpy as np
import pytest
from skimage.data import astronaut, camera

import fastrestore
from fastrestore import NoiseSpec
from fastrestore._collaborative import source
from fastrestore._collaborative.comparison import compare
from fastrestore._noise.applied import plane_noise
from fastrestore._noise.choice import Choice
from fastrestore._noise.planes import PlaneNoise

CLEAN = astronaut()[:192, 100:292].astype(float)
LEVELS = np.array([[8.0, 12.0]] * 3)
SPEC = NoiseSpec(LEVELS.mean(1), np.array([[0.0, 255.0]] * 3), LEVELS, np.eye(3)[..., None, None])
NOISY = CLEAN + np.random.default_rng(0).standard_normal(CLEAN.shape) * (8 + CLEAN * 4 / 255)


def estimated(monkeypatch, spec):
    """Make this the noise that is estimated."""
    choice = Choice(spec, "for this test")
    monkeypatch.setattr(source, "noise_of", lambda planes, valid, model: choice)


def test_residual_of_right_and_wrong_levels():
    noisy = camera()[:256, :256] + np.random.default_rng(0).normal(0, 10, (256, 256))
    measures = []
    for sigma in (4.0, 10.0, 30.0):
        restored = fastrestore.bm3d(noisy, sigma)
        measures.append(compare(noisy[None], restored[None], PlaneNoise.white(sigma), None))
    low, right, high = measures
    assert 0.7 < right.level < 1
    assert right.spectrum > 0.9
    assert low.level < right.level
    assert low.structure < 0
    assert low.rest > 0.1
    assert low.factor == 1
    assert high.level < 0.25
    assert right.factor == 1
    assert high.factor < 0.75


def test_residual_of_correlated_noise():
    noise = np.random.default_rng(0).normal(0, 10, (256, 257))
    noisy = camera()[:256, :256] + noise[:, 1:] + noise[:, :-1]
    power = np.abs(np.fft.fft2([[1.0, 1.0]], (32, 32))) ** 2 / 2
    level = np.full((1, 1), 10 * 2**0.5)
    spec = NoiseSpec(level[0], np.zeros((1, 1)), level, power[None, None])
    restored = fastrestore.bm3d(noisy, noise=spec)
    found = compare(noisy[None], restored[None], plane_noise(spec, noisy[None]), None)
    assert 0.7 < found.level < 1
    assert found.spectrum > 0.9
    white = compare(noisy[None], restored[None], PlaneNoise.white(level[0, 0]), None)
    assert white.spectrum < 0.8


def test_small_images_and_masks_are_not_compared():
    image = np.zeros((1, 15, 200))
    assert compare(image, image, PlaneNoise.white(1.0), None) is None
    image = np.zeros((1, 100, 100))
    nowhere = np.zeros(image.shape, bool)
    assert compare(image, image, PlaneNoise.white(1.0), nowhere) is None


def test_right_level_is_kept(monkeypatch):
    estimated(monkeypatch, SPEC)
    restored, info = fastrestore.bm3d(NOISY, channel_axis=-1, return_info=True)
    np.testing.assert_array_equal(restored, fastrestore.bm3d(NOISY, noise=SPEC, channel_axis=-1))
    assert 0.5 < info.residual.level < 1
    assert info.reason == "for this test"


def test_level_that_is_too_low_is_not_lowered(monkeypatch):
    estimated(monkeypatch, 0.2 * SPEC)
    _, info = fastrestore.bm3d(NOISY, channel_axis=-1, return_info=True)
    assert info.residual.level < 0.25
    assert info.reason == "for this test"


def test_level_that_is_too_high_is_lowered(monkeypatch):
    estimated(monkeypatch, 3 * SPEC)
    restored, info = fastrestore.bm3d(NOISY, channel_axis=-1, return_info=True)
    uncorrected = fastrestore.bm3d(NOISY, noise=3 * SPEC, channel_axis=-1)
    assert "its level was lowered" in info.reason
    assert (info.noise.sigma < 2.4 * SPEC.sigma).all()
    psnr = [fastrestore.metrics.psnr(CLEAN, x, data_range=255) for x in (uncorrected, restored)]
    assert psnr[1] > psnr[0] + 0.5


def test_noise_that_is_far_too_high_is_not_used(monkeypatch):
    estimated(monkeypatch, 12 * SPEC)
    image = CLEAN.copy()
    original = source.noise_of

    def noise_of(planes, valid, model):
        if model == "white":
            return Choice(NoiseSpec.white(0.5, 0.5, 0.5), "white noise was requested")
        return original(planes, valid, model)

    monkeypatch.setattr(source, "noise_of", noise_of)
    with pytest.warns(UserWarning, match="noise cannot be estimated from this image"):
        restored, info = fastrestore.bm3d(image, channel_axis=-1, return_info=True)
    assert info.noise.model == "white"
    assert abs(restored - image).max() < 5


def test_given_and_white_noise_is_not_compared():
    for noise in (SPEC, "white"):
        info = fastrestore.bm3d(NOISY, noise=noise, channel_axis=-1, return_info=True)[1]
        assert info.residual is None
