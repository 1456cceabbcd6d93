"""Whole `bm3d` with the CUDA kernels, executed on the CPU and, where there is one, on a GPU."""

import numpy as np
import pytest
from support.images import assert_close, camera, noisy, scene
from support.stages import SQUARE

from fastrestore import BM3DPlan, PoissonGaussian, Profile, Rician, bm3d

SMALL = Profile(radius_basic=7, radius_final=7, group_basic=8, group_final=8)


def integer(image):
    return np.round(np.clip(image, 0, 255)).astype(np.float32)


def colors(height, width):
    clean = np.stack([scene(height, width, seed=c) for c in range(3)], axis=-1)
    return integer(noisy(clean, 20))


def both(cupy, image, *arguments, **options):
    """The results of numpy and of the kernels, from an image on the host and from one on a GPU."""
    expected = bm3d(image, *arguments, backend="numpy", **options)
    given = {**options}
    host = bm3d(image, *arguments, backend="cupy", **given)
    for name in ("pilot", "guide"):
        if name in given:
            given[name] = cupy.asarray(np.ascontiguousarray(given[name]))
    there = bm3d(cupy.asarray(np.ascontiguousarray(image)), *arguments, **given)
    assert isinstance(there, cupy.ndarray)
    assert isinstance(host, np.ndarray)
    assert there.dtype == host.dtype == expected.dtype
    return expected, host, there.get()


def assert_equal(cupy, image, *arguments, data_range=255, **options):
    expected, host, there = both(cupy, image, *arguments, **options)
    assert_close(host, expected, data_range)
    assert_close(there, expected, data_range)


@pytest.mark.parametrize("profile", SQUARE)
def test_profiles(cupy, profile):
    assert_equal(cupy, integer(noisy(camera(height=46, width=41), 20)), 20, profile=profile)


@pytest.mark.parametrize("shape", [(8, 8), (1, 1), (3, 40), (33, 9), (32, 64), (17, 5)])
def test_odd_sizes_and_sizes_smaller_than_a_window(cupy, shape):
    assert_equal(cupy, integer(noisy(scene(*shape), 20)), 20, data_range=255)


@pytest.mark.parametrize("sigma", [1e-10, 1e-20])
def test_ranges_whose_square_float32_cannot_represent(cupy, sigma):
    image = cupy.asarray(integer(scene(12, 14)))
    result = bm3d(image, sigma, profile=SMALL.replace(group_basic=64, group_final=64))
    np.testing.assert_allclose(result.get(), image.get(), atol=1e-3)


@pytest.mark.parametrize(
    "dtype",
    ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">f4", ">u2"],
)
def test_types(cupy, dtype):
    image = np.clip(np.round(noisy(scene(20, 24), 10) / 2), 0, 120).astype(dtype)
    expected = bm3d(image, 5, profile=SMALL, backend="numpy")
    result = bm3d(image, 5, profile=SMALL, backend="cupy")
    assert result.dtype == expected.dtype
    assert_close(result, expected, 128 if dtype != "f2" else 1000)
    if dtype[0] != ">":
        there = bm3d(cupy.asarray(image), 5, profile=SMALL)
        assert there.dtype == expected.dtype
        assert_close(there.get(), expected, 128 if dtype != "f2" else 1000)


def test_layouts(cupy):
    image = integer(noisy(scene(40, 44), 20))
    there = cupy.asarray(image)
    for view in (np.s_[::-1, 3:], np.s_[::2, ::-2], np.s_[5:30, 7:]):
        plain = bm3d(np.ascontiguousarray(image[view]), 20, profile=SMALL, backend="numpy")
        assert_close(bm3d(there[view], 20, profile=SMALL).get(), plain, 255)
    expected = bm3d(image.T, 20, profile=SMALL, backend="numpy")
    assert_close(bm3d(there.transpose(1, 0), 20, profile=SMALL).get(), expected, 255)


@pytest.mark.parametrize("space", ["opp", "ycbcr", "pca", None])
def test_colors(cupy, space):
    image = colors(26, 30)
    assert_equal(cupy, image, 20, profile=SMALL, channel_axis=-1, colorspace=space)
    levels = [10, 20, 0]
    first = np.ascontiguousarray(image.transpose(2, 0, 1))
    expected, host, there = both(
        cupy, first, levels, profile=SMALL, channel_axis=0, colorspace=space
    )
    assert_close(host, expected, 255)
    assert_close(there, expected, 255)
    np.testing.assert_array_equal(there[2], first[2])


def test_two_channels_and_five(cupy):
    image = colors(22, 26)[..., [0, 1, 2, 0, 1]] + np.arange(5, dtype=np.float32)
    assert_equal(cupy, image, 20, profile=SMALL, channel_axis=-1)
    assert_equal(cupy, image[..., :2], 20, profile=SMALL, channel_axis=-1, data_range=255)


def test_stages_pilots_and_guides(cupy):
    image, clean = integer(noisy(scene(30, 34), 20)), integer(scene(30, 34))
    assert_equal(cupy, image, 20, profile=SMALL, stage="basic")
    assert_equal(cupy, image, 20, profile=SMALL, pilot=clean)
    assert_equal(cupy, image, 20, profile=SMALL, guide=clean / 255)
    assert_equal(cupy, image, 20, profile=SMALL, data_range=255.0)
    assert_equal(cupy, image, None, profile=SMALL)


def test_maps(cupy):
    rising = np.linspace(0, 30, 34) * np.ones((30, 1))
    image = integer(noisy(scene(30, 34), 1) + rising)
    expected, host, there = both(cupy, image, rising, profile=SMALL)
    for result in (host, there):
        assert_close(result, expected, 255)
        np.testing.assert_array_equal(result[:, 0], image[:, 0])  # no noise there
    image = colors(24, 26)
    level = np.stack([rising[:24, :26], rising[:24, 25::-1], rising[:24, :26]], axis=-1)
    assert_equal(cupy, image, level, profile=SMALL, channel_axis=-1)


@pytest.mark.parametrize("kernel", [np.full((1, 5), 6.0), np.eye(5) * 6])
def test_correlated_noise(cupy, kernel):
    image = integer(noisy(scene(30, 34), 15))
    assert_equal(cupy, image, noise_kernel=kernel, profile=SMALL)


def test_correlated_noise_of_a_varying_level(cupy):
    level = np.linspace(0, 30, 34) * np.ones((30, 1))
    image = integer(noisy(scene(30, 34), 15))
    kernel = np.full((1, 5), 5**-0.5)
    assert_equal(cupy, image, level, noise_kernel=kernel, profile=SMALL)


@pytest.mark.parametrize("noise", [PoissonGaussian(2.0, 3.0), Rician(8.0)])
def test_signal_dependent_noise(cupy, noise):
    image = integer(noisy(scene(26, 30), 8))
    assert_equal(cupy, image, noise=noise, profile=SMALL)


def test_few_photons(cupy):
    image = np.random.default_rng(0).poisson(scene(26, 30) / 50).astype(np.float32)
    assert_equal(cupy, image, noise=PoissonGaussian(1.0), profile=SMALL)


def test_units(cupy):
    """Equal results in units a power of two apart, on a GPU too; tiny and huge ones work."""
    image = integer(noisy(scene(24, 28), 20))
    plain = bm3d(cupy.asarray(image), 20, profile=SMALL, deterministic=True).get()
    for power in (-130, -20, 20, 100):
        scaled = np.ldexp(image.astype("f8"), power)
        result = bm3d(
            cupy.asarray(scaled), np.ldexp(20.0, power), profile=SMALL, deterministic=True
        )
        np.testing.assert_array_equal(np.ldexp(result.get(), -power).astype("f4"), plain)


def test_noise_free_and_constant(cupy):
    image = integer(scene(20, 24))
    there = cupy.asarray(image)
    np.testing.assert_array_equal(bm3d(there, 0).get(), image)
    flat = cupy.asarray(np.full((20, 24), 7, np.float32))
    np.testing.assert_allclose(bm3d(flat, 5, profile=SMALL).get(), 7, rtol=1e-6)


def test_plans(cupy):
    images = [integer(noisy(scene(30, 34, seed), 20)) for seed in range(3)]
    plan = BM3DPlan((30, 34), sigma=20, profile=SMALL, backend="cupy", deterministic=True)
    for image in images:
        expected = bm3d(cupy.asarray(image), 20, profile=SMALL, deterministic=True).get()
        np.testing.assert_array_equal(plan(cupy.asarray(image)).get(), expected)
        assert_close(plan(image), expected, 255)
        out = cupy.asarray(np.zeros_like(image))
        assert plan(cupy.asarray(image), out=out) is out
        np.testing.assert_array_equal(out.get(), expected)
    other = bm3d(cupy.asarray(images[0]), 7, profile=SMALL, deterministic=True).get()
    np.testing.assert_array_equal(plan(cupy.asarray(images[0]), sigma=7).get(), other)


@pytest.mark.parametrize("options", [{}, {"channel_axis": -1}, {"sigma": np.full((90, 84), 20.0)}])
def test_tiles_equal_the_whole(cupy, options):
    profile = SMALL.replace(radius_basic=3, radius_final=3, step_final=4)
    image = colors(90, 84) if "channel_axis" in options else integer(noisy(scene(90, 84), 20))
    options = {"sigma": 20, "profile": profile, "deterministic": True, **options}
    if "channel_axis" not in options:
        options["sigma"] = options["sigma"] * np.linspace(0.5, 1, 84)
    there = cupy.asarray(image)
    whole = bm3d(there, **options).get()
    limit = 1.15e6 if image.ndim == 2 else 2.9e6
    tiled = bm3d(there, max_memory=limit, **options).get()
    np.testing.assert_array_equal(tiled, whole)
