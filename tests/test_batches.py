"""`batch_axis` of `bm3d` and `denoise`: the same as one call for each image."""

import numpy as np
import pytest
from support.images import noisy, scene

from fastrestore import bm3d, denoise
from fastrestore._algorithms import batches

EQUAL = np.testing.assert_array_equal
SHAPE = (24, 26)


def batch(count=4, channels=()):
    """Noisy images (B, M, N) or (B, M, N, C) of one scene."""
    image = scene(*SHAPE)
    each = [noisy(image, 10, k) for k in range(count * int(np.prod(channels)))]
    stacked = np.reshape(each, (count, -1, *SHAPE)).astype(np.float32)
    return np.moveaxis(stacked, 1, -1) if channels else stacked[:, 0]


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("sigma", [10, None])
def test_each_image_by_itself(workers, sigma):
    noise = batch()
    result = bm3d(noise, sigma, batch_axis=0, workers=workers)
    assert result.dtype == np.float32
    EQUAL(result, [bm3d(image, sigma, workers=1) for image in noise])


def test_large_images_one_after_the_other(monkeypatch):
    noise = batch()
    expected = bm3d(noise, 10, batch_axis=0, workers=2)
    monkeypatch.setattr(batches, "SMALL", 10)
    monkeypatch.setattr(batches, "ThreadPoolExecutor", None)
    EQUAL(bm3d(noise, 10, batch_axis=0, workers=2), expected)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_any_axis(axis):
    noise = batch()
    result = bm3d(np.moveaxis(noise, 0, axis), 10, batch_axis=axis)
    EQUAL(np.moveaxis(result, axis, 0), bm3d(noise, 10, batch_axis=0))


@pytest.mark.parametrize(("batch_axis", "channel_axis"), [(0, -1), (0, 1), (3, 0), (1, 0), (2, 3)])
def test_color(batch_axis, channel_axis):
    noise = batch(2, (3,))
    arranged = np.moveaxis(noise, (0, 3), (batch_axis, channel_axis))
    result = bm3d(arranged, 10, batch_axis=batch_axis, channel_axis=channel_axis)
    expected = [bm3d(image, 10, channel_axis=-1) for image in noise]
    EQUAL(np.moveaxis(result, (batch_axis, channel_axis), (0, 3)), expected)


def test_one_level_for_each_image():
    noise, levels = batch(), [5, 10, 15, 0]
    expected = [bm3d(image, level) for image, level in zip(noise, levels, strict=True)]
    EQUAL(bm3d(noise, levels, batch_axis=0), expected)
    EQUAL(bm3d(noise, np.reshape(levels, (4, 1, 1)), batch_axis=0), expected)


def test_maps():
    noise = batch(2)
    levels = np.linspace(5, 15, noise.size).reshape(noise.shape)
    expected = [bm3d(image, level) for image, level in zip(noise, levels, strict=True)]
    EQUAL(bm3d(noise, levels, batch_axis=0), expected)
    EQUAL(bm3d(noise, levels[0], batch_axis=0)[1], bm3d(noise[1], levels[0]))


def test_one_level_for_each_channel_of_each_image():
    noise, levels = batch(2, (3,)), np.array([[5.0, 10, 15], [10, 5, 5]])
    result = bm3d(noise, levels[:, None, None], batch_axis=0, channel_axis=-1)
    expected = [bm3d(image, s, channel_axis=-1) for image, s in zip(noise, levels, strict=True)]
    EQUAL(result, expected)


def test_mask_pilot_and_guide():
    noise, pilot = batch(), batch()[::-1].copy()
    mask = noise > 40
    each = {"mask": mask, "pilot": pilot, "guide": pilot}
    for name, value in each.items():
        result = bm3d(noise, 10, batch_axis=0, **{name: value})
        EQUAL(result, [bm3d(noise[k], 10, **{name: value[k]}) for k in range(4)])
    shared = bm3d(noise, 10, batch_axis=0, mask=mask[:1])
    EQUAL(shared, bm3d(noise, 10, batch_axis=0, mask=mask[0]))


def test_tensors():
    torch = pytest.importorskip("torch")
    noise = batch()
    result = bm3d(torch.from_numpy(noise), 10, batch_axis=0)
    EQUAL(result.numpy(), bm3d(noise, 10, batch_axis=0))


def test_info_of_each_image():
    noise = batch(3) * np.array([1, 2, 3], np.float32)[:, None, None]
    result, infos = bm3d(noise, batch_axis=0, return_info=True)
    EQUAL(result, bm3d(noise, batch_axis=0))
    expected = [bm3d(image, return_info=True)[1].sigma for image in noise]
    assert [info.sigma for info in infos] == expected


def test_progress_in_the_thread_of_the_caller():
    steps = []
    bm3d(batch(), 10, batch_axis=0, workers=2, progress=lambda *step: steps.append(step))
    assert steps == [(25, 100), (50, 100), (75, 100), (100, 100)]


def test_denoise():
    noise = batch()
    EQUAL(denoise(noise, 10, batch_axis=0), bm3d(noise, 10, batch_axis=0))
    with pytest.raises(ValueError, match="tune=True is for one image; leave out batch_axis=0"):
        denoise(noise, 10, batch_axis=0, tune=True)


NOISE = batch()
BAD = [
    (NOISE[0], {}, r"must have 3 axes for batch_axis=0, got shape \(24, 26\)"),
    (NOISE, {"channel_axis": -1}, r"must have 4 axes for batch_axis=0, got shape"),
    (NOISE, {"batch_axis": 3}, "batch_axis=3 is not an axis"),
    (NOISE[..., None], {"channel_axis": 0}, "batch_axis and channel_axis are the same axis, 0"),
    (NOISE[:0], {}, "image is empty"),
    (NOISE, {"sigma": [10, 20]}, "sigma must be one number, or 4, one for each image, got 2"),
    (NOISE, {"sigma": [1, 2, 3, -4]}, "image 3 of the batch: sigma must be a number of 0 or more"),
    (NOISE, {"mask": np.ones((3, *SHAPE), bool)}, r"mask has shape \(3, 24, 26\), which does not"),
    (np.where(NOISE[2, 3, 4] == NOISE, np.nan, NOISE), {}, "image 2 of the batch: .*NaN"),
    (NOISE, {"profile": "slow"}, "profile"),
]


@pytest.mark.parametrize(("image", "options", "message"), BAD)
def test_bad_input(image, options, message):
    with pytest.raises(ValueError, match=message):
        bm3d(image, **{"sigma": 10, "batch_axis": 0, **options})
