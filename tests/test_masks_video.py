"""Masks of volumes and videos."""

import numpy as np
import pytest
from support.images import assert_close, psnr, scene

from fastrestore import bm4d, vbm3d

SIGMA = 15
FILLS = (np.nan, np.inf, -6e4)
MOVING = np.stack([scene(40, 48 + 6)[:, k : k + 48] for k in range(6)])  # frames or slices
NOISY = MOVING + SIGMA * np.random.default_rng(0).standard_normal(MOVING.shape)
VALID = np.random.default_rng(1).random(MOVING.shape) > 0.01
VALID[:, 10:24, 12:30] = False
VALID[2, :, 5] = False


def replaced(array, valid, value):
    return np.where(np.broadcast_to(valid, array.shape), array, value)


@pytest.mark.parametrize(
    ("array", "valid", "options"),
    [
        (NOISY, VALID, {"sigma": SIGMA}),
        (NOISY, VALID, {}),
        (NOISY, VALID, {"sigma": np.where(VALID, SIGMA, np.nan)}),
        (NOISY.transpose(1, 2, 0), VALID.transpose(1, 2, 0), {"sigma": SIGMA}),
        (np.stack([NOISY, NOISY[:, ::-1]], -1), VALID, {"sigma": SIGMA, "channel_axis": -1}),
        (NOISY[:3, :3], VALID[:3, :3], {"sigma": SIGMA}),
    ],
)
def test_values_of_invalid_voxels_have_no_influence(array, valid, options):
    whole = np.broadcast_to(valid.reshape(valid.shape + (1,) * (array.ndim - 3)), array.shape)
    results = []
    for value in FILLS:
        given = replaced(array, whole, value)
        result = bm4d(given, mask=valid, **options)
        np.testing.assert_array_equal(result[~whole], given[~whole])
        results.append(result[whole])
    assert np.isfinite(results[0]).all()
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_valid_voxels_are_restored_nearly_as_well():
    result = bm4d(replaced(NOISY, VALID, np.nan), SIGMA, mask=VALID)
    expected = bm4d(NOISY, SIGMA)
    assert psnr(MOVING[VALID], result[VALID]) > psnr(MOVING[VALID], expected[VALID]) - 0.3


@pytest.mark.parametrize("restore", [bm4d, vbm3d])
def test_backends_agree(engine, restore):
    options = {"mask": VALID[:4], "stage": "basic"}
    image = np.round(NOISY[:4])
    expected = restore(image, SIGMA, backend="numpy", **options)
    assert_close(restore(image, SIGMA, backend=engine, **options), expected, 255)


@pytest.mark.parametrize("restore", [bm4d, vbm3d])
def test_a_mask_without_invalid_pixels_changes_nothing(restore):
    expected = restore(NOISY, SIGMA)
    for mask in (True, np.ones(NOISY.shape, bool), np.ones((40, 1), bool)):
        np.testing.assert_array_equal(restore(NOISY, SIGMA, mask=mask), expected)


COLOR = np.stack([NOISY, NOISY[:, ::-1], NOISY[..., ::-1]], -1)


@pytest.mark.parametrize(
    ("array", "valid", "options"),
    [
        (NOISY, VALID, {"sigma": SIGMA}),
        (NOISY, VALID, {}),
        (NOISY, VALID[0], {"sigma": SIGMA, "radius": 1}),
        (NOISY.transpose(1, 2, 0), VALID[0], {"sigma": SIGMA, "time_axis": -1, "radius": 1}),
        (COLOR, VALID[0], {"sigma": SIGMA, "channel_axis": -1, "radius": 1}),
        (COLOR, VALID, {"sigma": SIGMA, "channel_axis": -1, "radius": 1}),
        (COLOR, VALID[0][..., None] & [True, False, True] | (COLOR[0] > 60),
         {"sigma": SIGMA, "channel_axis": -1, "radius": 1}),
    ],
)  # fmt: skip
def test_values_of_invalid_pixels_of_a_video_have_no_influence(array, valid, options):
    lacks_last = (array.ndim == 4 and valid.shape[-1] != 3) or "time_axis" in options
    whole = valid[..., None] if lacks_last else valid
    whole = np.broadcast_to(whole, array.shape)
    results = []
    for value in FILLS:
        given = replaced(array, whole, value)
        result = vbm3d(given, mask=valid, **options)
        np.testing.assert_array_equal(result[~whole], given[~whole])
        results.append(result[whole])
    assert np.isfinite(results[0]).all()
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_valid_pixels_of_a_video_are_restored_nearly_as_well():
    result = vbm3d(replaced(NOISY, VALID, np.nan), SIGMA, mask=VALID)
    expected = vbm3d(NOISY, SIGMA)
    assert psnr(MOVING[VALID], result[VALID]) > psnr(MOVING[VALID], expected[VALID]) - 0.4


def test_streams_take_a_mask_for_all_frames():
    """The generator yields one buffer again and again."""
    buffer = np.empty(NOISY.shape[1:])

    def frames():
        for frame in replaced(NOISY, VALID[0], np.nan) + np.arange(6.0)[:, None, None]:
            buffer[:] = frame
            yield buffer

    expected = vbm3d(np.stack([f.copy() for f in frames()]), SIGMA, mask=VALID[0])
    result = np.stack(list(vbm3d(frames(), SIGMA, mask=VALID[0])))
    np.testing.assert_array_equal(result, expected)
    assert np.isfinite(result[:, VALID[0]]).all()
    with pytest.raises(
        ValueError, match=r"mask must be .* broadcasts to \(40, 48\), got shape \(6,"
    ):
        next(vbm3d(frames(), SIGMA, mask=VALID))


def test_frames_without_valid_pixels_are_ignored():
    valid = np.ones(NOISY.shape, bool)
    valid[[2, 3]] = False
    given = replaced(NOISY, valid, np.nan)
    result = vbm3d(given, SIGMA, mask=valid)
    assert np.isnan(result[[2, 3]]).all()
    kept = [0, 1, 4, 5]
    np.testing.assert_array_equal(result[kept], vbm3d(NOISY[kept], SIGMA))
    np.testing.assert_array_equal(vbm3d(given, 0, mask=valid), given)
    with pytest.raises(ValueError, match="mask is False everywhere in frame 0; leave this frame"):
        vbm3d(NOISY[2:], SIGMA, mask=valid[2:])


@pytest.mark.parametrize(
    ("restore", "error", "message", "options"),
    [
        (bm4d, ValueError, "mask is False everywhere", {"mask": np.zeros(NOISY.shape, bool)}),
        (vbm3d, ValueError, "mask is False everywhere", {"mask": np.zeros(NOISY.shape, bool)}),
        (bm4d, ValueError, r"broadcasts to \(6, 40, 48\), got", {"mask": np.ones((48, 40), bool)}),
        (vbm3d, ValueError, r"broadcasts to \(6, 40, 48\).*got", {"mask": np.ones((48, 40), bool)}),
        (bm4d, TypeError, "got float64; write mask != 0", {"mask": np.ones(NOISY.shape)}),
        (vbm3d, TypeError, "got float64; write mask != 0", {"mask": np.ones(NOISY.shape)}),
    ],
)
def test_other_masks(restore, error, message, options):
    with pytest.raises(error, match=message):
        restore(NOISY, SIGMA, **options)


def test_nan_names_the_mask():
    array = NOISY.copy()
    array[3, 2, 1] = np.nan
    with pytest.raises(ValueError, match=r"volume has values.*nan at \(3, 2, 1\).*by mask="):
        bm4d(array, SIGMA)
    with pytest.raises(ValueError, match=r"frame 3 has values.*nan at \(2, 1\).*by mask="):
        vbm3d(array, SIGMA)
    with pytest.raises(
        ValueError, match=r"frame 3, where mask is True, has values.*nan at \(2, 1\)"
    ):
        vbm3d(array, SIGMA, mask=np.arange(48) > 0)
