"""``denoise(tune=True)``: strength and profile chosen by the estimated error."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from support.images import noisy, scene

from fastrestore import PoissonGaussian, Profile, Rician, bm3d, denoise
from fastrestore._algorithms.tuning import PROFILES, SIDE, STRENGTHS, candidates, parts
from fastrestore._noise.spec import NoiseSpec

CLEAN = scene(150, 160).astype(float)
IMAGE = noisy(CLEAN, 25)


def test_a_smooth_image_gets_more_smoothing():
    ramp = np.add.outer(np.arange(150.0), np.arange(160.0)) / 2 + 40
    image = ramp + np.random.default_rng(5).normal(0, 25, ramp.shape)
    result, info = denoise(image, 25, tune=True, return_info=True)
    assert info.strength > 1
    true, before = (np.mean((each - ramp) ** 2) for each in (result, denoise(image, 25)))
    assert true < 0.9 * before
    np.testing.assert_array_equal(result, bm3d(image, 25, strength=info.strength))
    np.testing.assert_array_equal(result, denoise(image, 25, tune=True))
    assert info.profile == Profile.named("np")
    best = min(info.trials, key=lambda trial: trial.sure)
    assert (best.profile, best.strength) == ("np", info.strength)


def test_texture_gets_less_smoothing():
    texture = 100 + 60 * gaussian_filter(np.random.default_rng(0).normal(0, 1, CLEAN.shape), 1.0)
    image = texture + np.random.default_rng(5).normal(0, 35, CLEAN.shape)
    result, info = denoise(image, 35, tune=True, return_info=True)
    errors = [np.mean((denoise(image, 35, strength=each) - texture) ** 2) for each in STRENGTHS]
    assert info.strength < 1
    assert np.mean((result - texture) ** 2) < 1.02 * min(errors)


def test_estimated_noise_is_reported_as_such():
    _, info = denoise(IMAGE, tune=True, return_info=True, profile="fast")
    assert info.estimated
    assert info.sigma == pytest.approx(25, rel=0.1)
    assert info.reason == bm3d(IMAGE, return_info=True)[1].reason
    assert {trial.profile for trial in info.trials} == {"fast"}


def test_noise_that_depends_on_the_signal():
    counts = np.random.default_rng(0).poisson(CLEAN / 4)
    result, info = denoise(counts, noise=PoissonGaussian(1.0), tune=True, return_info=True)
    assert np.isfinite(result).all()
    assert info.noise == PoissonGaussian(1.0)
    assert len(info.trials) >= 5
    spec = NoiseSpec.white(25.0)
    assert denoise(IMAGE, noise=spec, tune=True, return_info=True)[1].noise is spec
    level = np.linspace(10, 30, 160)
    image = CLEAN + level * np.random.default_rng(0).standard_normal(CLEAN.shape)
    result, info = denoise(image, level[None], tune=True, return_info=True)
    expected = bm3d(image, level[None], strength=info.strength)
    np.testing.assert_array_equal(result, expected)


def test_colors_and_masks():
    color = np.stack([IMAGE, IMAGE[::-1], IMAGE], 0)[:, :60, :70]
    valid = np.random.default_rng(0).random(color.shape[1:]) > 0.05
    results = []
    for fill in (np.nan, 1e9):
        given = np.where(valid, color, fill)
        result, info = denoise(given, tune=True, channel_axis=0, mask=valid, return_info=True)
        np.testing.assert_array_equal(result[:, ~valid], given[:, ~valid])
        results.append((result[:, valid], info.trials))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


def test_nothing_is_compared_without_noise():
    result, info = denoise(IMAGE, 0, tune=True, return_info=True)
    np.testing.assert_array_equal(result, IMAGE)
    assert info.trials == ()


def test_large_images_are_compared_on_four_squares():
    image = np.zeros((700, 900), np.uint8)
    found = parts(image, {"sigma": 3.0}, None, None)
    assert [part.image.shape for part in found] == [(SIDE, SIDE)] * 4
    level = np.ones((700, 900))
    level[:350, :450] = 5
    valid = np.ones((700, 900), bool)
    valid[350:, 450:] = False
    first, second, third = parts(image, {"sigma": level}, valid, None)
    assert (first.noise["sigma"] == 5).all()
    assert (second.noise["sigma"] == 1).all()
    assert third.mask.shape == (SIDE, SIDE)
    color = np.zeros((3, 100, 3000))
    both = parts(color, {"sigma": np.ones((100, 3000))}, None, 0)
    assert [part.image.shape for part in both] == [(3, 100, SIDE)] * 2
    assert both[0].noise["sigma"].shape == (3, 100, SIDE)
    assert len(parts(image[:512, :512], {"sigma": 3.0}, None, None)) == 1


def test_profiles():
    assert candidates(None, NoiseSpec.white(3.0)) == candidates(None, None) == PROFILES
    spectrum = np.ones((1, 1, 8, 8))
    correlated = NoiseSpec(np.ones(1), np.zeros((1, 1)), np.ones((1, 1)), spectrum)
    assert "iterative" in candidates(None, correlated)
    assert candidates("lc", correlated) == ("lc",)
    brightness, levels = np.array([[0.0, 9.0]]), np.array([[1.0, 2.0]])
    assert candidates(None, NoiseSpec(np.ones(1), brightness, levels, spectrum)) == ("np", "vn")


def test_the_strength_is_kept_if_correlated_noise_is_estimated():
    white = np.random.default_rng(3).normal(0, 40, CLEAN.shape)
    image = CLEAN + gaussian_filter(white, 1.0)
    _, info = denoise(image, noise="correlated", tune=True, return_info=True)
    assert {trial.strength for trial in info.trials} == {1.0}
    assert len(info.trials) == 3
    _, given = denoise(image, noise=info.noise, tune=True, return_info=True, profile="fast")
    assert len({trial.strength for trial in given.trials}) >= 5


def test_progress_reaches_the_end():
    seen = []
    denoise(IMAGE[:40, :50], 25, tune=True, progress=lambda *done: seen.append(done))
    assert seen[-1] == (100, 100)
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"tune": 1}, TypeError, "tune must be True or False, got 1"),
        ({"strength": 0.8}, ValueError, "tune=True chooses the strength; leave out strength=0.8"),
        ({"noise": Rician(3.0)}, TypeError, "tune=True needs noise whose variance is known.*Rici"),
        ({"method": "unet"}, ValueError, "tune=True is not used by method='unet', only by 'auto'"),
        ({"profile": "best"}, ValueError, "profile 'best' is unknown"),
        ({"channel_axis": 5}, ValueError, "channel_axis=5"),
    ],
)
def test_bad_input(options, error, message):
    with pytest.raises(error, match=message):
        denoise(IMAGE, **{"tune": True, **options})
