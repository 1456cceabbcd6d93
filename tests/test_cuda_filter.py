"""Collaborative filtering as CUDA kernels, executed on the CPU, against the numpy backend."""

import numpy as np
import pytest
from cudasim import module
from images import assert_close, camera, noisy, scene

from fastrestore._collaborative.profile import PROFILES, Profile
from fastrestore._collaborative.stage import Noise, NoiseMap, NoiseSpectrum, Run, make_stage
from fastrestore.backends.cupy.bm3d import covariance_table
from fastrestore.backends.select import select

RUN = Run(1, lambda share: None)
THREADS = 32


def filtered(images, matches, stage, seed=0, fixed=0):
    """Launch the kernels of a stage on (noisy,) or (noisy, pilot)."""
    channels, height, width = images[0].shape
    area, group = stage.block**2, stage.group
    threads = -(-area // 32) * 32
    table = covariance_table(stage)
    kind = np.uint64 if fixed else np.float32
    corners = (height - stage.block + 1, width - stage.block + 1)
    numerator, weights = np.zeros(images[0].shape, kind), np.zeros((channels, *corners), kind)
    scale = None if stage.scale is None else np.ascontiguousarray(stage.scale)
    name = "bm3d_basic" if len(images) == 1 else "bm3d_final"
    constants = {"BLOCK": stage.block, "GROUP": group, "FIXED": fixed}
    floats = group * area + group * group + 3 * group + threads // 32
    window = stage.window.astype(np.float32)
    module(name, **constants).launch(
        name,
        (len(matches.columns), len(matches.rows), channels),
        (threads,),
        (
            *images, np.int32(height), np.int32(width), matches.rows.astype(np.int32),
            matches.columns.astype(np.int32), matches.offsets, matches.sizes,
            stage.forward.astype(np.float32), stage.inverse.astype(np.float32), window,
            table.values.astype(np.float32), np.int32(table.down), np.int32(table.across),
            np.int32(table.line), np.int32(table.origin), np.int32(table.apart),
            (stage.strength * stage.variances).astype(np.float32), scale,
            np.int32(0 if scale is None or len(scale) == 1 else scale[0].size), numerator, weights,
        ),
        4 * floats,
        seed,
    )  # fmt: skip
    out = np.full(images[0].shape, np.nan, np.float32)
    module("bm3d_divide", **constants).launch(
        "bm3d_divide",
        (-(-width // 16), -(-height // 4), channels),
        (16, 4),
        (numerator, weights, window, np.int32(height), np.int32(width), out),
        0,
        seed,
    )
    return out


def integer(image):
    return np.ascontiguousarray(np.round(np.clip(image, 0, 255)), np.float32)


def both(which, images, stage, **options):
    """The estimates of numpy and of the kernels, from the same matches."""
    reference = select("numpy")
    matches = reference.bm3d_match(images[-1][0], stage, RUN)
    if which == "basic":
        expected = reference.bm3d_basic(images[0], matches, stage, RUN)
        return expected, filtered(images[:1], matches, stage, **options)
    expected = reference.bm3d_final(*images, matches, stage, RUN)
    return expected, filtered(images, matches, stage, **options)


def example(height=29, width=34, channels=1):
    clean = np.stack([scene(height, width, seed=c) for c in range(channels)])
    return integer(noisy(clean, 20)), integer(clean)


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_estimates_agree(profile, which):
    image = integer(noisy(camera(height=33, width=30), 20))[None]
    pilot = integer(camera(height=33, width=30))[None]
    stage = make_stage(PROFILES[profile], which, Noise.white(20.0), 255.0)
    expected, actual = both(which, (image, pilot), stage)
    assert_close(actual, expected, 255)


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_order_of_threads_does_not_matter(which, seed):
    stage = make_stage(Profile(radius_basic=6, radius_final=6), which, Noise.white(20.0), 255.0)
    expected, actual = both(which, example(), stage, seed=seed)
    assert_close(actual, expected, 255)


@pytest.mark.parametrize("which", ["basic", "final"])
def test_fixed_sums_do_not_depend_on_the_order(which):
    images = tuple(image / 256 for image in example())
    stage = make_stage(Profile(radius_basic=6, radius_final=6), which, Noise.white(0.08), 1.0)
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
        {"transform_basic": "hadamard", "transform_final": "db4", "threshold": 0.0, "wiener": 0.0},
    ],
)
@pytest.mark.parametrize("which", ["basic", "final"])
def test_any_profile(which, changes):
    profile = Profile(**{"radius_basic": 5, "radius_final": 5, **changes})
    stage = make_stage(profile, which, Noise.white(20.0), 255.0)
    expected, actual = both(which, example(24, 21), stage)
    assert_close(actual, expected, 255)


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("kernel", [np.ones((1, 5)), np.eye(7)])  # left and right alike, or not
def test_correlated_noise_of_channels(which, kernel):
    powers = [np.abs(np.fft.fft2(each, (96, 96))) ** 2 for each in (kernel, kernel.T[::-1])]
    powers = np.array([power / power.mean() for power in powers])
    noise = Noise(20.0, np.array([20.0, 12.0]), None, NoiseSpectrum(powers[0], powers))
    stage = make_stage(Profile(radius_basic=7, radius_final=7), which, noise, 255.0)
    assert len(stage.covariance) == 2
    expected, actual = both(which, example(24, 26, channels=2), stage)
    assert_close(actual, expected, 255)


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("maps", [1, 2])
def test_noise_maps(which, maps):
    rising = np.broadcast_to(np.linspace(0.2, 3, 26), (24, 26))
    varying = np.stack([rising, rising[:, ::-1]])[:maps]
    noise = Noise(20.0, np.array([20.0, 12.0]), NoiseMap(rising, varying))
    stage = make_stage(Profile(radius_basic=7, radius_final=7), which, noise, 255.0)
    expected, actual = both(which, example(24, 26, channels=2), stage)
    assert_close(actual, expected, 255)
