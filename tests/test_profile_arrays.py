"""Arrays of a profile: factors of the strength by coefficient, windows, transforms and inverses."""

import pickle

import numpy as np
import pytest
from support.images import camera, noisy, psnr, scene
from support.stages import image_stage

import fastrestore
from fastrestore import Profile
from fastrestore._collaborative.covariance import inverse_matrix, kaiser_window, transform_matrix
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends import numba as numba_package
from fastrestore.backends import select
from fastrestore.backends.numpy.bm3d import factors_of, haar_matrix
from fastrestore.backends.protocol import Execution
from fastrestore.errors import BackendUnavailableError

EXECUTION = Execution(2)
SMALL = {"radius_basic": 5, "radius_final": 5}


def orthonormal(seed, size=8):
    """Return an orthonormal matrix whose first row is constant."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([np.ones((1, size)), rng.standard_normal((size - 1, size))])
    matrix = np.linalg.qr(rows.T)[0].T
    return matrix * np.sign(matrix[0, 0])


def fields(kind, rng):
    """Return arrays of one kind, or all."""
    wrong = orthonormal(1).T + np.where(np.arange(8) > 0, 0.02 * rng.standard_normal((8, 8)), 0)
    return {
        "factors": {
            "threshold_factors": rng.uniform(0.5, 1.5, (5, 8, 8)),
            "wiener_factors": rng.uniform(0.2, 3, (7, 8, 8)),
        },
        "window": {"window_basic": rng.uniform(0.1, 1, 8), "window_final": [0.3] * 4 + [0.9] * 4},
        "transform": {"transform_basic": orthonormal(1), "transform_final": orthonormal(2)},
        "inverse": {"transform_basic": orthonormal(1), "inverse_basic": wrong},
    }[kind]


@pytest.mark.parametrize("kind", ["factors", "window", "transform", "inverse"])
@pytest.mark.parametrize("which", ["basic", "final"])
def test_numba_equals_the_specification(kind, which):
    profile = Profile(**SMALL, **fields(kind, np.random.default_rng(0)))
    stage = image_stage(profile, which, PlaneNoise.white(20.0), 255.0)
    image, pilot = (
        noisy(scene(40, 37), sigma, seed=k)[None].astype(np.float32)
        for k, sigma in enumerate((20, 4))
    )
    images = (image,) if which == "basic" else (image, pilot)
    matches = select.select("numpy").bm3d_match(images[-1][0], stage, EXECUTION)
    expected, actual = (
        select.select(name).bm3d_filter(images, matches, stage, EXECUTION)
        for name in ("numpy", "numba")
    )
    np.testing.assert_allclose(actual, expected, atol=255 * 2e-6)
    plain = image_stage(Profile(**SMALL), which, PlaneNoise.white(20.0), 255.0)
    other = select.select("numba").bm3d_filter(images, matches, plain, EXECUTION)
    if kind != "inverse" or which == "basic":
        assert np.abs(other - actual).max() > 0.1
    gradient = np.random.default_rng(4).standard_normal(image.shape)
    first, second = (
        select.select(name).bm3d_backward(gradient, expected, images, matches, stage, EXECUTION)
        for name in ("numpy", "numba")
    )
    for a, b in zip(first.images, second.images, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-4 * np.abs(a).max())
    np.testing.assert_allclose(second.variances, first.variances, rtol=1e-4)


@pytest.mark.parametrize("host", ["numpy", "numba"])
def test_the_arrays_of_a_plain_profile_change_nothing(host):
    image = noisy(camera(height=32, width=36), 20)
    profile = Profile(
        **SMALL,
        threshold_factors=np.ones((5, 8, 8)),
        wiener_factors=np.ones((6, 8, 8)),
        window_basic=kaiser_window(8, 2.0),
        window_final=kaiser_window(8, 2.0),
        transform_basic=transform_matrix("bior1.5", 8),
        inverse_basic=inverse_matrix("bior1.5", 8),
        transform_final=transform_matrix("dct", 8),
    )
    plain = fastrestore.bm3d(image, 20, profile=Profile(**SMALL), backend=host)
    np.testing.assert_allclose(
        fastrestore.bm3d(image, 20, profile=profile, backend=host), plain, atol=1e-4
    )


def test_rows_of_factors_are_levels_of_the_haar_transform():
    """Without noise in the differences of two blocks, these differences pass, and no others."""
    factors = np.full((3, 8, 8), 1000.0)
    factors[1] = 0
    profile = Profile(**SMALL, group_basic=4, threshold_factors=factors)
    stage = image_stage(profile, "basic", PlaneNoise.white(1.0), 255.0)
    assert stage.factors.shape == (3, 8, 8)
    blocks = (haar_matrix(4) != 0).sum(1)
    assert blocks.tolist() == [4, 4, 2, 2]
    assert (factors_of(4, stage)[:, 1, 1] == 0).tolist() == [False, False, True, True]


@pytest.mark.parametrize("kind", ["factors", "window", "transform", "inverse"])
def test_results_follow_offset_and_scale(kind):
    image = noisy(camera(height=40, width=36), 20)
    profile = Profile(**SMALL, **fields(kind, np.random.default_rng(0)))
    result = fastrestore.bm3d(image, 20, profile=profile, data_range=255)
    moved = fastrestore.bm3d(4 * image + 1000, 80, profile=profile, data_range=1020)
    np.testing.assert_allclose(moved, 4 * result + 1000, atol=0.05)
    assert psnr(camera(height=40, width=36), result) > psnr(camera(height=40, width=36), image)


def test_videos():
    video = np.stack([noisy(camera(height=32, width=36), 20, seed=k) for k in range(3)])
    profile = Profile.named("video").replace(**fields("factors", np.random.default_rng(0)))
    expected, actual = (
        fastrestore.vbm3d(video, 20, profile=profile, backend=name) for name in ("numpy", "numba")
    )
    np.testing.assert_allclose(actual, expected, atol=255 * 2e-5)
    assert np.abs(actual - fastrestore.vbm3d(video, 20)).max() > 1


def test_profiles_with_arrays_are_values():
    profile = Profile(**fields("factors", np.random.default_rng(0)), window_basic=[0.5] * 8)
    again = eval(repr(profile), {"Profile": Profile})
    assert again == profile == pickle.loads(pickle.dumps(profile))
    assert hash(again) == hash(profile)
    assert profile.window_basic == (0.5,) * 8
    assert profile != profile.replace(window_basic=[0.6] * 8)
    plain = profile.replace(threshold_factors=None, wiener_factors=None, window_basic=None)
    assert plain == Profile()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold_factors": 1}, r"numbers from 0 to 1000 of shape \(5, 8, 8\).*, got 1"),
        ({"wiener_factors": np.ones((5, 8, 8))}, r"\(6, 8, 8\).*, got shape \(5, 8, 8\)"),
        ({"wiener_factors": np.ones((8, 8, 8))}, r"up to 7 for the first axis, got shape"),
        ({"wiener_factors": -np.ones((6, 8, 8))}, r"got -1.0 at \(0, 0, 0\)"),
        ({"wiener_factors": np.full((6, 8, 8), 2e3)}, "from 0 to 1000.*got"),
        ({"threshold_factors": "a"}, "threshold_factors must be numbers.*got 'a'"),
        ({"group_final": 64, "wiener_factors": np.ones((6, 8, 8))}, r"shape \(7, 8, 8\)"),
        ({"block_final": 12, "wiener_factors": np.ones((6, 8, 8))}, r"shape \(6, 12, 12\)"),
        ({"window_final": [1] * 7}, r"window_final must be 8 numbers.*got shape \(7,\)"),
        ({"window_basic": [0] * 8}, r"window_basic must be 8 numbers from 0.01 to 1, got \[0.0"),
        ({"window_basic": [2] * 8}, "window_basic must be 8 numbers from 0.01 to 1"),
        ({"transform_final": np.ones((8, 8))}, "invertible matrix.*rows of norm 1"),
        ({"transform_final": np.eye(8)}, "the first constant"),
        ({"transform_final": orthonormal(0)[:, :4]}, r"got shape \(8, 4\)"),
        ({"transform_final": orthonormal(0)[[0, 1, 1, 3, 4, 5, 6, 7]]}, "invertible"),
        ({"transform_basic": None}, "transform_basic must be the name of a transform.*got None"),
        ({"inverse_final": np.eye(8)}, "inverse_final must be.*first column is 0.353553"),
        ({"inverse_basic": [1]}, r"inverse_basic must be a matrix.*got shape \(1,\)"),
    ],
)
def test_bad_arrays(changes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Profile(**changes)


def test_volumes_are_refused():
    profile = Profile(window_basic=[0.5] * 8)
    with pytest.raises(ValueError, match="arrays, which are for images and videos only"):
        fastrestore.bm4d(np.zeros((4, 16, 16)), 1, profile=profile)


def test_factors_need_a_backend_that_has_them(monkeypatch):
    profile = Profile(wiener_factors=np.ones((6, 8, 8)))
    monkeypatch.setattr(numba_package, "capabilities", frozenset({"image"}))
    with pytest.raises(BackendUnavailableError, match="lacks the capability 'factors'; use one"):
        fastrestore.bm3d(np.zeros((16, 16)), 1, profile=profile, backend="numba")
    assert select.select(None, True, "factors", 2**30).NAME == "numpy"
