"""Removal of streaks: quality, axes, types, invalid arguments."""

import doctest

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from skimage.data import shepp_logan_phantom
from skimage.transform import radon, resize

from fastrestore import remove_streaks
from fastrestore._algorithms import streaks as streaks_module


@pytest.fixture(scope="module")
def sinogram():
    """A phantom of 128 pixels in 180 angles, as (angles, detector)."""
    image = resize(shepp_logan_phantom(), (128, 128))
    return radon(image, np.arange(180.0), circle=False).T


def streaked(clean, kind, seed=0):
    """Add streaks and a little noise."""
    rng = np.random.default_rng(seed)
    top, width = clean.max(), clean.shape[1]
    streaks = rng.normal(0, 0.01 * top, width)
    slow = np.ones((len(clean), 1))
    if kind == "sparse":
        streaks = np.zeros(width)
        streaks[rng.choice(width, 12, replace=False)] = 0.05 * top
        slow = 1 + 0.3 * np.sin(np.linspace(0, 3, len(clean)))[:, None]
    elif kind == "wide":
        streaks = 0.03 * top * gaussian_filter1d(rng.normal(0, 1, width), 4)
    return clean + slow * streaks + rng.normal(0, 0.003 * top, clean.shape)


def error(clean, image):
    """Return the deviation of means over angles, which make rings."""
    return float((image - clean).mean(0).std())


@pytest.mark.parametrize(("kind", "share"), [("white", 0.6), ("sparse", 0.25), ("wide", 0.9)])
def test_streaks_are_removed(sinogram, kind, share):
    bad = streaked(sinogram, kind)
    assert error(sinogram, remove_streaks(bad)) < share * error(sinogram, bad)


def test_noise_and_clean_sinograms_are_kept(sinogram):
    restored = remove_streaks(sinogram)
    assert np.abs(restored - sinogram).mean() < 0.001 * sinogram.max()
    assert np.abs(restored - sinogram).max() < 0.03 * sinogram.max()
    noise = np.random.default_rng(0).normal(0, 0.01 * sinogram.max(), sinogram.shape)
    left = remove_streaks(sinogram + noise) - sinogram
    assert left.std() > 0.9 * noise.std()


def test_strength_and_levels(sinogram):
    bad = streaked(sinogram, "wide")
    removed = [np.abs(remove_streaks(bad, strength=s) - bad).mean() for s in (0.3, 1, 3)]
    assert removed == sorted(removed)
    shallow = remove_streaks(bad, levels=0)
    assert error(sinogram, remove_streaks(bad)) < error(sinogram, shallow)
    bad = streaked(sinogram, "sparse")
    assert error(sinogram, remove_streaks(bad)) < error(sinogram, remove_streaks(bad, strong=None))


def test_axes_and_stacks(sinogram):
    bad = streaked(sinogram, "white")
    restored = remove_streaks(bad)
    turned = remove_streaks(bad.T, angle_axis=1, detector_axis=0)
    np.testing.assert_array_equal(turned.T, restored)
    other = streaked(sinogram, "sparse")
    stack = remove_streaks(np.stack([bad, other], 1), angle_axis=0)
    np.testing.assert_array_equal(stack[:, 0], restored)
    np.testing.assert_array_equal(stack[:, 1], remove_streaks(other))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16])
def test_types_and_units(sinogram, dtype):
    bad = (streaked(sinogram, "white") * 100 + 50).astype(dtype)
    restored = remove_streaks(bad)
    assert restored.dtype == (np.float64 if dtype == np.float64 else np.float32)
    scaled = remove_streaks(bad.astype(float) / 1000)
    assert np.abs(1000 * scaled - restored).mean() < 1e-5 * bad.max()


@pytest.mark.parametrize("shape", [(1, 50), (50, 1), (2, 2), (7, 300), (64, 9)])
def test_small_sinograms(shape):
    rng = np.random.default_rng(0)
    restored = remove_streaks(rng.normal(5, 1, shape))
    assert restored.shape == shape
    assert np.isfinite(restored).all()


@pytest.mark.parametrize(
    ("shape", "given", "error", "message"),
    [
        ((9,), {}, ValueError, r"sinogram must have 2 axes, or 3 for a stack, got shape \(9,\)"),
        ((0, 9), {}, ValueError, "sinogram must have"),
        ((9, 9), {"angle_axis": 2}, ValueError, r"angle_axis=2 is not an axis of shape \(9, 9\)"),
        ((9, 9), {"angle_axis": 1}, ValueError, "angle_axis=1 and detector_axis=-1 are the same"),
        ((9, 9), {"angle_axis": 0.0}, TypeError, "angle_axis must be a whole number, got 0.0"),
        ((9, 9), {"strength": 0}, ValueError, "strength must be a number above 0, got 0"),
        ((9, 9), {"strong": -1}, ValueError, "strong must be a number above 0, got -1"),
        (
            (60, 182),
            {"levels": 4},
            ValueError,
            "levels=4 leaves less than 20 of 182 detector pixels; write 3 or less",
        ),
        ((9, 9), {"levels": -1}, ValueError, "levels must be a whole number of 0 or more, got -1"),
    ],
)
def test_bad_input(shape, given, error, message):
    with pytest.raises(error, match=message):
        remove_streaks(np.ones(shape), **given)


def test_nan_raises(sinogram):
    bad = sinogram.copy()
    bad[3, 4] = np.nan
    with pytest.raises(ValueError, match="sinogram"):
        remove_streaks(bad)


def test_the_example():
    result = doctest.testmod(streaks_module)
    assert result.attempted > 0
    assert result.failed == 0
