"""Collaborative filtering as CUDA kernels, executed on the CPU, against the numpy backend."""

import numpy as np
import pytest
from support.image_kernels import filtered
from support.images import assert_close, camera, noisy, scene
from support.stages import SQUARE, image_stage

from fastrestore._collaborative.profile import PROFILES, Profile
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select

EXECUTION = Execution(1)
THREADS = 32
WEIGHTED = {"match_noise_basic": 0.0, "match_final": 300.0, "match_noise_final": 0.1}


def integer(image):
    return np.ascontiguousarray(np.round(np.clip(image, 0, 255)), np.float32)


def both(which, images, stage, **options):
    """The estimates of numpy and of the kernels, from the same matches."""
    reference = select("numpy")
    matches = reference.bm3d_match(images[-1][0], stage, EXECUTION)
    images = images[:1] if which == "basic" else images
    expected = reference.bm3d_filter(images, matches, stage, EXECUTION)
    return expected, filtered(images, matches, stage, **options)


def example(height=29, width=34, channels=1):
    clean = np.stack([scene(height, width, seed=c) for c in range(channels)])
    return integer(noisy(clean, 20)), integer(clean)


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("profile", SQUARE)
def test_estimates_agree(profile, which):
    image = integer(noisy(camera(height=33, width=30), 20))[None]
    pilot = integer(camera(height=33, width=30))[None]
    stage = image_stage(PROFILES[profile], which, PlaneNoise.white(20.0), 255.0)
    expected, actual = both(which, (image, pilot), stage)
    assert_close(actual, expected, 255)


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_order_of_threads_does_not_change_results(which, seed):
    stage = image_stage(
        Profile(radius_basic=6, radius_final=6), which, PlaneNoise.white(20.0), 255.0
    )
    expected, actual = both(which, example(), stage, seed=seed)
    assert_close(actual, expected, 255)


@pytest.mark.parametrize("which", ["basic", "final"])
def test_fixed_sums_do_not_depend_on_the_order(which):
    images = tuple(image / 256 for image in example())
    stage = image_stage(Profile(radius_basic=6, radius_final=6), which, PlaneNoise.white(0.08), 1.0)
    results = []
    for seed in (0, 1, 5):
        expected, actual = both(which, images, stage, seed=seed, fixed=1)
        assert_close(actual, expected, 1)
        results.append(actual)
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


@pytest.mark.parametrize(
    "changes",
    [
        {"group_basic": 1, "group_final": 1},
        {"group_basic": 64, "group_final": 64, "radius_basic": 8, "radius_final": 8},
        {"match_basic": 0.0, "match_noise_basic": 0.0, "match_final": 0.0, "match_noise_final": 0},
        {"block_basic": 4, "block_final": 5, "step_basic": 4, "step_final": 3},
        {"block_basic": 2, "step_basic": 2, "transform_basic": "haar", "block_final": 11},
        {**WEIGHTED, "size_weight_basic": 1.0, "size_weight_final": 0.5},
        {
            **WEIGHTED,
            "size_weight_basic": 0.5,
            "size_weight_final": 1.0,
            "block_basic": 7,
            "block_final": 7,
            "transform_basic": "dct",
        },
        # More blocks than threads
        {
            "block_basic": 4,
            "block_final": 5,
            "group_basic": 64,
            "group_final": 64,
            "step_basic": 4,
            "match_basic": 60_000,
            "match_final": 60_000,
            "transform_basic": "dct",
        },
        {"transform_basic": "hadamard", "transform_final": "db4", "threshold": 0.0, "wiener": 0.0},
    ],
)
@pytest.mark.parametrize("which", ["basic", "final"])
def test_any_profile(which, changes):
    profile = Profile(**{"radius_basic": 5, "radius_final": 5, **changes})
    stage = image_stage(profile, which, PlaneNoise.white(20.0), 255.0)
    expected, actual = both(which, example(24, 21), stage)
    assert_close(actual, expected, 255)


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("kernel", [np.ones((1, 5)), np.eye(7)])  # left and right alike, or not
def test_correlated_noise_of_channels(which, kernel):
    powers = [np.abs(np.fft.fft2(each, (96, 96))) ** 2 for each in (kernel, kernel.T[::-1])]
    powers = np.array([power / power.mean() for power in powers])
    noise = PlaneNoise(np.array([20.0, 12.0]), spectrum=powers)
    stage = image_stage(Profile(radius_basic=7, radius_final=7), which, noise, 255.0)
    assert len(stage.covariance) == 2
    expected, actual = both(which, example(24, 26, channels=2), stage)
    assert_close(actual, expected, 255)


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("maps", [1, 2])
def test_noise_maps(which, maps):
    rising = np.broadcast_to(np.linspace(0.2, 3, 26), (24, 26))
    varying = np.stack([rising, rising[:, ::-1]])[:maps]
    noise = PlaneNoise(np.array([20.0, 12.0]), np.sqrt(varying))
    stage = image_stage(Profile(radius_basic=7, radius_final=7), which, noise, 255.0)
    expected, actual = both(which, example(24, 26, channels=2), stage)
    assert_close(actual, expected, 255)


@pytest.mark.parametrize("fixed", [0, 1])
@pytest.mark.parametrize("alpha", [1.2, 3.0])
def test_sharpening(alpha, fixed):
    """The first channel is sharpened, the others are not."""
    profile = Profile(radius_basic=6, sharpen=alpha)
    noise = PlaneNoise(np.array([20.0, 15.0]) / 256)
    stage = image_stage(profile, "basic", noise, 1.0)
    images = tuple(image / 256 for image in example(channels=2))
    expected, actual = both("basic", images, stage, fixed=fixed)
    assert_close(actual, expected, 1)
    plain = image_stage(profile.replace(sharpen=1), "basic", noise, 1.0)
    unsharp, _ = both("basic", images, plain)
    assert np.abs(unsharp[0] - expected[0]).max() > 0.02
    np.testing.assert_array_equal(unsharp[1], expected[1])


def test_sharpening_of_groups_with_a_mean_of_zero():
    image = np.zeros((1, 20, 21), np.float32)
    image[0, 3::9, 4::9] = 100
    stage = image_stage(Profile(sharpen=2.0, group_basic=2), "basic", PlaneNoise.white(5.0), 255.0)
    expected, actual = both("basic", (image - image.mean(), image), stage)
    assert np.isfinite(actual).all()
    assert_close(actual, expected, 255)
