"""Every stage of every backend against the numpy backend, on 8-bit integer images and pilots."""

import numpy as np
import pytest
from support.images import camera, noisy, psnr, scene
from support.stages import SQUARE, assert_same_matches, image_stage

import fastrestore
from fastrestore._collaborative.profile import PROFILES, Profile
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.limits import HEAVIEST, LIGHTEST
from fastrestore.backends.numpy.bm3d import weight_of
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select

EXECUTION = Execution(2)

IMAGES = {
    "scene": lambda: scene(51, 56),
    "photograph": lambda: camera(height=60, width=53),
    "flat": lambda: np.full((40, 44), 128.0),
    "wide": lambda: scene(9, 90),
    "tall": lambda: scene(101, 8),
}


def integer(image):
    return np.round(np.clip(image, 0, 255)).astype(np.float32)


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("profile", SQUARE)
@pytest.mark.parametrize("image", sorted(IMAGES))
def test_match_lists_are_identical(engine, image, profile, which):
    image = integer(np.pad(noisy(IMAGES[image](), 20), ((0, 3), (0, 3)), mode="symmetric"))
    stage = image_stage(PROFILES[profile], which, PlaneNoise.white(20.0), 255.0)
    expected = select("numpy").bm3d_match(image, stage, EXECUTION)
    actual = select(engine).bm3d_match(image, stage, EXECUTION)
    assert_same_matches(actual, expected)


@pytest.mark.parametrize("host", ["numpy", "numba"])
def test_equal_blocks_come_in_raster_order(host):
    image = np.zeros((40, 40), np.float32)
    stage = image_stage(Profile(group_basic=8, radius_basic=5), "basic", PlaneNoise.white(1.0), 1.0)
    matches = select(host).bm3d_match(image, stage, EXECUTION)
    middle = matches.offsets[4, 4].tolist()
    assert middle == [[0, 0], *([-5, dx] for dx in range(-5, 2))]


def test_blocks_as_far_apart_as_a_profile_allows():
    radius = 127  # the largest number in a signed byte
    image = integer(np.random.default_rng(0).uniform(0, 255, (8, radius + 8)))
    image[:, radius:] = image[:, :8]
    profile = Profile(radius_basic=radius, group_basic=2, step_basic=8)
    stage = image_stage(profile, "basic", PlaneNoise.white(1.0), 255.0)
    results = [select(name).bm3d_match(image, stage, EXECUTION) for name in ("numpy", "numba")]
    assert_same_matches(*results)
    assert results[1].offsets[0, [0, -1], 1].tolist() == [[0, radius], [0, -radius]]
    expected, actual = (
        _estimate(select(name), "basic", image, image, stage) for name in ("numpy", "numba")
    )
    np.testing.assert_allclose(actual, expected, atol=255 * 2e-6)


def test_constant_image_with_large_groups(engine):
    image = np.zeros((52, 52), np.float32)
    for group in (2, 16, 64):
        stage = image_stage(Profile(group_basic=group), "basic", PlaneNoise.white(1.0), 1.0)
        expected = select("numpy").bm3d_match(image, stage, EXECUTION)
        actual = select(engine).bm3d_match(image, stage, EXECUTION)
        np.testing.assert_array_equal(actual.offsets, expected.offsets)
        np.testing.assert_array_equal(actual.sizes, expected.sizes)


@pytest.mark.parametrize(
    "changes",
    [
        {"group_basic": 1, "group_final": 1},
        {"match_basic": 0.0, "match_noise_basic": 0.0, "match_final": 0.0, "match_noise_final": 0},
        {"radius_basic": 0, "radius_final": 0},
        {"radius_basic": 2, "radius_final": 40},
        {"block_basic": 4, "block_final": 5, "step_basic": 4, "step_final": 1},
        {"block_basic": 16, "block_final": 13, "step_basic": 7, "step_final": 12},
        {"block_basic": 2, "step_basic": 1, "transform_basic": "haar", "transform_final": "dct"},
        {"transform_basic": "hadamard", "transform_final": "db4"},
        {"threshold": 0.0, "wiener": 0.0},
        {"kaiser_basic": 0.0, "kaiser_final": 6.0, "group_basic": 64, "group_final": 64},
        {
            "size_weight_basic": 1.0,
            "size_weight_final": 0.5,
            "match_noise_basic": 0.0,
            "match_final": 300.0,
            "match_noise_final": 0.1,
        },
    ],
)
def test_any_profile_equals_the_specification(engine, changes):
    image = integer(noisy(scene(40, 37), 20))
    profile = Profile(**{"block_final": 8, **changes})
    pilot = integer(scene(40, 37))
    for which in ("basic", "final"):
        stage = image_stage(profile, which, PlaneNoise.white(20.0), 255.0)
        expected, actual = (
            _estimate(select(name), which, image, pilot, stage) for name in ("numpy", engine)
        )
        np.testing.assert_allclose(actual, expected, atol=255 * 2e-6)


@pytest.mark.parametrize("which", ["basic", "final"])
def test_large_groups_weigh_more_if_asked_for(engine, which):
    image, pilot = integer(noisy(scene(40, 37), 20)), integer(scene(40, 37))
    changes = {"match_basic": 2000.0, "match_noise_basic": 1.0, "match_final": 300.0}
    results = []
    for exponent in (0.0, 1.0):
        weights = {"size_weight_basic": exponent, "size_weight_final": exponent}
        stage = image_stage(
            Profile(**changes, match_noise_final=0.1, **weights), which, PlaneNoise.white(20), 255.0
        )
        results.append(_estimate(select(engine), which, image, pilot, stage))
    assert np.abs(results[1] - results[0]).max() > 0.5


def test_weight_of_a_group():
    stage = image_stage(
        Profile(group_final=32, size_weight_final=0.5), "final", PlaneNoise.white(1.0), 1.0
    )
    assert weight_of(5.0, 32, stage) == 1 / 5
    assert weight_of(5.0, 8, stage) == 1 / 10
    assert weight_of(1e-9, 8, stage) == HEAVIEST
    assert weight_of(1e9, 32, stage) == LIGHTEST


def _estimate(backend, which, image, pilot, stage):
    images = [image] if which == "basic" else [image, pilot]
    matches = backend.bm3d_match(images[-1], stage, EXECUTION)
    return backend.bm3d_filter(tuple(each[None] for each in images), matches, stage, EXECUTION)


@pytest.mark.parametrize("profile", SQUARE)
def test_filters_equal_the_specification(engine, profile):
    clean = camera(height=48, width=56)
    image, pilot = integer(noisy(clean, 25)), integer(noisy(clean, 4, seed=2))
    for which in ("basic", "final"):
        stage = image_stage(PROFILES[profile], which, PlaneNoise.white(25.0), 255.0)
        expected, actual = (
            _estimate(select(name), which, image, pilot, stage) for name in ("numpy", engine)
        )
        np.testing.assert_allclose(actual, expected, atol=255 * 2e-6)


@pytest.mark.parametrize("sigma", [10, 25, 50])
def test_whole_call_equals_the_specification(engine, sigma):
    from support.images import assert_close

    clean = camera(height=72, width=70)
    image = integer(noisy(clean, sigma))
    expected = fastrestore.bm3d(image, sigma, backend="numpy")
    actual = fastrestore.bm3d(image, sigma, backend=engine)
    assert_close(actual, expected, 255)
    assert abs(psnr(clean, actual) - psnr(clean, expected)) < 1e-3
