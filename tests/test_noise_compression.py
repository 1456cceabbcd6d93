"""The error of JPEG compression, estimated from the decoded pixels."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from fastrestore._noise.compression import jpeg_sigma


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
