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


def psnr(clean, image):
    """Return the PSNR on the range of the sinogram."""
    return float(10 * np.log10(clean.max() ** 2 / np.mean((image - clean) ** 2)))


def strong(kind, shape, seed):
    """Make streaks of 1/40 of the detector pixels, or two or three of 15 pixels each."""
    rng = np.random.default_rng(seed)
    angles, width = shape
    streaks = np.zeros(shape)
    columns = rng.choice(width, width // 40, replace=False)
    if kind == "fluctuating":
        streaks[:, columns] = rng.normal(0, 0.04, (angles, len(columns)))
    elif kind == "partial":
        for column in columns:
            start = rng.integers(0, angles // 2)
            streaks[start : start + 2 * angles // 5, column] = rng.choice((-0.08, 0.08))
    else:
        close = kind == "close"
        for start in (16, 37) if close else (12, 70, 140):
            height = rng.uniform(0.02, 0.05)
            streaks[:, start : start + 15] = height * (1 if close else rng.choice((-1, 1)))
    return streaks


@pytest.mark.parametrize("kind", ["partial", "fluctuating", "15 pixels wide", "close"])
def test_strong_streaks_of_each_kind_are_removed(sinogram, kind):
    gains = []
    for seed in range(4):
        noise = np.random.default_rng(seed).normal(0, 0.003 * sinogram.max(), sinogram.shape)
        bad = sinogram + sinogram.max() * strong(kind, sinogram.shape, seed) + noise
        gains.append(psnr(sinogram, remove_streaks(bad)) - psnr(sinogram, bad))
        assert gains[-1] > 1
    assert np.mean(gains) > 3
    assert psnr(sinogram, remove_streaks(bad, strong=None)) < psnr(sinogram, bad) + 1


def centered(kind):
    """Make the sinogram of an object whose edges are at the same detector pixels at all angles."""
    across = np.abs(np.arange(200) - 99.5)
    if kind == "slab":
        profile = 100.0 * (across < 35)
    elif kind == "narrow slab":
        profile = 100.0 * (across < 10)
    else:  # a tube with a wall of 6 pixels, or filled
        inside = np.sqrt(np.maximum(44**2 - across**2, 0))
        profile = 2 * np.sqrt(np.maximum(50**2 - across**2, 0)) - 2 * inside
        profile += inside if kind == "filled tube" else 0
    return np.tile(profile, (180, 1))


@pytest.mark.parametrize("kind", ["slab", "narrow slab", "tube", "filled tube"])
def test_edges_that_stand_still_are_kept(kind):
    clean = centered(kind)
    noisy = clean + np.random.default_rng(0).normal(0, 0.005 * clean.max(), clean.shape)
    assert psnr(clean, remove_streaks(noisy)) > psnr(clean, noisy) - 1


def test_small_parts_near_the_center_are_kept():
    """They move slowly along the angles, so that they resemble partial streaks."""
    rng = np.random.default_rng(0)
    down, across = np.mgrid[:128, :128] - 63.5
    image = 0.3 * (across**2 / 54**2 + down**2 / 45**2 < 1)
    for _ in range(40):
        radius, angle = 38 * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
        apart = np.hypot(across - radius * np.cos(angle), down - radius * np.sin(angle))
        image[apart < rng.uniform(1, 3)] += rng.uniform(0.5, 4)
    clean = radon(image, np.arange(180.0), circle=False).T
    noisy = clean + rng.normal(0, 0.003 * clean.max(), clean.shape)
    assert psnr(clean, remove_streaks(noisy)) > psnr(clean, noisy) - 1


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
        (
            (9, 9),
            {"strength": 0},
            ValueError,
            r"strength must be a number from 1e-06 .*, got 0",
        ),
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
