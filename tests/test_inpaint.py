"""Inpainting: quality, known pixels, noise, colors, backends, invalid arguments."""

import doctest

import numpy as np
import pytest
from skimage.data import astronaut, camera
from skimage.metrics import peak_signal_noise_ratio

from fastrestore import inpaint
from fastrestore._algorithms import inpaint as inpaint_module


def photograph():
    """A part of a photograph, and a mask of scattered pixels."""
    clean = camera()[100:228, 180:308].astype(np.float64)
    return clean, np.random.default_rng(0).random(clean.shape) < 0.8


def psnr(clean, image):
    return peak_signal_noise_ratio(clean, image, data_range=255)


def test_scattered_pixels():
    """Better than the first estimate; known pixels stay bit for bit."""
    clean, mask = photograph()
    damaged = np.where(mask, np.nan, clean)
    first = inpaint_module.first_estimate(np.where(mask, 0, clean)[None], mask[None])[0]
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


def test_noise_is_removed():
    clean, mask = photograph()
    rng = np.random.default_rng(1)
    mask &= rng.random(clean.shape) < 0.5
    noisy = clean + rng.normal(0, 15, clean.shape)
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


def test_colors_and_their_masks():
    clean = astronaut()[60:124, 200:264].astype(np.float64)
    rng = np.random.default_rng(2)
    mask = rng.random(clean.shape[:2]) < 0.7
    restored = inpaint(np.where(mask[..., None], 0, clean), mask, channel_axis=-1)
    first = inpaint(clean.transpose(2, 0, 1), mask, channel_axis=0)
    np.testing.assert_allclose(first.transpose(1, 2, 0), restored, atol=1e-9)
    own = rng.random(clean.shape) < 0.7  # each channel misses other pixels
    better = inpaint(np.where(own, 0, clean), own, channel_axis=-1)
    assert psnr(clean, better) > psnr(clean, restored) + 1
    np.testing.assert_array_equal(better[~own], clean[~own])


def test_empty_mask_returns_the_image():
    clean, mask = photograph()
    np.testing.assert_array_equal(inpaint(clean, np.zeros_like(mask)), clean)


def test_backends_agree(engine):
    clean, mask = photograph()
    clean, mask = clean[:40, :40], mask[:40, :40]
    settings = {"iterations": 2, "data_range": 255}
    expected = inpaint(clean, mask, backend="numpy", **settings)
    assert np.abs(expected - inpaint(clean, mask, **settings | {"iterations": 1})).max() > 1
    result = inpaint(clean, mask, backend=engine, **settings)
    np.testing.assert_allclose(result, expected, atol=0.01)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"mask": np.zeros((5, 6), bool)}, ValueError, r"mask has shape \(5, 6\), but the image"),
        ({"mask": np.ones((128, 128), bool)}, ValueError, "mask marks all pixels as missing"),
        ({"mask": np.zeros((128, 128)) + 0.5}, TypeError, "mask must be an array of bool"),
        ({"sigma": -1}, ValueError, "sigma must"),
        (
            {"iterations": 0},
            ValueError,
            "iterations must be a whole number from 1 .*, got 0",
        ),
        (
            {"iterations": 2.5},
            TypeError,
            "iterations must be a whole number from 1 .*, got 2.5",
        ),
        ({"profile": "best"}, ValueError, "profile 'best' is unknown"),
        ({"image": np.full((128, 128), np.nan)}, ValueError, "the known part of image"),
        ({"mask": np.zeros((128, 128))}, TypeError, "mask must be .*, got float64; convert it"),
        ({"image": np.zeros((4, 128, 128))}, ValueError, "image must have 2 axes"),
    ],
)
def test_bad_input(change, error, message):
    clean, mask = photograph()
    given = {"image": clean, "mask": mask} | change
    with pytest.raises(error, match=message):
        inpaint(given.pop("image"), given.pop("mask"), **given)


def test_values_that_are_not_finite():
    clean, mask = photograph()
    mask = mask.copy()
    mask[5, 7] = False
    clean[5, 7] = np.nan
    with pytest.raises(ValueError, match=r"the first is nan at \(5, 7\)"):
        inpaint(clean, mask)
    with pytest.raises(ValueError, match=r"the first is nan at \(5, 7, 0\)"):
        inpaint(np.stack([clean] * 3, -1), mask, channel_axis=-1)


def test_constant_images_raise_no_warning():
    """The iterations use a large sigma, about which `bm3d` would warn."""
    clean, mask = np.full((40, 40), 20.0), np.zeros((40, 40), bool)
    mask[10:20, 10:20] = True
    np.testing.assert_allclose(inpaint(clean, mask), clean)
    mask[:] = True
    mask[3, 4] = False
    np.testing.assert_allclose(inpaint(clean, mask), clean)


def test_examples_in_docstrings():
    result = doctest.testmod(inpaint_module)
    assert result.attempted > 0
    assert result.failed == 0
