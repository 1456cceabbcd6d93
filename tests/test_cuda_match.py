"""Block matching as a CUDA kernel, executed on the CPU, against the numpy backend."""

from dataclasses import replace

import numpy as np
import pytest
from support.image_kernels import match
from support.images import camera, noisy, scene
from support.stages import SQUARE, image_stage

from fastrestore._collaborative.profile import PROFILES, Profile
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select

EXECUTION = Execution(1)


def assert_same(image, stage, **options):
    expected = select("numpy").bm3d_match(image, stage, EXECUTION)
    offsets, sizes = match(image, stage, **options)
    np.testing.assert_array_equal(sizes, expected.sizes)
    np.testing.assert_array_equal(offsets, expected.offsets)


def integer(image):
    return np.ascontiguousarray(np.round(np.clip(image, 0, 255)), np.float32)


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("profile", SQUARE)
def test_match_lists_are_identical(profile, which):
    image = integer(noisy(camera(height=41, width=38), 20))
    assert_same(image, image_stage(PROFILES[profile], which, PlaneNoise.white(20.0), 255.0))


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize("bands", [1, 2, 5])
def test_order_of_threads_and_bands_do_not_change_results(seed, bands):
    image = integer(noisy(scene(26, 37), 20))
    stage = image_stage(Profile(radius_basic=9), "basic", PlaneNoise.white(20.0), 255.0)
    assert_same(image, stage, seed=seed, bands=bands)


@pytest.mark.parametrize(
    "changes",
    [
        {"group_basic": 1},
        {"group_basic": 2, "radius_basic": 0},
        {"group_basic": 64, "radius_basic": 12},
        {"match_basic": 0.0, "match_noise_basic": 0.0},
        {"block_basic": 4, "step_basic": 4, "radius_basic": 7},
        {"block_basic": 11, "step_basic": 6, "radius_basic": 7, "transform_basic": "dct"},
        {"block_basic": 5, "step_basic": 1, "radius_basic": 3, "transform_basic": "dct"},
    ],
)
def test_any_profile(changes):
    image = integer(noisy(scene(24, 29), 20))
    stage = image_stage(Profile(**changes), "basic", PlaneNoise.white(20.0), 255.0)
    assert_same(image, stage, bands=2)


@pytest.mark.parametrize("shape", [(8, 8), (8, 40), (33, 9)])
def test_equal_blocks_and_small_images(shape):
    stage = image_stage(Profile(radius_basic=6), "basic", PlaneNoise.white(5.0), 255.0)
    assert_same(np.full(shape, 7, np.float32), stage)
    assert_same(np.full(shape, 7, np.float32), stage, bands=4)


def test_thresholds_by_a_map_and_by_a_measured_range():
    image = integer(noisy(scene(30, 34), 20))
    profile, rising = Profile(radius_basic=8), np.broadcast_to(np.linspace(0.2, 3, 34), (30, 34))
    noise = PlaneNoise(np.array([20.0]), np.sqrt(rising[None]))
    assert_same(image, image_stage(profile, "basic", noise, 255.0))
    known = image_stage(profile, "basic", noise, 200.0)
    expected = select("numpy").bm3d_match(image, known, EXECUTION)
    stage = image_stage(profile, "basic", noise, "measured elsewhere")
    offsets, sizes = match(image, stage, measured=np.array([200], np.float32))
    np.testing.assert_array_equal(sizes, expected.sizes)
    np.testing.assert_array_equal(offsets, expected.offsets)


def test_bias_of_correlated_noise():
    image = integer(noisy(scene(30, 34), 20))
    power = np.abs(np.fft.fft2(np.ones((1, 5)), (96, 96))) ** 2
    power /= power.mean()
    noise = PlaneNoise(np.array([20.0]), spectrum=power[None])
    stage = image_stage(Profile(radius_basic=8), "basic", noise, 255.0)
    stage.match_bias[:] = np.round(stage.match_bias)
    assert_same(image, stage)


@pytest.mark.parametrize("kind", ["number", "map", "range"])
def test_thresholds_beyond_float32_match_every_block_of_the_image(kind):
    image = integer(noisy(scene(12, 14), 20))
    noise = PlaneNoise.white(20.0)
    if kind == "map":
        noise = PlaneNoise(np.array([20.0]), np.ones((1, 12, 14)))
    profile = Profile(radius_basic=9, group_basic=64)  # more than there are
    expected = select("numpy").bm3d_match(
        image, image_stage(profile.replace(match_basic=1e9), "basic", noise, 255.0), EXECUTION
    )
    stage = image_stage(profile, "basic", noise, 255.0)
    measured = None
    if kind == "number":
        stage = replace(stage, match=np.inf)
    elif kind == "map":
        stage = replace(stage, match_map=np.full_like(stage.match_map, np.inf))
    else:
        stage, measured = replace(stage, match_range=1e30), np.array([1e20], np.float32)
    offsets, sizes = match(image, stage, measured=measured)
    np.testing.assert_array_equal(sizes, expected.sizes)
    np.testing.assert_array_equal(offsets, expected.offsets)
