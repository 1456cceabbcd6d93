"""Deblurring of motion blur, photographs with surroundings, files, bars, clipped pixels, units."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.data import camera, coffee, rocket

from fastrestore import deblur, vbm3d

DIAGONAL = np.eye(9) / 9
CURVE = np.zeros((11, 9))  # a shaken camera
CURVE[np.arange(11), [1, 2, 2, 3, 5, 6, 7, 7, 6, 4, 3]] = np.arange(4, 15)
CURVE /= CURVE.sum()
MARGIN = 12


def psnr(clean, image):
    return 10 * np.log10(255**2 / np.mean((np.asarray(image, float) - clean) ** 2))


def scenes():
    """Two parts of photographs with surroundings, in gray."""
    table = coffee() @ [0.299, 0.587, 0.114]
    return camera()[60:212, 160:312].astype(float), table[130:282, 200:352]


def seen(scene, psf, mode, sigma):
    """Return a clean image without surroundings, and what is seen of it."""
    inner = slice(MARGIN, -MARGIN)
    clean = scene[inner, inner]
    if mode == "surroundings":
        soft = ndimage.convolve(scene, psf)[inner, inner]
    else:
        soft = ndimage.convolve(clean, psf, mode=mode)
    return clean, soft + np.random.default_rng(0).normal(0, sigma, clean.shape)


@pytest.mark.parametrize("mode", ["reflect", "wrap", "surroundings"])
@pytest.mark.parametrize("psf", [DIAGONAL, CURVE], ids=["diagonal", "curve"])
def test_motion_blur(psf, mode):
    """The default is close to the best choice for any border, and far above the blurred image."""
    right = {"reflect": "reflect", "wrap": "periodic", "surroundings": "unknown"}[mode]
    for scene in scenes():
        clean, image = seen(scene, psf, mode, 2.0)
        restored = psnr(clean, deblur(image, psf, 2.0, data_range=255))
        best = psnr(clean, deblur(image, psf, 2.0, data_range=255, method="pnp", boundary=right))
        assert restored > best - 1
        assert restored > psnr(clean, deblur(image, psf, 2.0, data_range=255, boundary="taper"))
        assert restored > psnr(clean, image) + 4


@pytest.mark.parametrize("method", ["bm3d", "pnp"])
def test_colors_with_surroundings(method):
    scene = coffee()[130:226, 200:296].astype(float)
    soft = np.stack([ndimage.convolve(each, DIAGONAL) for each in np.moveaxis(scene, -1, 0)], -1)
    inner = slice(MARGIN, -MARGIN)
    soft = soft[inner, inner] + np.random.default_rng(0).normal(0, 2, (72, 72, 3))
    restored = deblur(soft, DIAGONAL, 2.0, channel_axis=-1, method=method, data_range=255)
    clean = scene[inner, inner]
    assert psnr(clean, restored) > psnr(clean, soft) + 4


@pytest.mark.parametrize("sigma", [0, 2])
@pytest.mark.parametrize("psf", [DIAGONAL, np.full((9, 9), 1 / 81)], ids=["diagonal", "box"])
def test_jpeg_files(psf, sigma):
    """Compression errors are not estimated, so the level of an estimate has a least value."""
    scene = coffee()[130:258, 200:328].astype(float)
    soft = np.stack([ndimage.convolve(each, psf) for each in np.moveaxis(scene, -1, 0)], -1)
    soft += np.random.default_rng(0).normal(0, sigma, soft.shape)
    rounded = soft.round().clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(rounded).save(file, "JPEG", quality=92)
    decoded = np.asarray(Image.open(file))
    for image in (rounded, decoded):
        restored = deblur(image, psf, channel_axis=-1)
        assert psnr(scene, restored) > psnr(scene, image) + 0.5


@pytest.mark.parametrize("value", [0.0, 255.0])
def test_bars_are_left_out(value):
    clean, image = seen(scenes()[0], CURVE, "surroundings", 2.0)
    framed = np.full((176, 188), value)
    framed[20:148, 28:156] = image
    for sigma in (None, 2.0):
        restored = deblur(framed, CURVE, sigma, data_range=255)
        assert psnr(clean, restored[20:148, 28:156]) > psnr(clean, image) + 4
        np.testing.assert_array_equal(restored[:20], value)
        np.testing.assert_array_equal(restored[:, 156:], value)


def test_clipped_pixels():
    scene = 1.5 * (scenes()[0] - 20)
    clean, image = seen(scene, DIAGONAL, "surroundings", 2.0)
    clean, image = clean.clip(0, 255), image.clip(0, 255)
    restored = deblur(image, DIAGONAL, 2.0)
    assert restored.max() <= 255
    assert psnr(clean, restored) > psnr(clean, image) + 2
    most = (10 * image).clip(0, 255)
    with pytest.warns(UserWarning, match="% of the pixels have the greatest value of the image"):
        np.testing.assert_array_equal(deblur(most, DIAGONAL), most)


@pytest.mark.parametrize("share", [0.3, 0.45])
def test_many_clipped_pixels(share):
    scene = scenes()[1]
    scene = scene * (255 / np.quantile(scene, 1 - share))
    clean, image = seen(scene, DIAGONAL, "surroundings", 2.0)
    clean, image = clean.clip(0, 255), image.clip(0, 255)
    assert psnr(clean, deblur(image, DIAGONAL, 2.0)) > psnr(clean, image) + 1


def test_sigma_in_other_units():
    _, image = seen(scenes()[0], DIAGONAL, "reflect", 2.0)
    with pytest.warns(UserWarning, match="sigma=2 exceeds the whole range of the image") as caught:
        deblur(image[:64, :64] / 255, DIAGONAL, 2.0)
    assert len(caught) == 1


def test_results_rougher_than_photographs():
    _, image = seen(scenes()[0], CURVE, "reflect", 1.0)
    message = "the result is rougher than any photograph, so the restoration has failed; check psf"
    with pytest.warns(UserWarning, match=message):
        deblur(image, CURVE, 1.0, boundary="periodic")


def test_smooth_scenes_with_surroundings():
    """Images of low contrast seem to agree with wrong borders sooner."""
    scene = 90 + scenes()[0] / 6
    clean, image = seen(scene, CURVE, "surroundings", 1.0)
    restored = psnr(clean, deblur(image, CURVE, 1.0, data_range=255))
    assert restored > psnr(clean, image) + 2


def test_long_motion_with_surroundings():
    """Mirrored borders would fit these data, with an estimate of many stripes."""
    psf, steps = np.zeros((19, 19)), np.linspace(0, 1, 300)
    rows, columns = (2 + 14 * steps).round().astype(int), (3 + 13 * steps**3).round().astype(int)
    np.add.at(psf, (rows, columns), 1 + steps)
    psf /= psf.sum()
    scene = rocket()[145:281, 252:388] @ [0.299, 0.587, 0.114]
    clean, image = seen(scene, psf, "surroundings", 1.0)
    restored = psnr(clean, deblur(image, psf, 1.0, data_range=255))
    best = psnr(clean, deblur(image, psf, 1.0, data_range=255, boundary="unknown"))
    assert restored > best - 1


def test_videos_with_sigma_in_other_units():
    frames = np.random.default_rng(0).uniform(0, 1, (3, 24, 24))
    with pytest.warns(UserWarning, match="sigma=2 exceeds the whole range of the image"):
        vbm3d(frames, 2.0)


@pytest.mark.parametrize("quality", [50, 75])
def test_strong_compression(quality):
    clean, image = seen(scenes()[0], CURVE, "surroundings", 1.0)
    file = io.BytesIO()
    Image.fromarray(image.round().clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    decoded = np.asarray(Image.open(file))
    assert psnr(clean, deblur(decoded, CURVE)) > psnr(clean, decoded) + 2
    in_units = deblur(decoded / 255.0, CURVE)
    assert psnr(255 * in_units, deblur(decoded, CURVE)) > 60
