"""The standard deviation of the error that is left: `uncertainty=True` of `bm3d`."""

from dataclasses import replace

import numpy as np
import pytest
from skimage.data import astronaut, camera
from support.images import noisy, scene
from support.stages import image_stage

from fastrestore import (
    BackendUnavailableError,
    PoissonGaussian,
    Profile,
    bm3d,
    bm4d,
    denoise,
    vbm3d,
)
from fastrestore._collaborative.uncertainty import by_pixel
from fastrestore._noise.planes import PlaneNoise
from fastrestore._noise.psd import of_kernel
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select

SMALL = Profile.named("np").replace(radius_basic=5, radius_final=5, group_final=8)
LINE = np.full((1, 5), 25 / 5**0.5)


def std(image, sigma=25, **options):
    restored, info = bm3d(image, sigma, uncertainty=True, return_info=True, **options)
    assert info.std.shape == restored.shape
    assert info.std.dtype == restored.dtype
    return restored, info.std


def coverage(clean, restored, deviation):
    return float((np.abs(restored - clean) <= 2 * deviation).mean())


@pytest.fixture(scope="module")
def clean():
    return scene(60, 64)


@pytest.fixture(scope="module")
def image(clean):
    return noisy(clean, 25)


@pytest.fixture(scope="module")
def photo():
    return camera()[100:292, 180:372].astype(np.float64)


@pytest.mark.parametrize("sigma", [10, 25, 60])
def test_the_error_of_a_photograph_is_within_two_deviations(photo, sigma):
    restored, deviation = std(noisy(photo, sigma), sigma)
    assert 0.92 < coverage(photo, restored, deviation) < 0.99
    error = np.abs(restored - photo)
    bright, dark = deviation > np.median(deviation), deviation <= np.median(deviation)
    ratio = np.sqrt((error[bright] ** 2).mean() / (error[dark] ** 2).mean())
    assert ratio > 1.5  # the map shows where the error is large
    for part in (bright, dark):
        assert 0.9 < coverage(photo[part], restored[part], deviation[part]) < 0.995


def test_correlated_noise(photo):
    kernel = np.full((1, 9), 25 / 3)
    white = np.random.default_rng(0).standard_normal((192, 200))
    image = photo + sum(kernel[0, k] * white[:, k : k + 192] for k in range(9))
    restored, deviation = std(image, None, noise_kernel=kernel)
    assert 0.9 < coverage(photo, restored, deviation) < 0.99


def test_channels():
    photo = astronaut()[20:180, 150:310].astype(np.float64)
    restored, deviation = std(noisy(photo, 25), channel_axis=-1)
    assert 0.9 < coverage(photo, restored, deviation) < 0.995
    first, last = (np.moveaxis(each, -1, 0) for each in (noisy(photo, 25), deviation))
    np.testing.assert_array_equal(std(first, channel_axis=0)[1], last)


def test_the_result_is_the_same_as_without(image):
    np.testing.assert_array_equal(std(image)[0], bm3d(image, 25))
    assert bm3d(image, 25, return_info=True)[1].std is None


def test_any_number_of_workers(image):
    maps = [std(image, np.linspace(5, 40, 64), workers=workers)[1] for workers in (1, 2, 5)]
    for each in maps[1:]:
        np.testing.assert_array_equal(each, maps[0])


@pytest.mark.parametrize("exponent", [-20, 3])
def test_powers_of_two_scale_the_map_exactly(image, exponent):
    factor = 2.0**exponent
    np.testing.assert_array_equal(std(image * factor, 25 * factor)[1], std(image)[1] * factor)


def test_offsets(image):
    np.testing.assert_allclose(std(image + 3000)[1], std(image)[1], rtol=1e-2)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8])
def test_types(image, dtype):
    values = np.clip(np.round(image), 0, 255)
    np.testing.assert_allclose(std(values.astype(dtype))[1], std(values)[1], rtol=2e-3)


def test_a_map_of_the_level():
    photo = camera()[100:292, 180:372].astype(np.float64)
    level = np.linspace(0, 40, 192)
    level[:20] = 0
    image = photo + level * np.random.default_rng(0).standard_normal(photo.shape)
    restored, deviation = std(image, level)
    assert (deviation[:, :20] == 0).all()
    assert (deviation[:, 20:] > 0).all()
    assert deviation[:, -40:].mean() > 1.5 * deviation[:, 30:70].mean()
    assert 0.9 < coverage(photo[:, 20:], restored[:, 20:], deviation[:, 20:]) < 0.99


def test_a_map_of_one_level_is_that_number(image):
    np.testing.assert_allclose(std(image, np.full(image.shape, 25.0))[1], std(image)[1], rtol=1e-4)


def test_channels_and_images_without_noise(image):
    color = np.stack([image, image[::-1]])
    deviation = std(color, (25, 0), channel_axis=0, colorspace=None)[1]
    assert (deviation[0] > 0).all()
    assert (deviation[1] == 0).all()
    assert (std(image, 0)[1] == 0).all()
    assert (std(np.full((20, 20), 7.0))[1] == 0).all()


def test_equal_channels_have_equal_maps(image):
    deviation = std(np.stack([image] * 3, -1), channel_axis=-1)[1]
    np.testing.assert_array_equal(deviation, np.stack([std(image)[1]] * 3, -1))


def test_invalid_pixels_have_no_deviation(image):
    valid = np.ones(image.shape, bool)
    valid[10:20, 30:40] = False
    deviation = std(image, mask=valid)[1]
    np.testing.assert_array_equal(np.isnan(deviation), ~valid)


def test_batches(image):
    restored, infos = bm3d(
        np.stack([image, image[::-1]]), 25, batch_axis=0, uncertainty=True, return_info=True
    )
    assert restored.shape == (2, *image.shape)
    np.testing.assert_array_equal(infos[0].std, std(image)[1])
    np.testing.assert_array_equal(infos[1].std, std(image[::-1].copy())[1])


def test_images_smaller_than_a_block(image):
    restored, deviation = std(image[:5, :3])
    assert restored.shape == deviation.shape == (5, 3)
    assert (deviation > 0).all()


def test_estimated_noise_and_a_model(photo):
    restored, deviation = std(noisy(photo, 25), None, noise="white")
    assert 0.9 < coverage(photo, restored, deviation) < 0.99
    counts = np.random.default_rng(0).poisson(photo)
    restored, deviation = std(counts, None, noise=PoissonGaussian(1.0, 0.0))
    assert 0.9 < coverage(photo, restored, deviation) < 0.99
    dark = photo < np.median(photo)
    assert deviation[dark].mean() < deviation[~dark].mean()


def test_what_is_not_available(image):
    def raises(message, image=image, error=ValueError, **options):
        options = {"sigma": 25, "uncertainty": True, "return_info": True, **options}
        with pytest.raises(error, match=message):
            bm3d(image, **options)

    raises("add return_info=True", return_info=False)
    raises("uncertainty must be True or False, got 1", error=TypeError, uncertainty=1)
    raises("write stage='final'", stage="basic")
    raises("leave out pilot", pilot=image)
    raises("leave out max_memory", max_memory=1e9)
    raises("leave out strength", strength=1.1)
    color = np.stack([image] * 3, -1)
    raises("leave out strength and chroma", color, chroma_strength=2, channel_axis=-1)
    raises("'refilter', which filters the residual again: write profile='np'", profile="refilter")
    few = np.random.default_rng(0).poisson(image.clip(0) / 100)
    raises("so few photons", few, sigma=None, noise=PoissonGaussian(1.0, 0.0))


def test_a_backend_without_it(image, monkeypatch):
    from fastrestore.backends import numba

    monkeypatch.setattr(numba, "capabilities", numba.capabilities - {"uncertainty"})
    with pytest.raises(BackendUnavailableError, match="lacks the capability 'uncertainty'"):
        std(image, backend="numba")


@pytest.mark.parametrize("function", [bm4d, vbm3d, denoise])
def test_other_functions_have_none(function):
    with pytest.raises(TypeError, match="has no argument uncertainty; bm3d has it"):
        function(np.zeros((8, 8, 8)), 1.0, uncertainty=True)


NOISES = {
    "white": lambda shape: PlaneNoise.white(0.08, 0.04),
    "map": lambda shape: PlaneNoise(
        np.array([0.08, 0.0]), np.random.default_rng(3).uniform(0, 1.7, (2, *shape))
    ),
    "correlated": lambda shape: PlaneNoise(
        np.array([0.08, 0.04]), spectrum=of_kernel(LINE, shape, None, 20)[1]
    ),
}


RANDOM = SMALL.replace(
    group_final=16, wiener_factors=np.random.default_rng(1).uniform(0.2, 4, (5, 8, 8))
)
CASES = [(noise, SMALL.replace(block_final=block)) for noise in NOISES for block in (8, 12)]


WEIGHTED = SMALL.replace(size_weight_final=1.0)


@pytest.mark.parametrize(
    ("noise", "profile"), [*CASES, ("white", RANDOM), ("correlated", WEIGHTED)]
)
def test_backends_agree(clean, noise, profile):
    numba, numpy, execution = select("numba"), select("numpy"), Execution(2)
    pilot = np.stack([clean, clean[::-1]])[:, :30, :34].astype(np.float32) / 255
    stage = image_stage(profile, "final", NOISES[noise]((30, 34)), 1.0)
    matches = numpy.bm3d_match(pilot[0], stage, execution)
    matches.sizes[0] = 1  # single blocks
    expected = numpy.bm3d_errors(pilot, matches, stage, execution)
    assert expected.shape == (3, 2, 31 - stage.block, 35 - stage.block)
    actual = numba.bm3d_errors(pilot, matches, stage, execution)
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * b.max())


def test_the_specification_is_the_expected_error():
    """Noise that is filtered with fixed gains has the variance that remains, on average."""
    rng, size = np.random.default_rng(0), (8, 8)
    pilot = scene()[None, 8:16, 20:28] / 255
    noise = PlaneNoise.white(0.1)
    stage = image_stage(SMALL, "final", noise, 1.0)
    stage = replace(stage, windows=tuple(np.ones(8) for _ in range(2)))
    numpy, execution = select("numpy"), Execution(1)
    matches = numpy.bm3d_match(pilot[0], stage, execution)
    sums = numpy.bm3d_errors(pilot, matches, stage, execution)
    left, removed = by_pixel(sums, stage)
    errors = []
    for _ in range(200):
        image = pilot + 0.1 * rng.standard_normal((1, *size))
        errors.append(numpy.bm3d_filter((image, pilot), matches, stage, execution) - pilot)
    assert np.isclose(np.square(errors).mean(), 0.01 * (left + removed)[0, 0, 0], rtol=0.05)
