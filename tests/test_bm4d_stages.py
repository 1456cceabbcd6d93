"""Every stage of BM4D on every backend against the numpy backend, on integer volumes."""

import numpy as np
import pytest
from support.stages import assert_same_matches, volume_stage
from support.volumes import PROFILES, VOLUME, cells, integer, noisy

from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select

EXECUTION = Execution(2)


def both(engine, work):
    """Return the results of the specification and of another backend."""
    return work(select("numpy")), work(select(engine))


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("profile", PROFILES)
def test_match_lists_are_identical(engine, profile, which):
    volume = noisy(cells(9, 18, 23), 15)
    stage = volume_stage(PROFILES[profile], which, PlaneNoise.white(15.0), 255.0)
    expected, actual = both(engine, lambda backend: backend.bm4d_match(volume, stage, EXECUTION))
    assert_same_matches(actual, expected)


@pytest.mark.parametrize("shape", [(5, 5, 5), (5, 6, 40), (6, 41, 5), (21, 8, 9)])
def test_match_lists_of_other_shapes(engine, shape):
    volume = noisy(cells(*shape), 15)
    stage = volume_stage(VOLUME, "basic", PlaneNoise.white(15.0), 255.0)
    expected, actual = both(engine, lambda backend: backend.bm4d_match(volume, stage, EXECUTION))
    assert_same_matches(actual, expected)


@pytest.mark.parametrize("host", ["numpy", "numba"])
def test_equal_blocks_come_in_raster_order(host):
    volume = np.zeros((12, 16, 16), np.float32)
    stage = volume_stage(VOLUME, "basic", PlaneNoise.white(1.0), 1.0)
    matches = select(host).bm4d_match(volume, stage, EXECUTION)
    middle = matches.offsets[1, 3, 3].tolist()
    window = [(-2, -3, dx) for dx in range(-3, 4)] + [(-2, -2, dx) for dx in range(-3, 4)]
    assert [tuple(offset) for offset in middle] == [(0, 0, 0), *window, (-2, -1, -3)]


@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("profile", PROFILES)
def test_filters_equal_the_specification(engine, profile, which):
    clean = cells(9, 18, 23)
    noise = PlaneNoise.white(15.0)
    assert_filters(engine, noisy(clean, 15)[None], clean[None], PROFILES[profile], which, noise)


@pytest.mark.parametrize("which", ["basic", "final"])
def test_filters_with_maps_channels_and_spectra(engine, which):
    clean = np.stack([cells(9, 14, 15), cells(9, 14, 15, seed=5)])
    rng = np.random.default_rng(0)
    power = (
        np.abs(np.fft.fftn(rng.uniform(0.2, 1, (2, 1, 3)), clean.shape[1:], axes=(0, 1, 2))) ** 2
    )
    power /= power.mean()
    sigmas = np.array([9.0, 15.0])
    kinds = {
        "map": (PlaneNoise(sigmas, np.sqrt(rng.uniform(0, 2, clean.shape))), 1),
        "one map": (
            PlaneNoise(np.array([9.0, 0.0]), np.sqrt(rng.uniform(0, 2, clean[:1].shape))),
            0,
        ),
        "spectrum": (PlaneNoise(sigmas, spectrum=power[None]), 1),
        "spectra": (PlaneNoise(sigmas, spectrum=np.stack([power, 2 - power / 9])), 0),
    }
    for noise, channel in kinds.values():
        assert_filters(engine, noisy(clean, 12), clean, VOLUME, which, noise, channel)


@pytest.mark.parametrize("transform", ["haar", "hadamard"])
def test_filters_with_thick_blocks(engine, transform):
    # Two rows of Haar or Hadamard are even and odd, four are not in this order
    changes = {"slices_final": 4, "block_final": 2, "step_final": 2, "transform_final": transform}
    clean = cells(9, 13, 14)
    noise = PlaneNoise.white(15.0)
    assert_filters(
        engine, noisy(clean, 15)[None], clean[None], VOLUME.replace(**changes), "final", noise
    )


def assert_filters(engine, image, pilot, profile, which, noise, channel=0):
    stage = volume_stage(profile, which, noise, 255.0, channel=channel)
    seen = image if which == "basic" else integer(pilot)
    matches, own = both(engine, lambda b: b.bm4d_match(seen[channel], stage, EXECUTION))
    # With a bias distances are no whole numbers: rounding may turn neighbors about
    assert (matches.offsets == own.offsets).mean() > 0.97

    def estimate(backend):
        images = (image,) if which == "basic" else (image, seen)
        return backend.bm4d_filter(images, matches, stage, EXECUTION)

    expected, actual = both(engine, estimate)
    np.testing.assert_allclose(actual, expected, atol=255 * 4e-6)


def test_covariance_equals_that_of_simulated_noise():
    """Coefficients of simulated correlated noise have the variances of the table."""
    rng = np.random.default_rng(3)
    kernel = rng.uniform(0.1, 1, (2, 3, 2))
    kernel /= np.linalg.norm(kernel)
    shape = (12, 14, 16)
    spectrum = np.fft.fftn(kernel, shape, axes=(0, 1, 2))
    stage = volume_stage(
        VOLUME, "basic", PlaneNoise(np.ones(1), spectrum=np.abs(spectrum[None]) ** 2), 1.0
    )
    white = rng.standard_normal((3000, *shape))
    noise = np.fft.ifftn(np.fft.fftn(white, axes=(1, 2, 3)) * spectrum, axes=(1, 2, 3)).real

    def coefficients(z, y, x):
        block = noise[:, z : z + 4, y : y + 4, x : x + 4]
        return np.einsum("kzyx,az,by,cx->kabc", block, *stage.transforms, optimize=True)

    (table,) = stage.covariance
    across, along = table.shape[1] // 2, table.shape[2] // 2
    here = coefficients(4, 5, 6)
    for apart in ((0, 0, 0), (1, 0, 0), (0, 1, -1), (2, -1, 1)):
        found = (here * coefficients(*np.add((4, 5, 6), apart))).mean(0)
        expected = table[apart[0], across + apart[1], along + apart[2]]
        assert np.abs(found - expected).max() < 0.15 * table.max()


def test_white_noise_by_a_spectrum_has_the_same_variances():
    white, given = (
        volume_stage(VOLUME, "final", PlaneNoise(np.ones(1), spectrum=power), 1.0)
        for power in (None, np.ones((1, 30, 32, 34)))
    )
    center = tuple(n // 2 for n in given.covariance.shape[2:4])
    near = given.covariance[:, :, center[0] - 5 : center[0] + 6, center[1] - 5 : center[1] + 6]
    most = 2 * VOLUME.radius_slices_final  # slices between blocks of a group
    assert near.shape[1] == 1 + most
    np.testing.assert_allclose(near, white.covariance[:, : 1 + most], atol=1e-12)


def test_correlation_over_too_many_voxels_raises():
    power = np.zeros((1, 64, 90, 90))
    power[0, 0, 0, 0] = power.size  # every voxel has the same noise
    wide = VOLUME.replace(radius_basic=40, radius_slices_basic=30)
    with pytest.raises(ValueError, match="smaller radius_basic"):
        volume_stage(wide, "basic", PlaneNoise(np.ones(1), spectrum=power), 1.0)
