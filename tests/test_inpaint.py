"""Missing pixels: what is found, what stays, and what is refused; and mosaics of colours."""

import doctest

import numpy as np
import pytest
from skimage.data import astronaut, camera
from skimage.metrics import peak_signal_noise_ratio

from fastrestore import demosaic, inpaint
from fastrestore._algorithms import demosaic as demosaic_module
from fastrestore._algorithms import inpaint as inpaint_module

RNG = np.random.default_rng(0)


def photograph():
    """A part of a photograph, and a mask of scattered pixels."""
    clean = camera()[100:228, 180:308].astype(np.float64)
    return clean, np.random.default_rng(0).random(clean.shape) < 0.8


def psnr(clean, image):
    return peak_signal_noise_ratio(clean, image, data_range=255)


def test_scattered_pixels():
    """Better than what the iteration begins with, and known pixels stay to the bit."""
    clean, mask = photograph()
    damaged = np.where(mask, np.nan, clean)
    first = inpaint_module.begun(np.where(mask, 0, clean)[None], mask[None])[0]
    restored = inpaint(damaged, mask)
    assert psnr(clean, restored) > psnr(clean, first) + 1.5
    np.testing.assert_array_equal(restored[~mask], clean[~mask])


@pytest.mark.parametrize("kind", ["scratch", "text", "hole"])
def test_other_damage(kind):
    clean, _ = photograph()
    mask = np.zeros(clean.shape, bool)
    if kind == "scratch":
        mask[np.arange(128), np.arange(128) // 2 + 20] = True
    elif kind == "text":
        mask[20:60:8, 10:100] = mask[20:60, 10:100:7] = True
    else:
        mask[50:62, 70:82] = True
    restored = inpaint(np.where(mask, 0.0, clean), mask)
    np.testing.assert_array_equal(restored[~mask], clean[~mask])
    flat = np.where(mask, clean[~mask].mean(), clean)
    assert psnr(clean, restored) > psnr(clean, flat) + 4


def test_noise_goes_with_it():
    clean, mask = photograph()
    mask &= RNG.random(clean.shape) < 0.5
    noisy = clean + RNG.normal(0, 15, clean.shape)
    restored = inpaint(noisy, mask, sigma=15)
    known = ~mask
    assert psnr(clean[known], restored[known]) > psnr(clean[known], noisy[known]) + 0.5
    assert psnr(clean, restored) > psnr(clean, inpaint(noisy, mask)) + 1


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_types_and_units(dtype):
    clean, mask = photograph()
    clean, mask = clean[:64, :64], mask[:64, :64]
    restored = inpaint(clean.astype(dtype), mask, data_range=255)
    assert restored.dtype == (np.float32 if dtype == np.uint8 else dtype)
    scaled = inpaint(clean / 255 - 1, mask, data_range=1)
    assert np.abs(255 * (scaled + 1) - restored).mean() < 0.01


def test_colours_and_their_masks():
    clean = astronaut()[60:124, 200:264].astype(np.float64)
    mask = RNG.random(clean.shape[:2]) < 0.7
    restored = inpaint(np.where(mask[..., None], 0, clean), mask, channel_axis=-1)
    first = inpaint(clean.transpose(2, 0, 1), mask, channel_axis=0)
    np.testing.assert_allclose(first.transpose(1, 2, 0), restored, atol=1e-9)
    own = RNG.random(clean.shape) < 0.7  # each channel misses other pixels
    better = inpaint(np.where(own, 0, clean), own, channel_axis=-1)
    assert psnr(clean, better) > psnr(clean, restored) + 1
    np.testing.assert_array_equal(better[~own], clean[~own])


def test_nothing_missing_returns_the_image():
    clean, mask = photograph()
    np.testing.assert_array_equal(inpaint(clean, np.zeros_like(mask)), clean)


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_backends_agree(name):
    clean, mask = photograph()
    clean, mask = clean[:40, :40], mask[:40, :40]
    settings = {"iterations": 2, "data_range": 255}
    other = inpaint(clean, mask, backend="numpy", **settings)
    np.testing.assert_allclose(inpaint(clean, mask, backend=name, **settings), other, atol=0.01)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"mask": np.zeros((5, 6), bool)}, ValueError, r"mask has shape \(5, 6\), the image"),
        ({"mask": np.ones((128, 128), bool)}, ValueError, "all"),
        ({"mask": np.zeros((128, 128)) + 0.5}, (TypeError, ValueError), "mask"),
        ({"sigma": -1}, ValueError, "sigma must"),
        ({"iterations": 0}, ValueError, "iterations must be 1 or more, got 0"),
        ({"iterations": 2.5}, TypeError, "iterations must be a whole number, got 2.5"),
        ({"profile": "best"}, ValueError, "best"),
        ({"image": np.full((128, 128), np.nan)}, ValueError, "the known part of image"),
        ({"mask": np.zeros((128, 128))}, TypeError, "mask must be .*, got float64; mask > 0 makes"),
        ({"image": np.zeros((4, 128, 128))}, ValueError, "image"),
    ],
)
def test_bad_input(change, error, message):
    clean, mask = photograph()
    given = {"image": clean, "mask": mask} | change
    with pytest.raises(error, match=message):
        inpaint(given.pop("image"), given.pop("mask"), **given)


def test_what_is_not_finite_is_named_by_its_place():
    clean, mask = photograph()
    mask = mask.copy()
    mask[5, 7] = False
    clean[5, 7] = np.nan
    with pytest.raises(ValueError, match=r"the first is nan at \(5, 7\)"):
        inpaint(clean, mask)
    with pytest.raises(ValueError, match=r"the first is nan at \(5, 7, 0\)"):
        inpaint(np.stack([clean] * 3, -1), mask, channel_axis=-1)


def test_a_constant_image_is_not_warned_of():
    """It is filtered for strong noise on the way, of which nobody has told."""
    clean, mask = np.full((40, 40), 20.0), np.zeros((40, 40), bool)
    mask[10:20, 10:20] = True
    np.testing.assert_allclose(inpaint(clean, mask), clean)
    mask[:] = True
    mask[3, 4] = False
    np.testing.assert_allclose(inpaint(clean, mask), clean)


@pytest.mark.parametrize("pattern", demosaic_module.PATTERNS)
def test_mosaics(pattern):
    """Better than linear interpolation, what is known stays."""
    clean = astronaut()[60:156, 200:296].astype(np.float64)
    known = demosaic_module._places(pattern, clean.shape[:2]).transpose(1, 2, 0)
    mosaic = (clean * known).sum(-1)
    linear, refined = demosaic(mosaic, pattern, iterations=0), demosaic(mosaic, pattern)
    assert psnr(clean, refined) > psnr(clean, linear) + 1
    np.testing.assert_array_equal(refined[known], clean[known])
    np.testing.assert_array_equal(linear[known], clean[known])


def test_a_noisy_mosaic():
    clean = astronaut()[60:156, 200:296].astype(np.float64)
    known = demosaic_module._places("GRBG", clean.shape[:2]).transpose(1, 2, 0)
    mosaic = (clean * known).sum(-1) + RNG.normal(0, 12, clean.shape[:2])
    linear = demosaic(mosaic, "GRBG", iterations=0)
    assert psnr(clean, demosaic(mosaic, "GRBG", 12)) > psnr(clean, linear) + 2.5


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ((np.zeros((8, 8)), "RGBG"), ValueError, "pattern must be one of 'RGGB'.*got 'RGBG'"),
        ((np.zeros((3, 8)),), ValueError, "mosaic must have 4 x 4 pixels or more"),
        ((np.zeros((8, 8, 3)),), ValueError, "mosaic"),
        ((np.full((8, 8), np.nan),), ValueError, "mosaic"),
        ((np.zeros((8, 8)), "RGGB", -1), ValueError, "sigma must"),
    ],
)
def test_bad_mosaics(given, error, message):
    with pytest.raises(error, match=message):
        demosaic(*given)
    with pytest.raises(ValueError, match="iterations must be 0 or more, got -1"):
        demosaic(np.zeros((8, 8)), iterations=-1)


@pytest.mark.parametrize("module", [inpaint_module, demosaic_module])
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
