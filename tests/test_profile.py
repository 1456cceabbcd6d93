"""Profiles and the stages made from them."""

import dataclasses

import numpy as np
import pytest
import pywt
from support.stages import image_stage

from fastrestore import Profile, bm3d
from fastrestore._collaborative.covariance import (
    coefficient_covariance,
    transform_matrix,
    white_covariance,
)
from fastrestore._collaborative.profile import PROFILES
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.host import reference_grid
from fastrestore.backends.numpy.bm3d import group_variance, haar_matrix


def test_names_and_video_settings():
    assert list(PROFILES) == [
        "np",
        "refilter",
        "iterative",
        "fast",
        "lc",
        "balanced",
        "high",
        "video",
        "volume",
        "vn",
        "signal",
        "time",
    ]
    assert Profile.named("np") == Profile(name="np")
    fast = Profile.named("fast")
    assert (fast.step_basic, fast.step_final) == (8, 6)
    for stage in ("basic", "final"):
        assert getattr(fast, f"radius_{stage}") == 5
        assert getattr(fast, f"group_{stage}") == 8


def test_profiles_are_frozen_and_replaced():
    profile = Profile.named("np")
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile.step_basic = 4
    other = profile.replace(step_basic=4)
    assert (other.name, other.step_basic, profile.step_basic) == ("custom", 4, 3)
    assert profile.replace(name="mine").name == "mine"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("block_basic", 1, "block_basic must be a whole number from 2 to 16, got 1"),
        ("block_final", 8.0, "block_final must be a whole number.*got 8.0"),
        ("step_basic", 0, "step_basic must be a whole number from 1 to 8, got 0"),
        ("step_final", 9, "step_final must be a whole number from 1 to 8, got 9"),
        ("radius_basic", -1, "radius_basic must be a whole number from 0 to 127, got -1"),
        ("group_final", 12, "group_final must be a power of two from 1 to 64, got 12"),
        ("match_basic", -1.0, r"match_basic must be a number from 0 to 1e\+09, got -1.0"),
        ("threshold", float("nan"), r"threshold must be a number from 0 to 1e\+09, got nan"),
        ("threshold", 1e300, r"threshold must be a number from 0 to 1e\+09, got 1e\+300"),
        ("wiener", "a", r"wiener must be a number from 0 to 1e\+09, got 'a'"),
        ("kaiser_final", float("inf"), "kaiser_final must be a number from 0 to 6, got inf"),
        ("kaiser_basic", 1e4, "kaiser_basic must be a number from 0 to 6, got 10000.0"),
        ("group_basic", 16.0, "group_basic must be a whole number from 1 to 64, got 16.0"),
        ("group_basic", True, "group_basic must be a whole number from 1 to 64, got True"),
        ("match_noise_final", True, r"match_noise_final must be a number from 0.*, got True"),
        ("sharpen", 0.5, r"sharpen must be a number from 1 to 1e\+09, got 0.5"),
        ("residual", None, r"residual must be a number from 0 to 1e\+09, got None"),
        ("transform_basic", 3, "transform_basic must be the name of a transform.*got 3"),
        ("name", None, "name must be a string, got None"),
    ],
)
def test_bad_fields(field, value, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Profile(**{field: value})


def test_numbers_of_other_types_become_plain_ones():
    profile = Profile(
        group_basic=np.int64(8), step_final=np.array(2), kaiser_basic=np.float32(1.5), threshold=3
    )
    assert profile == Profile(group_basic=8, step_final=2, kaiser_basic=1.5, threshold=3.0)
    values = [profile.group_basic, profile.step_final, profile.kaiser_basic, profile.threshold]
    assert [type(value) for value in values] == [int, int, float, float]


def test_unknown_field():
    with pytest.raises(
        TypeError, match="Profile has no field 'steps'; its fields are name, block_basic"
    ):
        Profile.named("np").replace(steps=4)


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("bior", 8, "transform 'bior' is unknown; write 'dct', 'hadamard' or a discrete wavelet"),
        ("bior1.5", 11, "'bior1.5' needs a block of 2, 4, 8, 16, 32 or 64 pixels, not 11"),
        ("hadamard", 12, "'hadamard' needs a block of 2, 4, 8, 16, 32 or 64 pixels, not 12"),
    ],
)
def test_bad_transforms(name, size, message):
    with pytest.raises(ValueError, match=message):
        transform_matrix(name, size)


@pytest.mark.parametrize("name", ["bior1.5", "haar", "db4"])
def test_wavelet_matrix_equals_pywavelets(name):
    signal = np.random.default_rng(0).standard_normal(8)
    expected = np.concatenate(_decompose(signal, name))
    matrix = transform_matrix(name, 8)
    scale = np.linalg.norm(matrix, axis=1)
    np.testing.assert_allclose(scale, 1)
    ratio = matrix @ signal / expected
    columns = np.array([np.concatenate(_decompose(e, name)) for e in np.eye(8)]).T
    np.testing.assert_allclose(ratio, 1 / np.linalg.norm(columns, axis=1))


def _decompose(signal, name):
    parts = []
    while len(signal) > 1:
        signal, high = pywt.dwt(signal, name, mode="periodization")
        parts.insert(0, high)
    return [signal, *parts]


def test_bior15_has_the_published_numbers():
    matrix = transform_matrix("bior1.5", 8)
    np.testing.assert_allclose(matrix[0], 0.353553, atol=1e-6)
    np.testing.assert_allclose(np.abs(matrix[1]).max(), 0.449284, atol=1e-6)
    assert np.allclose(np.sort(np.abs(matrix[4:]))[:, -2:], 0.5**0.5)


@pytest.mark.parametrize(("name", "size"), [("dct", 8), ("dct", 11), ("hadamard", 8), ("haar", 4)])
def test_orthonormal_transforms(name, size):
    matrix = transform_matrix(name, size)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(size), atol=1e-12)


def test_reference_grid_ends_at_the_border():
    assert reference_grid(20, 8, 3).tolist() == [0, 3, 6, 9, 12]
    assert reference_grid(21, 8, 3).tolist() == [0, 3, 6, 9, 12, 13]
    assert reference_grid(8, 8, 3).tolist() == [0]


def test_thresholds_grow_with_the_noise():
    low, high = (
        image_stage(Profile.named("np"), "basic", PlaneNoise.white(sigma), 255.0).match
        for sigma in (10.0, 50.0)
    )
    assert low == pytest.approx(64 * (3000 + 2 * 100), rel=1e-6)
    assert high == pytest.approx(64 * (3000 + 2 * 2500), rel=1e-6)


@pytest.mark.parametrize("noise", ["white", "line", "texture"])
def test_variance_of_group_coefficients_is_exact(noise):
    """Against the variance measured on noise, blocks overlapping in many ways."""
    rng = np.random.default_rng(0)
    corners = np.array([[5, 5], [5, 6], [7, 3], [5, 5 + 8], [0, 0], [12, 9], [6, 6], [1, 9]])
    matrix, haar = transform_matrix("bior1.5", 8), haar_matrix(8)
    y, x = np.mgrid[-4:5, -4:5]
    kernel = {"white": (y == 0) & (x == 0), "line": y + x == 0, "texture": np.cos(y + 2 * x)}[noise]
    kernel = kernel / np.linalg.norm(kernel)
    response = np.fft.rfft2(kernel, (48, 48))
    white = rng.standard_normal((6000, 48, 48))
    images = np.fft.irfft2(np.fft.rfft2(white) * response)
    groups = np.stack([images[:, y : y + 8, x : x + 8] for y, x in corners], axis=1)
    measured = np.einsum("kt,ntuv->nkuv", haar, matrix @ groups @ matrix.T).var(axis=0)
    power = np.abs(np.fft.fft2(kernel, (48, 48))) ** 2
    covariance = coefficient_covariance((matrix, matrix), power[None], (38, 38))[0]
    expected = group_variance(corners, covariance, haar, None)
    np.testing.assert_allclose(measured, expected, rtol=0.12, atol=0.01)
    assert expected.max() > 1.5
    assert expected.min() < 0.5
    if noise == "white":
        white_one = white_covariance("bior1.5", (8, 8))[0]
        np.testing.assert_allclose(white_one, covariance, atol=1e-12)


def test_the_widest_range_of_weights_is_aggregated_without_loss(engine):
    # With a beta of 15, pixels at the ends of blocks became 0
    image = 100 + 10 * np.random.default_rng(0).standard_normal((64, 64))
    profile = Profile(kaiser_basic=6, kaiser_final=6, step_basic=8, step_final=8)
    results = [bm3d(image, 10, profile=profile, backend=name) for name in ("numpy", engine)]
    assert np.abs(results[0] - results[1]).max() < 0.01
