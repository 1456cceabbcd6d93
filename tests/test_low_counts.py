"""Images of few photons: several passes from coarse to fine, with exact inverses."""

import numpy as np
import pytest
from support.images import camera, psnr, scene

from fastrestore import BM3DPlan, PoissonGaussian, bm3d, bm4d, vbm3d
from fastrestore._collaborative import low_counts
from fastrestore._noise.combined import Combination

PHOTONS = PoissonGaussian(1.0)


def counts(clean, model=PHOTONS, seed=0):
    rng = np.random.default_rng(seed)
    photons = rng.poisson(clean) + model.sigma / model.gain * rng.standard_normal(clean.shape)
    return model.gain * photons + model.offset


def once(noisy, model, **options):
    return model.inverse(bm3d(model.forward(noisy), 1.0, **options))


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("spread", [0.0, 2.0])
@pytest.mark.parametrize("level", [0.0, 0.3, 3.0, 40.0, 99.0, 101.0, 2000.0])
def test_inverse_of_a_combination_is_unbiased(share, spread, level):
    rng = np.random.default_rng(0)
    noisy = rng.poisson(level, 400_000) + spread * rng.standard_normal(400_000)
    values = Combination(share, spread).forward(share * noisy + (1 - share) * level)
    found = Combination(share, spread).inverse(values.mean())
    assert abs(found - level) < 6 * share * np.sqrt((level + spread**2) / 400_000) + 2e-3
    if level >= 40:
        assert values.std() == pytest.approx(1, abs=0.03)


def test_a_combination_with_share_1_is_the_generalized_anscombe_transform():
    values = np.linspace(-5, 60, 300)
    for spread in (0.0, 1.5):
        combined, model = Combination(1.0, spread), PoissonGaussian(1.0, spread)
        np.testing.assert_array_equal(combined.forward(values), model.forward(values))
        stabilized = np.linspace(0, 15, 400)
        np.testing.assert_allclose(
            combined.inverse(stabilized), model.inverse(stabilized), atol=3e-3
        )
        assert combined.extent(50) == model.extent(50)


def test_bins_keep_photons_and_interpolation_keeps_a_slope():
    values = np.random.default_rng(0).poisson(2.0, (3, 8, 12)).astype(float)
    assert low_counts.binned(values, 2).sum() == values.sum()
    assert low_counts.binned(values[:, :7, :9], 1).shape == (3, 4, 5)
    slope = 9 + np.add.outer(np.arange(16.0), 2 * np.arange(20.0))[None]
    inner = (0, slice(4, -4), slice(4, -4))
    back = low_counts.doubled(low_counts.binned(slope, 1), slope.shape)
    np.testing.assert_allclose(back[inner], slope[inner], rtol=1e-12)


@pytest.mark.parametrize(
    ("level", "model", "count"),
    [
        (0.0, PoissonGaussian(1.0), 4),  # nothing but zeros
        (0.3, PoissonGaussian(1.0), 4),
        (2.0, PoissonGaussian(1.0), 2),
        (10.0, PoissonGaussian(1.0), 0),
        (4.0, PoissonGaussian(1.0, 6.0), 3),  # read-out noise
        (10.0, PoissonGaussian(0.1, 0.0, 7.0), 0),
    ],
)
def test_the_number_of_passes_depends_on_the_counts(level, model, count):
    noisy = counts(np.full((1, 64, 64), level), model)
    if level == 0:
        noisy[:] = 0
    found = low_counts.passes(model, model.forward(noisy))
    assert len(found) == count
    assert not count or sum(step.work for step in found) == pytest.approx(1)
    assert [step.halvings for step in found] == list(range(count - 1, -1, -1))
    assert all(0 < step.share <= 1 for step in found)


@pytest.mark.parametrize("peak", [0.5, 2.0, 6.0])
@pytest.mark.parametrize("model", [PoissonGaussian(1.0), PoissonGaussian(2.2, 1.0, 100.0)], ids=str)
def test_several_passes_are_better_than_one(peak, model):
    clean = camera() / 255 * peak
    noisy, scale = counts(clean, model), model.gain * peak
    truth = model.gain * clean + model.offset
    restored = bm3d(noisy, noise=model)
    gain = psnr(truth, restored, scale) - psnr(truth, once(noisy, model), scale)
    assert gain > (0.6 if peak < 1 else 0.02)
    assert abs(restored.mean() - noisy.mean()) < 0.02 * scale


def test_high_counts_are_filtered_once():
    model = PoissonGaussian(1.0)
    noisy = counts(camera() / 8)
    np.testing.assert_array_equal(bm3d(noisy, noise=model), once(noisy, model))
    few = counts(camera() / 100)
    assert (bm3d(few, noise=model) != once(few, model)).any()


def test_a_pilot_replaces_all_passes():
    model, noisy = PoissonGaussian(1.0), counts(scene() / 100)
    pilot = scene() / 100
    steps = once(noisy, model, pilot=model.forward(pilot))
    np.testing.assert_array_equal(bm3d(noisy, noise=model, pilot=pilot), steps)


def test_units_do_not_matter():
    clean = scene() / 100
    restored = bm3d(counts(clean), noise=PoissonGaussian(1.0))
    model = PoissonGaussian(4.0, 0.0, 32.0)
    np.testing.assert_allclose(bm3d(counts(clean, model), noise=model), 4 * restored + 32)


def test_invalid_pixels_have_no_influence():
    clean, model = scene() / 60, PoissonGaussian(1.0)
    noisy = counts(clean)
    valid = np.random.default_rng(1).random(clean.shape) > 0.05
    valid[10:26, 20:40] = False
    results = []
    for fill in (np.nan, 900.0):
        image = np.where(valid, noisy, fill)
        results.append(bm3d(image, noise=model, mask=valid))
        np.testing.assert_array_equal(results[-1][~valid], image[~valid])
    np.testing.assert_array_equal(results[0][valid], results[1][valid])
    whole = bm3d(noisy, noise=model)
    assert psnr(clean[valid], results[0][valid], 4) > psnr(clean[valid], whole[valid], 4) - 0.5


@pytest.mark.parametrize(
    "options",
    [
        {"stage": "basic"},
        {"profile": "fast"},
        {"data_range": 2.0},
        {"guide": scene(95, 97)},
        {"strength": 1.5},
        {"max_memory": 10**7},
        {"workers": 3},
    ],
    ids=str,
)
def test_options(options):
    clean, model = scene(95, 97) / 127, PoissonGaussian(1.0)
    noisy = counts(clean).astype(np.uint8)
    restored = bm3d(noisy, noise=model, **options)
    assert restored.dtype == np.float32
    assert psnr(clean, restored, 2) > psnr(clean, noisy, 2) + 8
    if "workers" in options or "max_memory" in options:
        np.testing.assert_array_equal(restored, bm3d(noisy, noise=model))


def test_colors_volumes_and_plans():
    clean, model = scene() / 127, PoissonGaussian(1.0)
    color = np.stack([clean, clean[::-1], clean], -1)
    noisy = counts(color)
    restored = bm3d(noisy, noise=model, channel_axis=-1)
    gray = np.stack([bm3d(noisy[..., c], noise=model) for c in range(3)], -1)
    assert psnr(color, restored, 2) > psnr(color, gray, 2) - 0.3
    volume = counts(np.stack([clean] * 9))
    assert psnr(clean, bm4d(volume, noise=model), 2) > psnr(clean, gray[..., 0], 2) + 1
    plan = BM3DPlan(clean.shape, np.float64, noise=model)
    for image in (noisy[..., 0], counts(clean * 20), noisy[..., 2]):
        np.testing.assert_array_equal(plan(image), bm3d(image, noise=model))


def test_progress_is_complete():
    calls = []
    bm3d(
        counts(scene() / 127), noise=PoissonGaussian(1.0), progress=lambda *done: calls.append(done)
    )
    assert calls[-1][0] == calls[-1][1]
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def video(count=6, size=64, peak=2):
    image = camera(height=96, width=96) / 255 * peak
    return np.stack([image[k : k + size, 2 * k : 2 * k + size] for k in range(count)])


@pytest.mark.parametrize("model", [PHOTONS, PoissonGaussian(2.2, 1.0, 100.0)], ids=str)
def test_videos_are_better_in_several_passes(model):
    clean = video()
    noisy, truth, scale = counts(clean, model), model.gain * clean + model.offset, 2 * model.gain
    restored = vbm3d(noisy, noise=model)
    one = model.inverse(vbm3d(model.forward(noisy), 1.0))
    assert psnr(truth, restored, scale) > psnr(truth, one, scale) + 0.3
    np.testing.assert_array_equal(restored, np.stack(list(vbm3d(iter(noisy), noise=model))))


def test_videos_of_high_counts_are_filtered_once():
    noisy = counts(video(3, peak=30))
    one = PHOTONS.inverse(vbm3d(PHOTONS.forward(noisy), 1.0))
    np.testing.assert_array_equal(vbm3d(noisy, noise=PHOTONS), one)


def test_repeated_frames_cuts_and_invalid_pixels_of_videos():
    noisy = counts(video(4)).astype(np.float32)
    order = [0, 0, 1, 2, 2, 2, 3]
    restored = vbm3d(noisy, noise=PHOTONS)
    np.testing.assert_array_equal(vbm3d(noisy[order], noise=PHOTONS), restored[order])
    other = counts(video(3)[:, ::-1, ::-1] * 0.5, seed=1).astype(np.float32)
    both = vbm3d(np.concatenate([noisy, other]), noise=PHOTONS, scene_cuts=True)
    assert both.shape == (7, 64, 64)
    valid = np.random.default_rng(1).random(noisy.shape) > 0.05
    results = []
    for fill in (np.nan, 90):
        results.append(vbm3d(np.where(valid, noisy, fill), noise=PHOTONS, mask=valid))
    np.testing.assert_array_equal(results[0][valid], results[1][valid])
    assert np.isnan(results[0][~valid]).all()
    assert psnr(video(4)[valid], results[0][valid], 2) > psnr(video(4), restored, 2) - 0.5
