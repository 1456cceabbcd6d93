"""The error of JPEG compression, estimated from the decoded pixels."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import data

from fastrestore._noise.compression import agreement, jpeg_sigma, middle


def decoded(image, quality):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("quality", [30, 50, 75])
@pytest.mark.parametrize("name", ["camera", "brick", "coffee", "chelsea"])
def test_errors_of_photographs(name, quality):
    image = getattr(data, name)()
    image = image[: 8 * (len(image) // 8), :296]
    result = decoded(image, quality)
    planes = np.moveaxis(np.atleast_3d(result), -1, 0)
    error = np.std(result.astype(float) - image)
    assert 0.4 * error < jpeg_sigma(planes) < 1.6 * error
    assert jpeg_sigma(planes / 255.0) == pytest.approx(jpeg_sigma(planes) / 255, rel=1e-6)


@pytest.mark.parametrize("name", ["camera", "brick", "coffee", "moon"])
def test_images_without_compression(name):
    image = np.moveaxis(np.atleast_3d(getattr(data, name)()), -1, 0)
    assert jpeg_sigma(image) == 0
    assert jpeg_sigma(image + np.random.default_rng(0).normal(0, 5, image.shape)) == 0
    assert jpeg_sigma(image * 1e-6) == jpeg_sigma(image * 1e-2) == 0  # nearly the same means
    assert jpeg_sigma(image[:, :5, :9]) == jpeg_sigma(image * 300.0) == 0


def noisy_file(quality=75):
    """Photograph with blurred noise of level 5, the noise after compression, and its level."""
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(256, 256, 3)), (0.8, 0.8, 0))
    clean = data.astronaut()[:256, 100:356]
    image = np.clip(np.rint(clean + 5 * noise / noise.std()), 0, 255).astype(np.uint8)
    result = decoded(image, quality)
    return np.moveaxis(result, -1, 0), np.std(result - clean.astype(float))


def test_coefficients_confirm_the_level_of_noise():
    planes, level = noisy_file()
    assert agreement(planes, level) > 0.9
    assert agreement(planes / 255, level / 255) > 0.9
    assert agreement(planes, 3 * level) == agreement(planes, level / 3) == 0


def test_other_images_confirm_nothing():
    planes, level = noisy_file()
    noise = np.random.default_rng(1).normal(0, 2, planes.shape)
    assert agreement(planes + noise, level) == 0
    assert agreement(planes, 0.0) == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(value):
    planes, _ = noisy_file()
    partly = planes.astype(float)
    partly[:, :10, 20:] = partly[0, 128, 128] = value
    assert jpeg_sigma(partly) == pytest.approx(jpeg_sigma(planes), rel=0.1)
    assert jpeg_sigma(np.full((3, 64, 64), value)) == 0


def test_middle_begins_at_a_block():
    image = np.arange(100 * 60).reshape(1, 100, 60)
    np.testing.assert_array_equal(middle(image, 64), image[:, 16:80])
