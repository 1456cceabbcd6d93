"""`denoise` of stacks with named axes: the same as the functions for images, films and volumes."""

import re

import numpy as np
import pytest
from support.images import noisy, scene

from fastrestore import Info, bm3d, bm4d, denoise, estimate_noise, vbm3d

FAST = {"profile": "fast", "workers": 1}
EQUAL = np.testing.assert_array_equal


def stack(*shape):
    """Noisy views of a scene of 24 x 26 pixels."""
    image = scene(24, 26)
    each = [noisy(image, 10, k) for k in range(int(np.prod(shape)))]
    return np.reshape(each, (*shape, 24, 26)).astype(np.float32)


@pytest.mark.parametrize("axes", ["ZCYX", "zcyx", "TCYX", "QPYX"])
def test_planes_are_restored_one_by_one(axes):
    noise = stack(2, 2)
    result = denoise(noise, 10, axes=axes, **FAST)
    assert result.dtype == np.float32
    for k in np.ndindex(2, 2):
        EQUAL(result[k], bm3d(noise[k], 10, **FAST))


def test_axes_in_any_order():
    noise = stack(2)
    result = denoise(noise.transpose(1, 2, 0), 10, axes="YXZ", **FAST)
    EQUAL(result.transpose(2, 0, 1), denoise(noise, 10, axes="ZYX", **FAST))


@pytest.mark.parametrize("kind", ["planes", "film", "volume"])
@pytest.mark.parametrize("order", ["XYZT", "YXTZ", "ZTXY", "XTYZ"])
def test_the_order_of_axes_does_not_change_a_result(kind, order):
    """Rounding depends on the order, by which similar blocks are then chosen."""
    noise = stack(2, 6)
    mask = noise != noise[0, 3].max()
    sigma = np.linspace(5, 15, 24)[:, None] * np.ones(26) if kind != "film" else 10.0
    there = ["TZYX".index(name) for name in order]
    given = sigma
    if kind != "film":
        given = np.broadcast_to(sigma, (2, 6, 24, 26)).transpose(there)
    one = denoise(noise, sigma, axes="TZYX", kind=kind, mask=mask, workers=1)
    other = denoise(noise.transpose(there), given, axes=order, kind=kind, workers=1,
                    mask=mask.transpose(there))  # fmt: skip
    EQUAL(other.transpose([order.index(name) for name in "TZYX"]), one)


def test_samples_are_restored_together():
    noise = stack(2, 3)
    result = denoise(noise, 10, axes="ZSYX", **FAST)
    EQUAL(result[1], bm3d(noise[1], 10, channel_axis=0, **FAST))
    assert not np.array_equal(result, denoise(noise, 10, axes="ZCYX", **FAST))


def test_one_image():
    noise = stack()
    EQUAL(denoise(noise, 10, axes="YX", **FAST), bm3d(noise, 10, **FAST))


def test_film():
    noise = stack(3, 2)
    result = denoise(noise, 10, axes="TCYX", kind="film", workers=1)
    for c in range(2):
        EQUAL(result[:, c], vbm3d(noise[:, c], 10, workers=1))


def test_volume():
    noise = stack(2, 5)
    result = denoise(noise, 10, axes="TZYX", kind="volume", workers=1)
    for t in range(2):
        EQUAL(result[t], bm4d(noise[t], 10, slice_axis=0, workers=1))


def test_noise_is_estimated_for_each_plane():
    noise = stack(2)
    noise[1] *= 3
    result, infos = denoise(noise, axes="ZYX", return_info=True, **FAST)
    assert [type(info) for info in infos] == [Info, Info]
    for k in range(2):
        EQUAL(infos[k].sigma, estimate_noise(noise[k]).sigma[0])
        EQUAL(result[k], bm3d(noise[k], **FAST))


def test_sigma_and_mask_of_each_part():
    noise = stack(2)
    sigma = np.array([0.0, 10.0])[:, None, None]
    result = denoise(noise, sigma, axes="ZYX", **FAST)
    EQUAL(result[0], noise[0])
    assert (result[1] != noise[1]).mean() > 0.9
    mask = np.ones((24, 26), bool)
    mask[3:6, 4] = False
    result = denoise(noise, 10, mask=mask, axes="ZYX", **FAST)
    for k in range(2):
        EQUAL(result[k], bm3d(noise[k], 10, mask=mask, **FAST))


def test_progress_of_all_parts():
    seen = []
    denoise(stack(2), 10, axes="ZYX", progress=lambda *step: seen.append(step), **FAST)
    assert seen[-1] == (100, 100)
    assert (50, 100) in seen
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": "YX"}, "axes='YX' has 2 letters, and the shape is (2, 24, 26); write a letter"),
        ({"axes": "ZZX"}, "axes='ZZX' must have different letters"),
        ({"axes": "Z,X"}, "axes='Z,X' must have different letters"),
        ({"axes": "TZX"}, "axes='TZX' must have Y and X, the rows and columns; write a letter"),
        (
            {"axes": "ZYX", "kind": "film"},
            "kind='film' needs an axis T, and axes='ZYX' has none; write kind='planes' or "
            "kind='volume'",
        ),
        ({"kind": "film"}, "kind='film' needs axes, such as axes='TYX'"),
        ({"axes": "ZYX", "kind": "slices"}, "kind must be one of 'planes', 'film', 'volume', got"),
        ({"axes": "ZYX", "channel_axis": 0}, "axes names all axes; leave out channel_axis=0"),
        (
            {"axes": "ZYX", "kind": "volume", "tune": True},
            "tune=True is not used by kind='volume', only by kind='planes'",
        ),
        (
            {"axes": "ZYX", "kind": "volume", "method": "unet"},
            "method='unet' is not used by kind='volume', only by kind='planes'",
        ),
        (
            {"axes": "ZYX", "mask": np.ones((3, 1, 1), bool)},
            "mask has shape (3, 1, 1), which does not broadcast to the shape (2, 24, 26)",
        ),
        ({"axes": "ZYX", "profile": "none"}, "at Z=0: profile"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        denoise(stack(2), 10, **options)


def test_axes_that_are_no_string():
    with pytest.raises(TypeError, match="axes must be a string, got 3; write a letter for each"):
        denoise(stack(2), 10, axes=3)
