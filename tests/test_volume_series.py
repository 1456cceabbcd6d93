"""`bm4d` of volumes over time, with `time_axis`."""

import numpy as np
import pytest
from support.images import assert_close, psnr
from support.volumes import cells

import fastrestore
from fastrestore import Profile, bm4d

SIGMA = 20.0
NARROW = Profile.named("time").replace(radius_basic=(1, 2, 3, 3), radius_final=(1, 2, 3, 3))


@pytest.fixture(scope="module")
def clean():
    still = cells(10, 18, 20)
    return np.stack([np.roll(still, (k, k), (1, 2)) for k in range(4)])[:, :8, 3:, 3:]


@pytest.fixture(scope="module")
def noisy(clean):
    return clean + SIGMA * np.random.default_rng(1).standard_normal(clean.shape)


@pytest.fixture(scope="module")
def restored(noisy):
    return bm4d(noisy, SIGMA, time_axis=0, slice_axis=1)


def test_noise_is_removed(clean, noisy, restored):
    assert restored.shape == clean.shape
    assert restored.flags.c_contiguous
    single = np.stack([bm4d(frame, SIGMA, slice_axis=0) for frame in noisy])
    assert psnr(clean, restored) > psnr(clean, single) + 0.3


def test_whole_call_equals_the_specification(engine, noisy):
    part = np.round(noisy[:3, :5, :8, :9])
    profile = NARROW.replace(group_basic=4, group_final=4)
    options = {"time_axis": 0, "slice_axis": 1, "profile": profile}
    expected, actual = (bm4d(part, SIGMA, backend=name, **options) for name in ("numpy", engine))
    assert_close(actual, expected, 255)


def test_axes_of_any_order(noisy, restored):
    for order in ((1, 2, 3, 0), (2, 0, 1, 3)):
        turned = noisy.transpose(order)
        axes = {"time_axis": order.index(0), "slice_axis": order.index(1) - 4}
        back = bm4d(turned, SIGMA, **axes, workers=2).transpose(np.argsort(order))
        np.testing.assert_array_equal(back, restored)
    np.testing.assert_array_equal(bm4d(noisy, SIGMA, time_axis=0), restored)


def test_levels_maps_spectra_and_masks(clean, noisy, restored):
    level = np.full(noisy.shape, SIGMA)
    by_map = bm4d(noisy, level * np.linspace(0.99, 1.01, 17), time_axis=0)
    np.testing.assert_allclose(by_map, restored, atol=15)
    power = np.full(noisy.shape, SIGMA**2 * noisy.size)
    np.testing.assert_allclose(bm4d(noisy, psd=power, time_axis=0), restored, atol=1e-3)
    valid = np.ones(noisy.shape, bool)
    valid[1, 2:4, 5:9, 5:9] = False
    holes = np.where(valid, noisy, np.nan)
    result = bm4d(holes, SIGMA, time_axis=0, mask=valid)
    assert np.isnan(result[~valid]).all()
    assert psnr(clean[valid], result[valid]) > psnr(clean[valid], noisy[valid]) + 5


def test_noise_is_estimated(clean, noisy):
    restored, info = bm4d(noisy, noise="white", time_axis=0, return_info=True)
    assert abs(info.sigma / SIGMA - 1) < 0.25
    assert psnr(clean, restored) > psnr(clean, noisy) + 5
    rician = np.hypot(noisy, SIGMA * np.random.default_rng(9).standard_normal(noisy.shape))
    result = bm4d(rician, noise=fastrestore.Rician(SIGMA), time_axis=0)
    assert psnr(clean, result) > psnr(clean, rician) + 4


def test_channels_and_pilots(noisy, restored):
    both = np.stack([noisy, 200 - noisy / 2], -1)
    result = bm4d(both, (SIGMA, SIGMA / 2), time_axis=0, slice_axis=1, channel_axis=-1)
    np.testing.assert_allclose(result[..., 0], restored, atol=2e-4)
    np.testing.assert_allclose(result[..., 1], 200 - restored / 2, atol=0.05)
    basic = bm4d(noisy, SIGMA, time_axis=0, stage="basic")
    np.testing.assert_allclose(bm4d(noisy, SIGMA, time_axis=0, pilot=basic), restored, atol=0.5)


@pytest.mark.parametrize("shape", [(1, 5, 6, 7), (3, 1, 6, 9), (2, 3, 2, 5), (1, 1, 1, 9)])
def test_few_voxels(shape):
    clean = np.add.outer(np.zeros(shape[:-1]), 4.0 * np.arange(shape[-1]))
    noisy = clean + np.random.default_rng(0).normal(0, 5, shape)
    restored = bm4d(noisy, 5, time_axis=0, slice_axis=1)
    assert np.std(restored - clean) <= np.std(noisy - clean) + 1e-6


def test_integers_and_no_noise(noisy, restored):
    whole = np.round(noisy).astype(np.int16)
    result = bm4d(whole, SIGMA, time_axis=0)
    assert result.dtype == np.float32
    assert_close(result, bm4d(whole.astype(float), SIGMA, time_axis=0), 255)
    assert np.std(result - restored) < 2
    np.testing.assert_array_equal(bm4d(noisy, 0, time_axis=0), noisy)


def test_arrays_of_xarray(noisy, restored):
    xarray = pytest.importorskip("xarray")
    series = xarray.DataArray(noisy, dims=("t", "z", "y", "x"), attrs={"units": "counts"})
    result = bm4d(series, SIGMA, time_axis=0, slice_axis=1)
    xarray.testing.assert_identical(result, series.copy(data=restored))
    with pytest.raises(TypeError, match=r"got Dataset; write volume\[name\]"):
        bm4d(series.to_dataset(name="series"), SIGMA)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_axis": 4}, r"time_axis=4 is not an axis of shape \(2, 4, 5, 6\)"),
        ({"time_axis": 1, "slice_axis": -3}, r"slice_axis=-3 is the same axis.*as time_axis=1"),
        ({"time_axis": 0, "channel_axis": 0}, "must have 5 axes for time_axis=0 and"),
        ({}, r"volume must have 3 axes, got shape.*channel_axis= and a series.*needs time_axis="),
        ({"time_axis": 0, "profile": Profile.named("volume").replace(step_basic=1)},
         r"block_basic=4 of profile 'custom' is for volumes.*\(time, slices, rows, columns\)"),
        ({"time_axis": 0, "sigma": np.ones((3, 3))}, r"broadcasts to \(2, 4, 5, 6\), got an array"),
        ({"time_axis": 0, "sigma": None, "psd": np.ones((4, 5, 6))}, r"psd must have the shape"),
        ({"time_axis": 0, "mask": np.ones(4, bool)}, "mask must be an array of bool that"),
        ({"time_axis": 0, "pilot": np.ones((4, 5, 6))}, r"pilot has shape \(4, 5, 6\), but"),
    ],
)  # fmt: skip
def test_bad_arguments(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        bm4d(np.arange(240.0).reshape(2, 4, 5, 6), **{"sigma": 5, **options})
