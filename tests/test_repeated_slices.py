"""Volumes with equal slices, whose noise is equal."""

import numpy as np
import pytest
from support.commandline import works
from support.images import psnr
from support.volumes import cells

from fastrestore import PoissonGaussian, Rician, bm3d, bm4d, psd_from_kernel

SIGMA = 15.0
RUNS = (2, 1, 3, 2, 2, 1, 1, 1)


@pytest.fixture(scope="module")
def clean():
    return cells(8, 24, 26)


@pytest.fixture(scope="module")
def noisy(clean):
    return clean + SIGMA * np.random.default_rng(1).standard_normal(clean.shape)


class Doubling:
    """A noise model of the user's own, which uses the position of the voxels."""

    def forward(self, values):
        return values / (10 + np.arange(values.shape[1])[:, None, None])

    def inverse(self, stabilized):
        return stabilized * (10 + np.arange(stabilized.shape[1])[:, None, None])

    def extent(self, data_range):
        return data_range / 10


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("runs", [2, 3])
def test_repeated_slices_are_filtered_once(clean, noisy, axis, runs):
    """Along any axis: by default that of the slices is the shortest axis without repetitions."""
    once = bm4d(noisy, SIGMA)
    result = bm4d(np.repeat(noisy, runs, axis), SIGMA)
    np.testing.assert_array_equal(result, np.repeat(once, runs, axis))
    assert psnr(np.repeat(clean, runs, axis), result) == pytest.approx(psnr(clean, once))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stage": "basic", "workers": 3},
        {"sigma": None},
        {"sigma": 0},
        {"slice_axis": 0},
        {"channel_axis": 0},
        {"channel_axis": -1, "sigma": (SIGMA, 5), "match_channel": 1},
        {"noise": Rician(SIGMA), "sigma": None},
        {"noise": PoissonGaussian(2, 5), "sigma": None},
        {"backend": "numpy", "stage": "basic"},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["f8", "u2", "f2"])
def test_volumes_with_any_options(noisy, options, dtype):
    options = {"sigma": SIGMA, **options}
    volume = noisy[:, :12, :14] if "backend" in options else noisy
    volume = np.asfortranarray(np.abs(volume).round().astype(dtype))
    axis = 0
    if "channel_axis" in options:
        volume = np.stack([volume, 255 - volume], options["channel_axis"])
        axis = int(options["channel_axis"] == 0)
    once = bm4d(volume, **options)
    result = bm4d(np.repeat(volume, RUNS, axis), **options)
    np.testing.assert_array_equal(result, np.repeat(once, RUNS, axis))
    assert result.dtype == once.dtype


def test_repetitions_along_several_axes(noisy):
    once = bm4d(noisy, SIGMA)
    doubled = noisy.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    expected = once.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(bm4d(doubled, SIGMA), expected)


def test_only_the_given_axis_is_searched(noisy):
    doubled = np.repeat(noisy, 2, 1)
    result = bm4d(doubled, SIGMA, slice_axis=0)
    assert not np.array_equal(result[:, ::2], result[:, 1::2])
    result = bm4d(doubled, SIGMA, slice_axis=1)
    np.testing.assert_array_equal(result, np.repeat(bm4d(noisy, SIGMA, slice_axis=1), 2, 1))


def test_one_slice_is_an_image(noisy):
    result = bm4d(np.repeat(noisy[:1], 9, 0), SIGMA, slice_axis=0)
    np.testing.assert_array_equal(result, np.repeat(bm3d(noisy[0], SIGMA)[None], 9, 0))


def test_maps_of_sigma(noisy):
    """Slices are joined if their noise may be equal."""
    level = SIGMA * (1 + np.linspace(0, 1, noisy.size).reshape(noisy.shape))
    once = bm4d(noisy, level)
    result = bm4d(np.repeat(noisy, 2, 0), np.repeat(level, 2, 0))
    np.testing.assert_allclose(result, np.repeat(once, 2, 0), atol=1e-3)
    across = SIGMA * np.linspace(1, 2, noisy.shape[2])
    expected = np.repeat(bm4d(noisy, across), RUNS, 0)
    np.testing.assert_allclose(bm4d(np.repeat(noisy, RUNS, 0), across), expected, atol=1e-3)
    apart = np.repeat(level, 2, 0)
    apart[1::2] *= 1.5
    result = bm4d(np.repeat(noisy, 2, 0), apart)
    assert not np.array_equal(result[::2], result[1::2])


def test_spectra(noisy):
    """Slices are joined if their noise is independent by the spectrum."""
    kernel = np.full((1, 1, 5), SIGMA / np.sqrt(5))
    doubled = np.repeat(noisy, 2, 0)
    once = bm4d(noisy, psd=psd_from_kernel(kernel, noisy.shape))
    result = bm4d(doubled, psd=psd_from_kernel(kernel, doubled.shape))
    np.testing.assert_allclose(result, np.repeat(once, 2, 0), atol=1e-3)
    kernel = np.full((2, 1, 1), SIGMA / np.sqrt(2))
    result = bm4d(doubled, psd=psd_from_kernel(kernel, doubled.shape))
    assert not np.array_equal(result[::2], result[1::2])


def test_models_that_use_the_position(noisy):
    result = bm4d(np.repeat(noisy, 2, 0), noise=Doubling(), slice_axis=0)
    assert not np.array_equal(result[::2], result[1::2])


def test_constant_slices_are_not_joined(noisy):
    """They have no noise; a volume with empty slices is restored as before."""
    volume = np.concatenate([np.zeros((6, 24, 26)), noisy])
    expected = bm4d(volume + np.arange(14)[:, None, None] * 1e-12, SIGMA)
    np.testing.assert_allclose(bm4d(volume, SIGMA), expected, atol=1e-3)


def test_progress_is_complete(noisy):
    seen = []
    bm4d(np.repeat(noisy, 2, 0), SIGMA, progress=lambda done, _total: seen.append(done))
    assert seen[-1] == 100


def test_nan_is_found_where_it_is(noisy):
    volume = np.repeat(noisy, 2, 0)
    volume[9, 2, 3] = np.nan
    with pytest.raises(ValueError, match=r"volume has values .* the first is nan at \(9, 2, 3\)"):
        bm4d(volume, SIGMA)


@pytest.mark.parametrize("channel_axis", [None, 0])
def test_masks(noisy, channel_axis):
    """Invalid voxels may be NaN; slices with other masks are not joined."""
    valid = np.random.default_rng(2).uniform(size=noisy.shape) > 0.1
    volume = np.where(valid, noisy, np.nan)
    if channel_axis == 0:
        volume = np.stack([volume, 255 - volume])
    axis = volume.ndim - 3
    options = {"mask": valid, "channel_axis": channel_axis}
    once = bm4d(volume, SIGMA, **options)
    assert np.isnan(once).sum() == np.isnan(volume).sum()
    twice = np.repeat(volume, 2, axis)
    result = bm4d(twice, SIGMA, **options | {"mask": np.repeat(valid, 2, 0)})
    np.testing.assert_array_equal(result, np.repeat(once, 2, axis))
    across = bm4d(np.repeat(volume, 2, -1), SIGMA, **options | {"mask": np.repeat(valid, 2, -1)})
    np.testing.assert_array_equal(across, np.repeat(once, 2, -1))
    other = np.repeat(valid, 2, 0)
    other[5, 4:8] = False
    result = bm4d(twice, SIGMA, **options | {"mask": other})
    four, five = (result.take(k, axis) for k in (4, 5))
    assert not np.array_equal(four, five, equal_nan=True)


def test_fill_values_are_found_where_they_are(noisy):
    """Volumes with fill values are reduced, too."""
    filled = noisy.copy()
    filled[5:, 20:] = -1e7
    once = bm4d(filled, SIGMA)
    result = bm4d(np.repeat(filled, 2, 0), SIGMA)
    np.testing.assert_array_equal(result, np.repeat(once, 2, 0))
    np.testing.assert_allclose(result[10:, 20:], -1e7)
    filled[3, 4, 5] = 1e30
    with pytest.raises(ValueError, match=r"volume has the value 1e\+30 at \(6, 4, 5\)"):
        bm4d(np.repeat(filled, 2, 0), SIGMA)


def test_command_line(tmp_path, monkeypatch, capsys, noisy):
    monkeypatch.chdir(tmp_path)
    np.save("in.npy", np.repeat(noisy, 2, 0).astype("f4"))
    works(capsys, "volume", "in.npy", "-o", "out.npy", "--sigma", "auto", "--quiet")
    expected = np.repeat(bm4d(noisy.astype("f4")), 2, 0)
    np.testing.assert_array_equal(np.load("out.npy"), expected)
