"""Registration: motions of synthetic frames, resampling and its noise."""

import numpy as np
import pytest
from support.images import camera

from fastrestore._arrays import register
from fastrestore._arrays.register import (
    estimate_motion,
    global_shift,
    noise_gains,
    refine_motion,
    resample,
)

MOTIONS = [(0.7, (3.4, -5.2)), (-0.9, (-6.1, 2.7)), (0.3, (1.5, 6.6))]


def motion(shape, degrees, shift):
    """Return a rotation about the center followed by a shift."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (np.array(shape) - 1) / 2
    return np.column_stack([turn, middle - turn @ middle + np.array(shift)])


def inverse(motion):
    return np.linalg.inv(np.vstack([motion, [0, 0, 1]]))[:2]


def corners(shape):
    down, across = shape[0] - 1, shape[1] - 1
    return np.array([[0, 0, down, down], [0, across, 0, across], [1] * 4])


@pytest.fixture(scope="module")
def scene():
    return camera(top=90, left=170, height=110, width=120)


@pytest.mark.parametrize(("degrees", "shift"), MOTIONS)
def test_motion_is_found(scene, degrees, shift):
    true = motion(scene.shape, degrees, shift)
    frame = resample(scene[None], inverse(true))[0][0]
    error = (estimate_motion(scene, frame) - true) @ corners(scene.shape)
    assert np.abs(error).max() < 0.03


def test_equal_images_do_not_move(scene):
    np.testing.assert_allclose(estimate_motion(scene, scene), np.eye(2, 3), atol=1e-6)


def test_refinement_converges(scene):
    """From a start that is half a pixel off; an exact start stays."""
    true = motion(scene.shape, 0.2, (0.3, -0.4))
    frame = resample(scene[None], inverse(true))[0][0]
    for start in (np.eye(2, 3), true):
        error = (refine_motion(scene, frame, start) - true) @ corners(scene.shape)
        assert np.abs(error).max() < 0.03


def test_brighter_frames_and_large_shifts():
    wide = camera(top=60, left=120, height=180, width=200)
    one, other = wide[:140, 30:190], wide[31:171, 8:168]
    assert np.array_equal(global_shift(one, other), [-31, 22])
    found = estimate_motion(one, other + 30) @ corners(one.shape)
    moved = np.add(corners(one.shape)[:2], [[-31], [22]])
    np.testing.assert_allclose(found, moved, atol=0.05)


def test_constant_images_have_no_shift():
    flat = np.full((40, 50), 3.0)
    assert np.array_equal(global_shift(flat, flat + 5), [0, 0])


def test_resampling_of_polynomials():
    """Splines are exact for a plane; the identity returns the frame itself."""
    y, x = np.mgrid[:60, :70].astype(float)
    frame = np.stack([3 * y - x, y + 2 * x])
    move = motion((60, 70), 2, (1.5, -2.25))
    planes, gain = resample(frame, move)
    place = np.tensordot(move, np.stack([y, x, np.ones_like(y)]), 1)
    inner = np.s_[:, 20:-20, 20:-20]
    expected = np.stack([3 * place[0] - place[1], place[0] + 2 * place[1]])
    np.testing.assert_allclose(planes[inner], expected[inner], atol=1e-3)
    assert np.isinf(gain).any()
    same, ones = resample(frame, np.eye(2, 3))
    np.testing.assert_array_equal(same, frame)
    assert (ones == 1).all()


def test_noise_of_resampled_frames():
    noise = np.random.default_rng(0).standard_normal((1, 400, 400))
    for fraction in (0.0, 0.25, 0.5):
        shifted = np.array([[1, 0, fraction], [0, 1, 3.0]])
        planes, gain = resample(noise, shifted)
        inner = planes[0, 8:-8, 8:-8]
        assert abs(inner.var() - gain[20, 20]) < 0.02
        assert np.isinf(gain[:, -2:]).all()
        assert np.isfinite(gain[8:-8, 8:-8]).all()
    gains = noise_gains()
    assert len(gains) == register.FRACTIONS + 1
    np.testing.assert_allclose(gains, gains[::-1])
    assert gains[0] == pytest.approx(1)
    assert gains.min() == gains[register.FRACTIONS // 2] < 0.9


@pytest.mark.parametrize("value", [0.0, 1 / 3, 7.1, 1e-30, 1e30])
@pytest.mark.parametrize("other", ["constant", "scene"])
def test_a_constant_reference_does_not_move(value, other, scene):
    """Neither rounding errors of its mean nor the other image give it a motion."""
    flat = np.full(scene.shape, value)
    frame = flat + 1e-12 * value * np.sign(scene - 99) if other == "constant" else scene
    np.testing.assert_array_equal(estimate_motion(flat, frame), np.eye(2, 3))


@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1e30, 1e100])
def test_motion_does_not_depend_on_the_units(scene, scale):
    frame = np.roll(scene, (2, -3), (0, 1))
    moved = estimate_motion(scene * scale, frame * scale)
    np.testing.assert_allclose(moved, estimate_motion(scene, frame), atol=1e-2)


def test_images_of_different_scenes_have_a_finite_motion(scene):
    """The iterations diverge; on their way they meet matrices without an inverse."""
    random = np.random.default_rng(0)
    for _ in range(30):
        dots = (random.random(scene.shape) < 1e-3) * 10.0 ** random.uniform(-9, 9)
        moved = estimate_motion(dots, random.permutation(scene))
        assert np.isfinite(moved).all()
        assert np.abs(moved[:, :2] - np.eye(2)).max() < 1


def test_constant_images_do_not_move():
    flat = np.full((40, 40), 7.0)
    np.testing.assert_array_equal(estimate_motion(flat, flat), np.eye(2, 3))
