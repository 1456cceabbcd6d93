"""Block matching on another image of the same scene."""

import numpy as np
import pytest
from support.images import assert_close, noisy, psnr, scene

from fastrestore import bm3d


def test_a_clean_guide_improves_the_result():
    clean = scene(72, 72)
    image = noisy(clean, 60)
    plain = psnr(clean, bm3d(image, 60))
    for guide in (255 - clean, clean / 1e3, (clean * 100).astype("u2")):
        assert psnr(clean, bm3d(image, 60, guide=guide)) > plain + 0.3


def test_backends_agree_and_the_image_as_guide():
    clean = scene(40, 48)
    image, guide = np.round(noisy(clean, 30)), np.round(noisy(clean, 5, seed=2))
    results = [bm3d(image, 30, guide=guide, backend=name) for name in ("numpy", "numba")]
    assert_close(results[1], results[0], 255)
    itself = bm3d(image, 30, guide=image)
    assert psnr(clean, itself) > psnr(clean, image) + 5


def test_units_of_the_guide_are_independent():
    image, guide = noisy(scene(32, 32), 30), scene(32, 32)
    expected = bm3d(image, 30, guide=guide)
    np.testing.assert_array_equal(bm3d(image, 30, guide=guide * 2.0**20), expected)
    np.testing.assert_array_equal(bm3d(image * 4, 120, guide=guide), expected * 4)


def test_channels_maps_pilots_and_small_images():
    clean = np.stack([scene(40, 40), scene(40, 40)[::-1], scene(40, 40, seed=5)], axis=-1)
    image = noisy(clean, 30)
    one = bm3d(image, 30, channel_axis=-1, guide=clean.mean(-1))
    np.testing.assert_allclose(bm3d(image, 30, channel_axis=-1, guide=clean), one, atol=1e-2)
    level = np.linspace(10, 50, 40)
    gray = noisy(clean[..., 0], level)
    guided = bm3d(gray, level, guide=clean[..., 0])
    assert psnr(clean[..., 0], guided) > psnr(clean[..., 0], bm3d(gray, level)) - 0.5
    assert np.isfinite(bm3d(gray, 30, pilot=guided, guide=clean[..., 0])).all()
    for shape in ((1, 1), (3, 20)):
        small = 10 + np.arange(float(np.prod(shape))).reshape(shape)
        assert np.isfinite(bm3d(small, 1, guide=small[::-1])).all()
    flat = bm3d(gray, 30, guide=np.zeros((40, 40)))  # matches everywhere: any blocks
    assert np.isfinite(flat).all()


@pytest.mark.parametrize(
    ("error", "message", "guide"),
    [
        (ValueError, r"guide has shape \(16, 15\); it must be \(16, 16\)", np.ones((16, 15))),
        (TypeError, r"guide must be an array, got list", [[1]]),
        (ValueError, r"guide has values.*NaN", np.full((16, 16), np.nan)),
    ],
)
def test_bad_guides(error, message, guide):
    with pytest.raises(error, match=message):
        bm3d(scene(16, 16), 5, guide=guide)
