"""Estimated noise of images with areas without noise, rounded and clipped noise, and drawings."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import skimage.data
from support.images import camera, noisy, psnr

from fastrestore import (
    bm3d,
    bm4d,
    denoise,
    estimate_noise,
    estimate_psd,
    estimate_sigma,
    vbm3d,
)
from fastrestore._noise.estimate import mean_sigma

RAMP = np.add.outer(np.linspace(0, 100, 300), np.linspace(0, 155, 300))


def replaced(image, share, fill, form):
    """Fill bars at the top and bottom, a frame, or all outside an ellipse."""
    down, across = (np.abs(np.linspace(-1, 1, n)) for n in image.shape)
    where = {
        "bars": np.broadcast_to((down > 1 - share)[:, None], image.shape),
        "frame": np.maximum.outer(down, across) > np.sqrt(1 - share),
        "outside": np.hypot.outer(down, across) > 2 * np.sqrt((1 - share) / np.pi),
    }
    return np.where(where[form], fill, image)


@pytest.mark.parametrize("form", ["bars", "frame", "outside"])
@pytest.mark.parametrize("fill", [0.0, 16.0, 255.0, -1000.0, "ramp"])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_areas_without_noise(share, fill, form):
    image = noisy(camera(50, 50, 300, 300), 10)
    image = replaced(image, share, RAMP if fill == "ramp" else fill, form)
    assert estimate_sigma(image) == pytest.approx(10, rel=0.06)
    assert estimate_sigma(np.round(image).astype(np.int16)) == pytest.approx(10, rel=0.06)


def test_letterbox():
    y, x = np.mgrid[:240, :320]
    image = 90 + 40 * np.sin(x * y / 900) + 20 * np.sin(x / 3) + y / 4
    image = noisy(image, 8, seed=0)
    image[:31] = image[-31:] = 16
    assert 7.5 <= estimate_sigma(image) <= 8.5


@pytest.mark.parametrize("restore", [bm3d, denoise])
def test_letterbox_is_restored(restore):
    clean = replaced(camera(50, 50, 200, 200), 0.4, 16.0, "bars")
    image = replaced(noisy(clean, 20), 0.4, 16.0, "bars")
    assert psnr(clean, restore(image)) > psnr(clean, image) + 4


def test_letterboxed_video_is_restored():
    clean = replaced(camera(50, 50, 96, 96), 0.4, 16.0, "bars")
    frames = np.stack([replaced(noisy(clean, 20, seed), 0.4, 16.0, "bars") for seed in range(3)])
    assert psnr(clean, vbm3d(frames)[1]) > psnr(clean, frames[1]) + 4


@pytest.mark.parametrize("opening", [1, 5])
def test_video_with_a_black_opening_is_restored(opening):
    clean = camera(50, 50, 64, 64)
    frames = np.stack([np.zeros_like(clean)] * opening + [noisy(clean, 20, k) for k in range(3)])
    restored = vbm3d(frames)
    np.testing.assert_array_equal(restored[:opening], 0)
    assert psnr(clean, restored[-2]) > psnr(clean, frames[-2]) + 4


def test_volume_with_empty_slices_is_restored():
    clean = np.stack([camera(50, 50, 64, 64)] * 12)
    clean[:4] = clean[-4:] = 0
    volume = noisy(clean, 20)
    volume[:4] = volume[-4:] = 0
    assert psnr(clean, bm4d(volume)) > psnr(clean, volume) + 4


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_weak_noise_rounded_to_whole_numbers(sigma):
    smooth = 100 + np.add.outer(np.linspace(0, 30, 200), np.linspace(0, 40, 220))
    image = np.round(noisy(smooth, sigma)).astype(np.uint8)
    expected = np.sqrt(sigma**2 + 1 / 12)  # rounding is noise, too
    assert estimate_sigma(image) == pytest.approx(expected, rel=0.1)
    image[:30] = image[-30:] = 0
    assert estimate_sigma(image) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("level", [0, 10, 245, 255])
def test_clipped_noise(level):
    image = np.clip(noisy(np.full((200, 200), float(level)), 20), 0, 255)
    assert estimate_sigma(image) == pytest.approx(20, rel=0.08)
    assert estimate_sigma(np.round(image).astype(np.uint8)) == pytest.approx(20, rel=0.08)


@pytest.mark.parametrize("sigma", [25, 50])
def test_clipped_photograph(sigma):
    image = np.clip(np.round(noisy(camera(50, 50, 300, 300), sigma)), 0, 255).astype(np.uint8)
    assert estimate_sigma(image) == pytest.approx(sigma, rel=0.05)


def letters(height=240, width=320, size=11, lead=14, gray=0):
    """Lines of text on white."""
    from PIL import Image, ImageDraw, ImageFont

    page, rng = Image.new("L", (width, height), 255), np.random.default_rng(0)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    words = ["the", "smallest", "eigenvalue", "of", "Noisy", "patches", "is", "(near)", "0.12345"]
    for top in range(2, height, lead):
        draw.text((4, top), " ".join(rng.choice(words, 12)), gray, font)
    return np.asarray(page, float)


def smoothed(image, sigma):
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, sigma)


def drawings():
    y, x = np.mgrid[:240, :320]
    radius = np.hypot(x - 160, y - 120)
    shape = np.asarray(skimage.data.horse(), float)
    return {
        "text": letters(),
        "dense text": letters(lead=10),
        "gray text": letters(gray=200),
        "large text": letters(size=30, lead=40),
        "text of two values": 255.0 * (letters() > 127),
        "soft text": np.round(smoothed(letters(), 0.6)),
        "very soft text": smoothed(letters(), 1.0),
        "text on a ramp": 0.5 * letters() + x / 4 + y / 4,
        "disk": 255.0 * (radius < 80),
        "rings": np.round(127 + 127 * np.cos(radius**2 / 900)),
        "hill": np.round(255 * np.exp(-(radius**2) / 6000)),
        "ramp": np.round(0.5 * x + 0.3 * y),
        "board": 255.0 * ((x // 8 + y // 8) % 2),
        "hatching": 255.0 * ((x + y) % 8 < 2) * (x > 160),
        "phantom": 255 * skimage.data.shepp_logan_phantom(),
        "horse": shape.reshape(*shape.shape[:2], -1).mean(-1) / shape.max() * 255,
        "board of scikit-image": skimage.data.checkerboard().astype(float),
    }


@pytest.mark.parametrize("name", list(drawings()))
def test_drawings_have_no_noise(name):
    assert estimate_sigma(drawings()[name]) < 0.3


def reduced(page):
    """Reduce text with cubic splines, until no patch is without letters."""
    from scipy.ndimage import zoom

    return np.clip(zoom(page, 0.7, order=3), 0, 255)


@pytest.mark.parametrize("soften", [reduced, lambda page: smoothed(page, 0.7)])
@pytest.mark.parametrize(("offset", "scale"), [(0, 1), (200, -0.4), (40, 1 / 3)])
def test_soft_dense_text_has_no_noise(soften, offset, scale):
    page = soften(letters(252, 336, size=10, lead=13))
    image = np.round(offset + scale * page)
    assert estimate_sigma(image) < 0.3
    color = np.stack([image, np.round(page), np.round(0.8 * page)])
    assert estimate_noise(color, channel_axis=0).sigma.max() < 0.5


@pytest.mark.parametrize("sigma", [5, 25])
@pytest.mark.parametrize("contrast", [-0.5, 1])
def test_noise_on_soft_text_is_found(contrast, sigma):
    page = 128 + contrast * (smoothed(letters(lead=13), 0.7) - 128)
    expected = pytest.approx(sigma, rel=0.12)
    assert estimate_sigma(noisy(page, sigma)) == expected
    assert estimate_sigma(np.round(noisy(page, sigma))) == expected


@pytest.mark.parametrize("sigma", [10, 25])
def test_noise_beside_dense_text_is_found(sigma):
    page = reduced(letters(252, 336, size=10, lead=13))[:, :220]
    image = np.hstack([noisy(camera(50, 50, len(page), 300), sigma), page])
    image = np.clip(np.round(image), 0, 255)
    assert estimate_sigma(image) == pytest.approx(sigma, rel=0.08)


@pytest.mark.parametrize("steps", [2, 3, 8])
def test_noise_of_few_values_has_no_lines(steps):
    """Clipped or coarse noise has equal neighbors, but not more lines of them than by chance."""
    coarse = np.clip(np.round(noisy(np.full((200, 200), 0.3 * steps), steps / 3)), 0, steps)
    assert estimate_sigma(coarse) > 0.2 * steps


def test_noisy_drawing():
    assert estimate_sigma(noisy(letters(), 10)) == pytest.approx(10, rel=0.08)


def test_constant_channel():
    photograph = noisy(camera(50, 50, 200, 200), 10)
    image = np.stack([photograph, np.full_like(photograph, 7), photograph[::-1]])
    levels = estimate_sigma(image, channel_axis=0)
    assert levels[1] == 0
    np.testing.assert_allclose(levels[[0, 2]], 10, rtol=0.06)
    assert mean_sigma(image) == pytest.approx(np.sqrt((levels[0] ** 2 + levels[2] ** 2) / 2))
    restored = bm3d(image, channel_axis=0)
    np.testing.assert_array_equal(restored[1], 7)
    assert np.std(restored[0] - photograph) > 5


def test_same_bits_for_any_number_of_threads():
    code = (
        "import numpy as np, fastrestore; rng = np.random.default_rng(0)\n"
        "image = 100 + 10 * rng.standard_normal((300, 310)) + np.arange(310)\n"
        "print(fastrestore.estimate_sigma(image).hex())"
    )
    found = set()
    for threads in ("1", "2", "4"):
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads)}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1


@pytest.mark.parametrize("fill", [np.nan, 0.0, 1e6])
def test_mask(fill):
    image, mask = noisy(camera(50, 50, 300, 300), 10), np.ones((300, 300), bool)
    mask[:100] = mask[150:170, 80:100] = False
    image[~mask] = fill
    level = estimate_sigma(image, mask=mask)
    assert level == pytest.approx(10, rel=0.06)
    both = np.stack([image, image], axis=-1)
    np.testing.assert_array_equal(estimate_sigma(both, -1, mask=mask), level)
    psd = estimate_psd(image, mask=mask)
    assert psd.sum() / psd.size**2 == pytest.approx(100, rel=0.25)


def test_spectrum_beside_areas_without_noise():
    noise = noisy(np.zeros((200, 203)), 10)
    striped = camera(50, 50, 200, 200) + noise[:, :-3] + noise[:, 3:]
    striped[:40] = striped[-40:] = 16
    psd = estimate_psd(striped)
    assert psd.sum() / psd.size**2 == pytest.approx(200, rel=0.3)
    assert estimate_psd(letters()).max() == 0


def test_bad_mask():
    with pytest.raises(ValueError, match="mask is False everywhere"):
        estimate_sigma(np.ones((64, 64)), mask=np.zeros((64, 64), bool))
    with pytest.raises(ValueError, match="NaN"):
        estimate_sigma(np.full((64, 64), np.nan), mask=np.eye(64, dtype=bool))


def stars():
    """A dark sky with 60 stars, each one pixel."""
    rng = np.random.default_rng(0)
    sky = np.zeros(256 * 256)
    sky[rng.choice(sky.size, 60, replace=False)] = rng.uniform(500, 60000, 60)
    return sky.reshape(256, 256)


def shapes():
    """Shapes of two values, with edges nearly everywhere."""
    return np.where(skimage.data.binary_blobs(256, 0.1, volume_fraction=0.5, rng=0), 230.0, 20.0)


@pytest.mark.parametrize("draw", [stars, shapes])
@pytest.mark.parametrize("sigma", [0.5, 2, 10, 30])
def test_noise_much_weaker_than_edges(draw, sigma):
    clean = draw()
    image = noisy(clean, sigma)
    assert estimate_sigma(image) == pytest.approx(sigma, rel=0.06)
    assert psnr(clean, bm3d(image)) > psnr(clean, image) + 3


@pytest.mark.parametrize("sigma", [1, 3])
@pytest.mark.parametrize(("size", "blobs"), [(64, 0.2), (96, 0.1), (128, 0.05)])
def test_noise_much_weaker_than_edges_of_a_small_image(size, blobs, sigma):
    clean = 200.0 * skimage.data.binary_blobs(size, blobs, rng=1)
    assert estimate_sigma(clean) == 0
    assert estimate_sigma(noisy(clean, sigma)) == pytest.approx(sigma, rel=0.1)


def test_dense_shapes_without_noise():
    assert estimate_sigma(200.0 * skimage.data.binary_blobs(256, 0.03, rng=1)) == 0


def test_volume_of_two_values():
    clean = 200.0 * skimage.data.binary_blobs(64, 0.2, n_dim=3, rng=0)[:16]
    image = noisy(clean, 3)
    assert psnr(clean, bm4d(image)) > psnr(clean, image) + 6


def test_noise_does_not_exceed_a_range_that_clips_it():
    image = 255.0 * np.random.default_rng(0).integers(0, 2, (256, 256))
    assert estimate_sigma(image) <= 255
    bm3d(image)  # without a warning of wrong units


def test_a_channel_without_valid_pixels_does_not_count():
    planes = np.random.default_rng(0).normal(0, 5, (3, 64, 64))
    valid = np.ones(planes.shape, bool)
    valid[1] = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mean_sigma(planes, valid) == pytest.approx(mean_sigma(planes[::2]), rel=1e-6)


@pytest.mark.parametrize("model", ["auto", "white", "correlated", "signal-dependent", "camera"])
@pytest.mark.parametrize("stored", [np.uint8, np.float64])
def test_dithered_pictures_of_two_values_have_no_noise(stored, model):
    gray = camera(50, 50, 160, 160)
    dithered = (gray > np.random.default_rng(0).uniform(0, 255, gray.shape)).astype(stored)
    colored = np.stack([255 * dithered, 255 * dithered[::-1], 255 * dithered.T], -1)
    assert not estimate_noise(dithered, model=model).sigma.any()
    assert not estimate_noise(colored, model=model, channel_axis=-1).sigma.any()
    assert (
        estimate_sigma(np.where(np.eye(160), np.nan, dithered), mask=~np.eye(160, dtype=bool)) == 0
    )


@pytest.mark.parametrize("image", [np.zeros((32, 32)), np.eye(32)])
def test_the_reason_names_at_most_two_values(image):
    info = bm3d(image, return_info=True)[1]
    assert "no more than two values" in info.reason
