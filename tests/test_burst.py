"""`denoise_burst`: quality, moving objects, types, invalid arguments."""

import numpy as np
import pytest
from support.images import camera, psnr

from fastrestore import bm3d, denoise_burst
from fastrestore._arrays.register import resample

SIGMA = 20.0


def motion(shape, degrees, shift):
    """Return a rotation about the center followed by a shift."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (np.array(shape) - 1) / 2
    return np.column_stack([turn, middle - turn @ middle + np.array(shift)])


def inverse(motion):
    return np.linalg.inv(np.vstack([motion, [0, 0, 1]]))[:2]


MOTIONS = [(0, (0, 0)), (0.7, (3.4, -5.2)), (-0.9, (-6.1, 2.7)), (0.3, (1.5, 6.6))]


@pytest.fixture(scope="module")
def scene():
    return camera(top=90, left=170, height=110, width=120)


@pytest.fixture(scope="module")
def frames(scene):
    return [
        view + SIGMA * np.random.default_rng(k).standard_normal(view.shape)
        for k, view in enumerate(views(scene))
    ]


def views(scene):
    """Return the views of the scene in the frames of a burst."""
    moves = [motion(scene.shape, *each) for each in MOTIONS]
    return [scene, *(resample(scene[None], inverse(move))[0][0] for move in moves[1:])]


def test_a_burst_is_better_than_a_frame(scene, frames):
    result = denoise_burst(frames, SIGMA)
    assert result.shape == scene.shape
    assert result.dtype == np.float64
    one = psnr(scene, bm3d(frames[0], SIGMA))
    assert psnr(scene, result) > one + 2.5
    twice = denoise_burst(frames[:2], SIGMA)
    assert one + 0.5 < psnr(scene, twice) < psnr(scene, result)


def test_the_result_is_aligned_with_the_reference(scene, frames):
    view = views(scene)[2]
    for number in (2, -2):
        result = denoise_burst(frames, SIGMA, reference=number)
        inner = np.s_[10:-10, 10:-10]
        assert (
            psnr(view[inner], result[inner]) > psnr(view[inner], bm3d(frames[2], SIGMA)[inner]) + 2
        )


def test_moving_objects_follow_the_reference(scene, frames):
    y, x = np.mgrid[: scene.shape[0], : scene.shape[1]]
    passing = [(y - 30 - 12 * k) ** 2 + (x - 30 - 15 * k) ** 2 < 12**2 for k in range(4)]
    noise = np.random.default_rng(9).normal(0, SIGMA, (4, *scene.shape))
    moving = [np.where(p, 220 + n, f) for p, n, f in zip(passing, noise, frames, strict=True)]
    clean = np.where(passing[0], 220, scene)
    result, one = denoise_burst(moving, SIGMA), bm3d(moving[0], SIGMA)
    assert psnr(clean, result) > psnr(clean, one) + 0.5
    assert abs(result[passing[0]].mean() - 220) < 3
    where = passing[1] & ~passing[0]
    assert np.abs(result - clean)[where].mean() < 1.2 * np.abs(one - clean)[where].mean()


def test_frames_of_another_scene_are_ignored(scene, frames):
    other = camera(top=300, left=30, height=110, width=120)
    other_scene = other + SIGMA * np.random.default_rng(5).standard_normal(other.shape)
    without = psnr(scene, denoise_burst(frames[:3], SIGMA))
    assert psnr(scene, denoise_burst([*frames[:3], other_scene], SIGMA)) > without - 0.1


def test_equal_frames(scene):
    frames = scene + SIGMA * np.random.default_rng(3).standard_normal((6, *scene.shape))
    mean = psnr(scene, bm3d(frames.mean(0), SIGMA / np.sqrt(6)))
    assert psnr(scene, denoise_burst(frames, SIGMA)) > mean - 0.4


def test_colors_and_types(scene, frames):
    colors = [np.stack([f, 255 - f, f / 2], axis=-1) for f in frames]
    clean = np.stack([scene, 255 - scene, scene / 2], axis=-1)
    level = (SIGMA, SIGMA, SIGMA / 2)
    result = denoise_burst(colors, level, channel_axis=-1)
    assert result.shape == clean.shape
    assert psnr(clean, result) > psnr(clean, bm3d(colors[0], level, channel_axis=-1)) + 2
    front = denoise_burst(np.moveaxis(colors, -1, 1), level, channel_axis=0)
    np.testing.assert_allclose(np.moveaxis(front, 0, -1), result, atol=1e-3)
    eight = np.clip(np.round(frames), 0, 255).astype(np.uint8)
    whole = denoise_burst(eight, SIGMA)
    assert whole.dtype == np.float32
    assert psnr(scene, whole) > psnr(scene, bm3d(eight[0], SIGMA)) + 2.5


def test_one_frame_equals_bm3d(frames):
    np.testing.assert_array_equal(denoise_burst(frames[:1], SIGMA), bm3d(frames[0], SIGMA))
    np.testing.assert_array_equal(denoise_burst(frames[:1]), bm3d(frames[0]))


def test_small_frames_are_not_registered():
    clean = np.add.outer(np.arange(20.0), 2 * np.arange(24.0))
    frames = clean + 5 * np.random.default_rng(0).standard_normal((5, 20, 24))
    result = denoise_burst(iter(frames), 5)
    np.testing.assert_allclose(result, bm3d(frames.mean(0), 5 / np.sqrt(5)), atol=1)


def test_no_noise(frames):
    np.testing.assert_array_equal(denoise_burst(frames, 0), frames[0])


def test_progress(frames):
    seen = []
    denoise_burst(frames[:2], SIGMA, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (100, 100)


BAD = [
    (TypeError, "frames must be an array or an iterable of arrays, got 3", 3, {}),
    (TypeError, "frames must be an array or an iterable", "burst.png", {}),
    (ValueError, "frames is empty; give at least one frame", [], {}),
    (ValueError, r"frame 0 must have 2 axes", np.zeros((2, 3, 4, 5)), {}),
    (ValueError, r"frame 1 has shape \(40, 41\) and type float64, the first has \(40, 40\)",
     [np.zeros((40, 40)), np.zeros((40, 41))], {}),
    (ValueError, "and type float32, the first has",
     [np.zeros((40, 40)), np.zeros((40, 40), np.float32)], {}),
    (ValueError, r"frame 1 has values that are NaN or infinite, 1 in all",
     [np.zeros((3, 3)), np.diag([1, np.nan, 1])], {}),
    (ValueError, "sigma must be a number of 0 or more", np.zeros((2, 40, 40)), {"sigma": -1}),
    (ValueError, "sigma of a burst .* not a map", np.zeros((2, 4, 3)), {"sigma": np.eye(4, 3)}),
    (ValueError, "reference must be from -2 to 1, got 2", np.zeros((2, 40, 40)), {"reference": 2}),
    (TypeError, "reference must be a whole number", np.zeros((2, 40, 40)), {"reference": 0.5}),
    (ValueError, "profile 'nope' is unknown", np.zeros((2, 40, 40)), {"profile": "nope"}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "message", "frames", "given"), BAD, ids=[row[1] for row in BAD])
def test_bad_arguments(kind, message, frames, given):
    with pytest.raises(kind, match=message):
        denoise_burst(frames, **{"sigma": 10, **given})


def firsts():
    """Reference frames that show little or nothing, by name."""
    y, x = np.mgrid[:60, :70]
    noise = np.random.default_rng(8).normal(0, 5, (60, 70))
    return {
        "zero": np.zeros((60, 70)),
        "flat": np.full((60, 70), 7.1),
        "dark": noise.clip(0),
        "dim": 1e-9 * noise + 3,
        "ramp": 1.0 * x,
        "one pixel": np.where((y == 5) & (x == 9), 250.0, 10.0),
        "half": np.where(x > 35, 100 + noise, 0),
    }


@pytest.mark.filterwarnings("ignore:sigma=5 exceeds the whole range")
@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("sigma", [None, 5.0])
@pytest.mark.parametrize("name", firsts())
def test_a_first_frame_that_shows_little(name, sigma, same):
    """The other frames show the same, with noise, or something else, and are then left out."""
    first = firsts()[name]
    clean = first if same else camera(top=90, left=170, height=60, width=70)
    random = np.random.default_rng(9)
    frames = [first, *(clean + random.normal(0, 5, clean.shape) for _ in range(3))]
    restored = denoise_burst(frames, sigma)
    assert np.isfinite(restored).all()
    assert np.sqrt(np.mean((restored - first) ** 2)) < 6
