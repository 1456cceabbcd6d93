"""BM4D as CUDA kernels, executed on the CPU and, where there is one, on a GPU."""

import numpy as np
import pytest
from images import assert_close
from test_bm4d_stages import PROFILES, VOLUME, integer, noisy
from volumes import cells

from fastrestore._stage import Run
from fastrestore._volume import VolumeNoise, make_volume_stage
from fastrestore.backends import select
from fastrestore.backends.cupy._device import Memory

SIGMA = 15.0


def running(deterministic=False):
    return Run(1, lambda share: None, deterministic, Memory())


def matched(cupy, volume, stage):
    """The match lists of a kernel, on the host."""
    found = select("cupy").bm4d_match(cupy.asarray(volume), stage, running())
    return found.offsets.get(), found.sizes.get()


def assert_same(cupy, volume, stage):
    expected = select("numpy").bm4d_match(volume, stage, running())
    offsets, sizes = matched(cupy, volume, stage)
    np.testing.assert_array_equal(sizes, expected.sizes)
    np.testing.assert_array_equal(offsets, expected.offsets)


def white(sigma=SIGMA):
    return VolumeNoise(np.array([sigma]))


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("profile", PROFILES)
def test_match_lists_are_identical(cupy, profile, which):
    volume = noisy(cells(8, 13, 17), SIGMA)
    assert_same(cupy, volume, make_volume_stage(PROFILES[profile], which, white(), 255.0))


@pytest.mark.parametrize("shape", [(5, 5, 5), (5, 6, 30), (6, 31, 5)])
def test_match_lists_of_other_shapes(cupy, shape):
    volume = noisy(cells(*shape), SIGMA)
    assert_same(cupy, volume, make_volume_stage(VOLUME, "basic", white(), 255.0))
    assert_same(cupy, np.full(shape, 7, np.float32), make_volume_stage(VOLUME, "basic", white(), 9))


def test_wide_windows_are_searched_in_bands(cupy):
    profile = VOLUME.replace(radius_basic=21, slices_basic=8, block_basic=8, step_basic=5)
    volume = noisy(cells(9, 40, 44), SIGMA)
    assert_same(cupy, volume, make_volume_stage(profile, "basic", white(), 255.0))


def test_thresholds_by_a_map_and_biases(cupy):
    volume, rising = noisy(cells(7, 12, 14), SIGMA), np.linspace(0, 3, 14) * np.ones((7, 12, 14))
    stage = make_volume_stage(VOLUME, "basic", white()._replace(map=rising[None]), 255.0)
    assert_same(cupy, volume, stage)
    power = np.abs(np.fft.fftn(np.ones((2, 1, 3)), (24, 24, 24), axes=(0, 1, 2))) ** 2
    power /= power.mean()
    stage = make_volume_stage(VOLUME, "basic", white()._replace(power=power[None]), 255.0)
    stage.match_bias[:] = np.round(stage.match_bias)
    assert_same(cupy, volume, stage)


def estimates(cupy, image, pilot, profile, which, noise, deterministic=False):
    """The estimates of numpy and of the kernels, from the same matches."""
    stage = make_volume_stage(profile, which, noise, 255.0)
    seen = image if which == "basic" else pilot
    reference, engine, run = select("numpy"), select("cupy"), running(deterministic)
    matches = reference.bm4d_match(seen[noise.matched], stage, run)
    there = type(matches)(
        *(cupy.asarray(grid.astype(np.int32)) for grid in matches[:3]),
        cupy.asarray(matches.offsets), cupy.asarray(matches.sizes),
    )  # fmt: skip
    on_gpu = [cupy.asarray(np.ascontiguousarray(each)) for each in (image, pilot)]
    if which == "basic":
        expected = reference.bm4d_basic(image, matches, stage, run)
        return expected, engine.bm4d_basic(on_gpu[0], there, stage, run).get()
    expected = reference.bm4d_final(image, pilot, matches, stage, run)
    return expected, engine.bm4d_final(*on_gpu, there, stage, run).get()


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("profile", PROFILES)
def test_filters_equal_the_specification(cupy, profile, which):
    clean = integer(cells(8, 13, 17))[None]
    image = noisy(clean, SIGMA)
    expected, actual = estimates(cupy, image, clean, PROFILES[profile], which, white())
    assert_close(actual, expected, 255)


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("kind", ["map", "one map", "spectrum", "spectra"])
def test_filters_with_maps_channels_and_spectra(cupy, which, kind):
    clean = np.stack([integer(cells(7, 11, 12, seed=k)) for k in (0, 5)])
    rng = np.random.default_rng(0)
    power = np.abs(np.fft.fftn(rng.uniform(0.2, 1, (2, 1, 3)), clean.shape[1:], axes=(0, 1, 2)))
    power = power**2 / (power**2).mean()
    noise = {
        "map": VolumeNoise(np.array([9.0, 15.0]), 1, map=rng.uniform(0.1, 2, clean.shape)),
        "one map": VolumeNoise(np.array([9.0, 0.0]), 0, map=rng.uniform(0, 2, clean[:1].shape)),
        "spectrum": VolumeNoise(np.array([9.0, 15.0]), 1, power=power[None]),
        "spectra": VolumeNoise(np.array([9.0, 15.0]), 0, power=np.stack([power, 2 - power / 9])),
    }[kind]
    expected, actual = estimates(cupy, noisy(clean, 12), clean, VOLUME, which, noise)
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
def test_order_of_threads_does_not_matter(fake, seed):
    fake.seed = seed
    clean = integer(cells(7, 10, 12))[None]
    image = noisy(clean, SIGMA)
    for which in ("basic", "final"):
        assert_same(fake, image[0], make_volume_stage(VOLUME, which, white(), 255.0))
        expected, actual = estimates(fake, image, clean, VOLUME, which, white())
        assert_close(actual, expected, 255)
