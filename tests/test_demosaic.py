"""Demosaicing: quality, known values, noise, invalid arguments."""

import doctest

import numpy as np
import pytest
from skimage.data import astronaut
from support.images import psnr

from fastrestore import demosaic
from fastrestore._algorithms import demosaic as demosaic_module


@pytest.mark.parametrize("pattern", demosaic_module.PATTERNS)
def test_mosaics(pattern):
    """Better than linear interpolation; known values stay."""
    clean = astronaut()[60:156, 200:296].astype(np.float64)
    known = demosaic_module._color_masks(pattern, clean.shape[:2]).transpose(1, 2, 0)
    mosaic = (clean * known).sum(-1)
    linear, refined = demosaic(mosaic, pattern, iterations=0), demosaic(mosaic, pattern)
    assert psnr(clean, refined) > psnr(clean, linear) + 1
    np.testing.assert_array_equal(refined[known], clean[known])
    np.testing.assert_array_equal(linear[known], clean[known])


def test_a_noisy_mosaic():
    clean = astronaut()[60:156, 200:296].astype(np.float64)
    known = demosaic_module._color_masks("GRBG", clean.shape[:2]).transpose(1, 2, 0)
    mosaic = (clean * known).sum(-1) + np.random.default_rng(0).normal(0, 12, clean.shape[:2])
    linear = demosaic(mosaic, "GRBG", iterations=0)
    assert psnr(clean, demosaic(mosaic, "GRBG", 12)) > psnr(clean, linear) + 2.5


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ((np.zeros((8, 8)), "RGBG"), ValueError, "pattern must be one of 'RGGB'.*got 'RGBG'"),
        ((np.zeros((3, 8)),), ValueError, "mosaic must have at least 4 x 4 pixels, got"),
        ((np.zeros((8, 8, 3)),), ValueError, "mosaic must have 2 axes"),
        ((np.full((8, 8), np.nan),), ValueError, "mosaic has values that are NaN"),
        ((np.zeros((8, 8)), "RGGB", -1), ValueError, "sigma must"),
    ],
)
def test_bad_mosaics(given, error, message):
    with pytest.raises(error, match=message):
        demosaic(*given)


def test_bad_iterations():
    with pytest.raises(ValueError, match=r"iterations must be a whole number from 0 .*, got -1"):
        demosaic(np.zeros((8, 8)), iterations=-1)


def test_constant_mosaics_are_unchanged():
    np.testing.assert_allclose(demosaic(np.full((8, 10), 7.0), iterations=2), 7)


def test_examples_in_docstrings():
    result = doctest.testmod(demosaic_module)
    assert result.attempted > 0
    assert result.failed == 0
