"""Masks on a GPU: images, volumes and videos, without a transfer to the host."""

import numpy as np
import pytest
from support.clips import SMALL as SMALL_VIDEO
from support.images import assert_close, noisy, scene
from support.volumes import VOLUME

import fastrestore as fr
from fastrestore._collaborative.profile import Profile

SIGMA = 20
SMALL = Profile.named("np").replace(radius_basic=6, radius_final=6)
IMAGE = np.round(noisy(scene(30, 36), SIGMA)).astype("f4")
COLOR = np.stack([IMAGE, IMAGE[::-1], IMAGE[:, ::-1]], -1)
VALID = np.random.default_rng(0).random(IMAGE.shape) > 0.02
VALID[8:18, 10:24] = False
BY_CHANNEL = np.stack([VALID, VALID[::-1], VALID], -1)
CUBE = np.stack([IMAGE, IMAGE + 3, IMAGE - 2, IMAGE])


@pytest.mark.parametrize(
    ("restore", "array", "valid", "options"),
    [
        (fr.bm3d, IMAGE, VALID, {"profile": SMALL}),
        (fr.bm3d, IMAGE.astype("i4"), VALID, {"profile": SMALL, "max_memory": 1e9}),
        (fr.bm3d, COLOR, VALID, {"profile": SMALL, "channel_axis": -1, "data_range": 255}),
        (fr.bm3d, COLOR, BY_CHANNEL, {"profile": SMALL, "channel_axis": -1}),
        (fr.bm4d, CUBE, VALID, {"profile": VOLUME, "stage": "basic"}),
        (fr.vbm3d, CUBE, VALID, {"profile": SMALL_VIDEO}),
    ],
)
def test_equal_to_the_host(cupy, restore, array, valid, options):
    expected = restore(array, SIGMA, mask=valid, backend="numba", **options)
    whole = valid if valid.ndim != 2 or array.ndim == 2 else np.broadcast_to(
        valid[..., None] if "channel_axis" in options else valid, array.shape
    )  # fmt: skip
    results = []
    for value in (-3000, 7):
        given = array.copy()
        given[~np.broadcast_to(whole, array.shape)] = value
        result = restore(cupy.asarray(given), SIGMA, mask=valid, **options).get()
        assert (result[~whole] == value).all()
        results.append(result[whole])
    np.testing.assert_array_equal(results[0], results[1])
    assert_close(results[0], expected[whole], 255)


def test_noise_is_estimated_from_valid_pixels(cupy):
    image = np.where(VALID, IMAGE, np.nan).astype("f4")
    result = fr.bm3d(cupy.asarray(image), mask=VALID, profile=SMALL).get()
    expected = fr.bm3d(image, mask=VALID, profile=SMALL, backend="numba")
    assert_close(result[VALID], expected[VALID], 255)


def test_the_mask_may_be_on_the_gpu_and_the_image_on_the_host(cupy):
    options = {"profile": SMALL, "backend": "cupy"}
    image = np.where(VALID, IMAGE, np.nan).astype("f4")
    expected = fr.bm3d(image, SIGMA, mask=VALID, **options)
    result = fr.bm3d(image, SIGMA, mask=cupy.asarray(VALID), **options)
    np.testing.assert_array_equal(result, expected)
    assert np.isfinite(result[VALID]).all()


def test_the_result_does_not_wait_for_the_gpu(fake):
    plan = fr.BM3DPlan(IMAGE.shape, IMAGE.dtype, SIGMA, mask=VALID, profile=SMALL)
    image = fake.asarray(IMAGE)
    first = plan(image)
    fake.log.clear()
    second = plan(image)
    assert fake.count("sync") == fake.count("d2h") == 0
    np.testing.assert_array_equal(first.get(), second.get())
