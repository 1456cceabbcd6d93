"""Measures of quality with a reference; without one: test_sure."""

import numpy as np
import pytest
from skimage import data
from skimage.metrics import structural_similarity

from fastrestore.metrics import ssim

CAMERA = data.camera()[100:260, 100:300].astype(float)
NOISY = CAMERA + np.random.default_rng(0).normal(0, 20, CAMERA.shape)
PAPER = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


def test_ssim_is_that_of_scikit_image():
    expected = structural_similarity(CAMERA, NOISY, data_range=255, **PAPER)
    assert ssim(CAMERA, NOISY, data_range=255) == pytest.approx(expected, abs=1e-9)


def test_ssim_of_channels_and_of_a_volume():
    color = data.astronaut()[:100, :90].astype(float)
    noisy = color + np.random.default_rng(0).normal(0, 20, color.shape)
    options = {"data_range": 255, "channel_axis": -1}
    expected = structural_similarity(color, noisy, **options, **PAPER)
    assert ssim(color, noisy, **options) == pytest.approx(expected, abs=1e-9)
    volume = np.stack([CAMERA[k : k + 20, :30] for k in range(14)])
    noisy = volume + np.random.default_rng(0).normal(0, 20, volume.shape)
    expected = structural_similarity(volume, noisy, data_range=255, **PAPER)
    assert ssim(volume, noisy, data_range=255) == pytest.approx(expected, abs=1e-9)


def test_ssim_of_small_and_of_equal_images():
    assert ssim(CAMERA[:4, :4], CAMERA[:4, :4], data_range=255) == 1
    assert ssim(CAMERA[:4, :4], NOISY[:4, :4], data_range=255) < 1
    assert ssim(np.zeros((20, 20)), np.zeros((20, 20)), data_range=1) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data_range": 0}, "data_range must be"),
        ({"data_range": 1, "channel_axis": 2}, "channel_axis"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ssim(CAMERA, NOISY, **arguments)
    with pytest.raises(ValueError, match="image"):
        ssim(CAMERA, NOISY[1:], data_range=1)
