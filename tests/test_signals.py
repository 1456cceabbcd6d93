"""`bm3d` of signals, with `axis`."""

import numpy as np
import pytest
from support.images import assert_close, psnr

import fastrestore
from fastrestore import Profile, bm3d

SIGMA = 15.0


def drawn(size=400, seed=0):
    """Draw steps, a ramp and a wave on 0..255."""
    rng = np.random.default_rng(seed)
    place = np.arange(size)
    signal = np.repeat(rng.uniform(30, 220, -(-size // 50)), 50)[:size]
    signal[size // 3 : size // 2] = 60 + 0.5 * place[: size // 2 - size // 3]
    wave = 120 + 60 * np.sin(place / 7)
    return np.where(place > 0.75 * size, wave, signal)


CLEAN = drawn()
NOISY = CLEAN + SIGMA * np.random.default_rng(1).standard_normal(CLEAN.shape)


@pytest.fixture(scope="module")
def restored():
    return bm3d(NOISY, SIGMA, axis=0)


def test_noise_is_removed(restored):
    assert restored.shape == NOISY.shape
    assert restored.dtype == np.float64
    assert psnr(CLEAN, restored) > psnr(CLEAN, NOISY) + 6
    basic = bm3d(NOISY, SIGMA, axis=0, stage="basic")
    assert psnr(CLEAN, basic) > psnr(CLEAN, NOISY) + 5
    piloted = bm3d(NOISY, SIGMA, axis=0, pilot=basic)
    np.testing.assert_allclose(piloted, restored, atol=0.5)


def test_whole_call_equals_the_specification(engine):
    profile = Profile.named("signal").replace(group_basic=8, group_final=8, radius_final=(20,))
    noisy = np.round(NOISY[:200])
    expected, actual = (
        bm3d(noisy, SIGMA, axis=0, profile=profile, backend=name) for name in ("numpy", engine)
    )
    assert_close(actual, expected, 255)


def test_signals_of_an_array_are_independent(restored):
    other = drawn(seed=5) + SIGMA * np.random.default_rng(2).standard_normal(CLEAN.shape)
    both = np.stack([NOISY, other, NOISY[::-1]], 1)
    results = bm3d(both, SIGMA, axis=0)
    np.testing.assert_array_equal(results[:, 0], restored)
    np.testing.assert_array_equal(results[:, 1], bm3d(other, SIGMA, axis=0))
    for axis, array in ((-1, both.T), (1, both.T[:, :, None])):
        turned = bm3d(array, SIGMA, axis=axis, workers=2)
        np.testing.assert_array_equal(np.squeeze(turned).T, results)
        assert turned.flags.c_contiguous
    levels = bm3d(both, np.array([SIGMA, 10, SIGMA]), axis=0)
    np.testing.assert_array_equal(levels[:, 0], restored)
    np.testing.assert_array_equal(levels[:, 1], bm3d(other, 10, axis=0))
    _, infos = bm3d(both, SIGMA, axis=0, return_info=True)
    assert [info.sigma for info in infos] == [SIGMA] * 3


def test_channels_are_filtered_in_the_same_groups():
    second = 200 - 0.3 * CLEAN
    both = np.stack([NOISY, second + np.random.default_rng(3).normal(0, 5, CLEAN.shape)])
    result = bm3d(both, (SIGMA, 5), axis=1, channel_axis=0)
    assert psnr(CLEAN, result[0]) > psnr(CLEAN, NOISY) + 6
    assert psnr(second, result[1]) > psnr(second, both[1]) + 6
    series = bm3d(np.stack([both, both]), np.array([SIGMA, 5.0]), axis=2, channel_axis=1)
    np.testing.assert_array_equal(series[1], result)
    turned = bm3d(both.T, (SIGMA, 5), axis=0, channel_axis=1)
    np.testing.assert_array_equal(turned.T, result)


def test_types_and_units(restored):
    np.testing.assert_array_equal(bm3d(NOISY / 16, SIGMA / 16, axis=0), restored / 16)
    moved = bm3d(3 * NOISY - 70, 3 * SIGMA, axis=0)
    np.testing.assert_allclose(moved, 3 * restored - 70, atol=0.1)
    eight = np.clip(np.round(NOISY), 0, 255).astype(np.uint8)
    whole = bm3d(eight, SIGMA, axis=0)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(whole, bm3d(eight.astype(float), SIGMA, axis=0), atol=1e-3)
    for workers in (1, 3):
        np.testing.assert_array_equal(bm3d(NOISY, SIGMA, axis=0, workers=workers), restored)
    np.testing.assert_array_equal(bm3d(NOISY, 0, axis=0), NOISY)


def test_level_is_estimated():
    restored, info = bm3d(NOISY, axis=0, return_info=True)
    assert abs(info.sigma / SIGMA - 1) < 0.12
    assert info.estimated
    assert "differences of adjacent samples" in info.reason
    assert psnr(CLEAN, restored) > psnr(CLEAN, NOISY) + 6
    both, infos = bm3d(np.stack([NOISY, NOISY / 4]), axis=1, return_info=True)
    np.testing.assert_allclose(both[0], restored, atol=1e-4)
    assert infos[1].sigma == pytest.approx(infos[0].sigma / 4)
    assert np.array_equal(bm3d(np.full(100, 3.0), axis=0), np.full(100, 3.0))


def test_level_that_varies():
    level = np.where(np.arange(400) < 200, 5.0, 25.0)
    noisy = CLEAN + level * np.random.default_rng(1).standard_normal(400)
    restored = bm3d(noisy, level, axis=0)
    assert psnr(CLEAN, restored) > psnr(CLEAN, bm3d(noisy, 18, axis=0)) + 0.5
    two = bm3d(np.stack([noisy, noisy]), np.stack([level, level]), axis=1)
    np.testing.assert_array_equal(two[1], restored)


def test_correlated_noise():
    kernel = np.array([10.0, -10.0])
    white = np.random.default_rng(1).standard_normal(401)
    noisy = CLEAN + np.convolve(white, kernel, "valid")
    by_kernel = bm3d(noisy, noise_kernel=kernel, axis=0)
    power = np.abs(np.fft.fft(kernel, 400)) ** 2 * 400
    by_power = bm3d(noisy, psd=power, axis=0)
    level = float(np.linalg.norm(kernel))
    assert psnr(CLEAN, by_kernel) > psnr(CLEAN, bm3d(noisy, level, axis=0)) + 3
    np.testing.assert_allclose(by_power, by_kernel, atol=0.5)
    two = bm3d(np.stack([noisy, noisy]), noise_kernel=kernel, axis=1)
    np.testing.assert_array_equal(two[0], by_kernel)
    both = np.stack([noisy, CLEAN + 5 * np.random.default_rng(2).standard_normal(400)])
    kernels = np.array([kernel, [5, 0]])
    together = bm3d(both, noise_kernel=kernels, axis=1, channel_axis=0)
    assert psnr(CLEAN, together[0]) > psnr(CLEAN, noisy) + 10


def test_noise_of_photons():
    clean = 20 + CLEAN / 4
    counts = np.random.default_rng(0).poisson(clean)
    restored = bm3d(counts, noise=fastrestore.PoissonGaussian(1), axis=0)
    assert psnr(clean, restored, 64) > psnr(clean, counts, 64) + 4


def test_invalid_samples_take_no_part():
    noisy = NOISY.copy()
    noisy[100:110] = np.nan
    noisy[300] = 1e30
    valid = np.isfinite(noisy) & (noisy < 1e29)
    restored = bm3d(noisy, SIGMA, axis=0, mask=valid)
    np.testing.assert_array_equal(restored[~valid], noisy[~valid])
    assert psnr(CLEAN[valid], restored[valid]) > psnr(CLEAN[valid], noisy[valid]) + 5
    _, info = bm3d(noisy, axis=0, mask=valid, return_info=True)
    assert abs(info.sigma / SIGMA - 1) < 0.15


@pytest.mark.parametrize("size", [3, 7, 33, 63, 65])
def test_short_signals(size):
    clean = np.linspace(0, 50, size)
    noisy = clean + np.random.default_rng(0).normal(0, 5, size)
    restored = bm3d(noisy, 5, axis=0)
    assert np.std(restored - clean) <= np.std(noisy - clean) + 1e-6


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((50,), {"axis": 1}, r"axis=1 is not an axis of shape \(50,\)"),
        ((50,), {"axis": 0.5}, "axis must be a whole number, got 0.5"),
        ((1,), {"axis": 0}, r"must have 2 samples or more, but axis=0 of shape \(1,\) has 1"),
        ((3, 0), {"axis": 1}, r"image is empty, its shape is \(3, 0\)"),
        ((3, 9), {"axis": 1, "channel_axis": -1}, "axis=1 and channel_axis=-1 are the same axis"),
        ((50,), {"axis": 0, "guide": np.ones(50)}, "guide is for images; with axis= it must be"),
        ((50,), {"axis": 0, "batch_axis": 0}, "batch_axis is for images; with axis= it must be"),
        ((50,), {"axis": 0, "sigma": np.ones(7)}, r"sigma must be.*\(50,\), got.*shape \(7,\)"),
        ((50,), {"axis": 0, "sigma": -np.ones(50)}, r"^sigma must be a number.*got -1.0 at \(0,"),
        ((50,), {"axis": 0, "sigma": -1}, r"^sigma must be a number of 0.*to \(50,\), got -1$"),
        ((50,), {"axis": 0, "sigma": True}, r"^sigma must be a number of 0.*, got True$"),
        ((50,), {"axis": 0, "noise_kernel": []}, r"noise_kernel is empty, its shape is \(0,\)"),
        ((2, 50), {"axis": 1, "channel_axis": 0, "sigma": [1, 2, 3]}, "2 of them, one for each"),
        ((50,), {"axis": 0, "psd": np.ones(7)}, "psd of a signal must have 50 values.*got .7,"),
        ((50,), {"axis": 0, "psd": np.arange(50.0)}, r"symmetric.*got 1 at \(1,\) and 49 at \(-1,"),
        ((50,), {"axis": 0, "psd": -np.ones(50)}, r"psd must not be negative, got -1.0 at \(0,"),
        ((50,), {"axis": 0, "psd": np.ones((5, 5))}, r"psd of a signal must have one axis, got"),
        ((50,), {"axis": 0, "noise": "camera"}, "noise='camera' is for images; for a signal"),
        ((50,), {"axis": 0, "profile": "iterative"}, "'iterative' is for images: write profile"),
        ((50,), {"axis": 0, "profile": "time"}, r"block_basic=\(2, 4, 4, 4\).*has one axis"),
        ((50,), {"axis": 0, "pilot": np.ones(7)}, r"pilot has shape \(7,\)"),
        ((10,), {"axis": 0}, "sigma cannot be estimated from a signal of 10 samples.*write sigma="),
        ((50,), {"sigma": 5}, r"must have 2 axes.*got shape \(50,\); for a signal write.*axis=0"),
    ],
)  # fmt: skip
def test_bad_arguments(shape, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        bm3d(np.arange(float(np.prod(shape))).reshape(shape), **options)


def test_a_level_may_be_an_array_without_axes(restored):
    np.testing.assert_array_equal(bm3d(NOISY, np.array(SIGMA), axis=0), restored)


def test_levels_of_invalid_samples_may_have_any_value():
    signals = np.stack([NOISY, NOISY[::-1]])
    valid = np.ones(signals.shape, bool)
    valid[0, 30:40] = False
    level = np.full(signals.shape, SIGMA)
    expected = bm3d(signals, SIGMA, axis=1, mask=valid)
    for value in (np.nan, -9999.0):
        level[0, 30:40] = value
        np.testing.assert_array_equal(bm3d(signals, level, axis=1, mask=valid), expected)
    with pytest.raises(ValueError, match=r"got -9999.0 at \(0, 30\)"):
        bm3d(signals, level, axis=1)


def test_bad_values():
    signal = NOISY.copy()
    signal[7] = np.nan
    with pytest.raises(ValueError, match=r"image has values that are NaN.*nan at \(7,\)"):
        bm3d(signal, 5, axis=0)
    with pytest.raises(TypeError, match="complex"):
        bm3d(NOISY + 1j, 5, axis=0)
