"""BM4D as CUDA kernels, executed on the CPU and, where there is one, on a GPU."""

from dataclasses import replace

import numpy as np
import pytest
from support.images import assert_close
from support.stages import volume_stage
from support.volume_kernels import SIGMA, estimates, matched, running, white
from support.volumes import PROFILES, VOLUME, cells, integer, noisy

from fastrestore import Rician, bm4d, psd_from_kernel
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.select import select


def assert_same(cupy, volume, stage):
    expected = select("numpy").bm4d_match(volume, stage, running())
    offsets, sizes = matched(cupy, volume, stage)
    np.testing.assert_array_equal(sizes, expected.sizes)
    np.testing.assert_array_equal(offsets, expected.offsets)


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("profile", PROFILES)
def test_match_lists_are_identical(cupy, profile, which):
    volume = noisy(cells(8, 13, 17), SIGMA)
    assert_same(cupy, volume, volume_stage(PROFILES[profile], which, white(), 255.0))


@pytest.mark.parametrize("shape", [(5, 5, 5), (5, 6, 30), (6, 31, 5)])
def test_match_lists_of_other_shapes(cupy, shape):
    volume = noisy(cells(*shape), SIGMA)
    assert_same(cupy, volume, volume_stage(VOLUME, "basic", white(), 255.0))
    assert_same(cupy, np.full(shape, 7, np.float32), volume_stage(VOLUME, "basic", white(), 9))


def test_wide_windows_are_searched_in_bands(cupy):
    profile = VOLUME.replace(radius_basic=21, slices_basic=8, block_basic=8, step_basic=5)
    volume = noisy(cells(9, 40, 44), SIGMA)
    assert_same(cupy, volume, volume_stage(profile, "basic", white(), 255.0))


def test_thresholds_by_a_map_and_biases(cupy):
    volume, rising = noisy(cells(7, 12, 14), SIGMA), np.linspace(0, 3, 14) * np.ones((7, 12, 14))
    stage = volume_stage(VOLUME, "basic", replace(white(), map=np.sqrt(rising[None])), 255.0)
    assert_same(cupy, volume, stage)
    power = np.abs(np.fft.fftn(np.ones((2, 1, 3)), (24, 24, 24), axes=(0, 1, 2))) ** 2
    power /= power.mean()
    stage = volume_stage(VOLUME, "basic", replace(white(), spectrum=power[None]), 255.0)
    stage.match_bias[:] = np.round(stage.match_bias)
    assert_same(cupy, volume, stage)


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("profile", PROFILES)
def test_filters_equal_the_specification(cupy, profile, which):
    clean = integer(cells(8, 13, 17))[None]
    image = noisy(clean, SIGMA)
    expected, actual = estimates(cupy, image, clean, PROFILES[profile], which, white())
    assert_close(actual, expected, 255)


def test_a_threshold_beyond_float32_matches_every_block_of_the_volume(cupy):
    volume = noisy(cells(6, 7, 8), SIGMA)
    stage = volume_stage(VOLUME.replace(group_basic=64), "basic", white(), 255.0)
    everything = replace(stage, match=1e30)
    expected = select("numpy").bm4d_match(volume, everything, running())
    offsets, sizes = matched(cupy, volume, replace(stage, match=np.inf))
    np.testing.assert_array_equal(sizes, expected.sizes)
    np.testing.assert_array_equal(offsets, expected.offsets)


@pytest.mark.parametrize("which", ["basic", "final"])
def test_groups_of_more_blocks_than_threads(cupy, which):
    profile = VOLUME.replace(
        slices_basic=1, step_slices_basic=1, group_basic=64, match_basic=60_000,
        slices_final=2, block_final=4, step_slices_final=1, group_final=64, match_final=60_000,
    )  # fmt: skip
    clean = integer(cells(5, 10, 11))[None]
    expected, actual = estimates(cupy, noisy(clean, SIGMA), clean, profile, which, white())
    assert_close(actual, expected, 255)


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("kind", ["map", "one map", "spectrum", "spectra"])
def test_filters_with_maps_channels_and_spectra(cupy, which, kind):
    clean = np.stack([integer(cells(7, 11, 12, seed=k)) for k in (0, 5)])
    rng = np.random.default_rng(0)
    power = np.abs(np.fft.fftn(rng.uniform(0.2, 1, (2, 1, 3)), clean.shape[1:], axes=(0, 1, 2)))
    power = power**2 / (power**2).mean()
    sigmas = np.array([9.0, 15.0])
    noise, channel = {
        "map": (PlaneNoise(sigmas, np.sqrt(rng.uniform(0.1, 2, clean.shape))), 1),
        "one map": (
            PlaneNoise(np.array([9.0, 0.0]), np.sqrt(rng.uniform(0, 2, clean[:1].shape))),
            0,
        ),
        "spectrum": (PlaneNoise(sigmas, spectrum=power[None]), 1),
        "spectra": (PlaneNoise(sigmas, spectrum=np.stack([power, 2 - power / 9])), 0),
    }[kind]
    expected, actual = estimates(
        cupy, noisy(clean, 12), clean, VOLUME, which, noise, channel=channel
    )
    assert_close(actual, expected, 255)


@pytest.mark.parametrize("which", ["basic", "final"])
def test_fixed_sums_do_not_depend_on_the_order(fake, which):
    clean = integer(cells(6, 9, 10))[None] / 256
    image, results = noisy(clean * 256, 10) / 256, []
    for seed in (0, 1, 5):
        fake.seed = seed
        expected, actual = estimates(fake, image, clean, VOLUME, which, white(0.04), True)
        assert_close(actual, expected, 1)
        results.append(actual)
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_order_of_threads_does_not_change_results(fake, seed):
    fake.seed = seed
    clean = integer(cells(7, 10, 12))[None]
    image = noisy(clean, SIGMA)
    for which in ("basic", "final"):
        assert_same(fake, image[0], volume_stage(VOLUME, which, white(), 255.0))
        expected, actual = estimates(fake, image, clean, VOLUME, which, white())
        assert_close(actual, expected, 255)


def whole(cupy, volume, *arguments, **options):
    """The results of numpy and of the kernels, from a volume on the host and from one on a GPU."""
    options = {"profile": VOLUME, **options}
    expected = bm4d(volume, *arguments, backend="numpy", **options)
    host = bm4d(volume, *arguments, backend="cupy", **options)
    there = bm4d(cupy.asarray(np.ascontiguousarray(volume)), *arguments, **options)
    assert isinstance(there, cupy.ndarray)
    assert isinstance(host, np.ndarray)
    assert there.dtype == host.dtype == expected.dtype
    return expected, host, there.get()


CALLS = {
    "plain": {"sigma": SIGMA},
    "basic": {"sigma": SIGMA, "stage": "basic"},
    "range": {"sigma": SIGMA, "data_range": 200.0},
    "axis": {"sigma": SIGMA, "slice_axis": 2},
    "unknown": {},
    "map": {"sigma": np.linspace(0, 20, 14)},
    "psd": {"psd": psd_from_kernel(np.full((1, 3, 2), 5.0), (8, 13, 14))},
    "rician": {"noise": Rician(10.0)},
    "no noise": {"sigma": 0},
}


@pytest.mark.parametrize("name", CALLS)
def test_whole_call(cupy, name):
    volume = noisy(cells(8, 13, 14), SIGMA)
    expected, host, there = whole(cupy, volume, **CALLS[name])
    assert_close(host, expected, 255)
    assert_close(there, expected, 255)
    if name == "map":
        np.testing.assert_array_equal(there[..., 0], volume[..., 0])


@pytest.mark.parametrize("dtype", ["u1", "i2", "f2", "f8"])
def test_types(cupy, dtype):
    volume = (noisy(cells(6, 9, 10), 10) / 2).astype(dtype)
    expected, host, there = whole(cupy, volume, 5)
    assert_close(host, expected, 1000 if dtype == "f2" else 128)
    assert_close(there, expected, 1000 if dtype == "f2" else 128)


def test_channels_and_small_and_flat_volumes(cupy):
    both = np.stack([noisy(cells(6, 9, 10), 10), noisy(cells(6, 9, 10, seed=4), 20)], axis=-1)
    expected, host, there = whole(cupy, both, (10, 0), channel_axis=-1, match_channel=1)
    assert_close(host, expected, 255)
    assert_close(there, expected, 255)
    np.testing.assert_array_equal(there[..., 1], both[..., 1])
    for shape in ((1, 3, 9), (2, 12, 13), (9, 3, 4)):
        expected, host, there = whole(cupy, noisy(cells(*shape), SIGMA), SIGMA, profile="volume")
        assert_close(host, expected, 255)
        assert_close(there, expected, 255)


def test_views(cupy):
    volume = noisy(cells(12, 14, 20), SIGMA)
    there, part = cupy.asarray(volume), np.s_[::-1, 2:12, ::2]
    expected = bm4d(volume[part], SIGMA, profile=VOLUME, data_range=255.0, backend="numpy")
    assert_close(bm4d(there[part], SIGMA, profile=VOLUME, data_range=255.0).get(), expected, 255)


def test_no_transfer_and_no_synchronization(fake):
    volume = fake.asarray(noisy(cells(6, 9, 10), SIGMA))
    bm4d(volume, SIGMA, profile=VOLUME, data_range=255.0)
    fake.log.clear()
    bm4d(volume, SIGMA, profile=VOLUME, data_range=255.0)
    assert fake.count("d2h") == fake.count("sync") == fake.count("load") == 0
    kernels = [name for name in fake.launches() if name.startswith("bm4d")]
    assert kernels == [
        "bm4d_match", "bm4d_basic", "bm4d_divide", "bm4d_match", "bm4d_final", "bm4d_divide",
    ]  # fmt: skip


def test_a_volume_beyond_32_bits_raises(fake, monkeypatch):
    monkeypatch.setattr("fastrestore.backends.cupy.bm4d.MOST_PIXELS", 100)
    with pytest.raises(MemoryError, match=r"shape \(6, 9, 10\) is too large for the kernels"):
        bm4d(fake.asarray(noisy(cells(6, 9, 10), SIGMA)), SIGMA)
