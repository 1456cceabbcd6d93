"""Gradients of the stages of BM3D: the specification by differences, other backends by it."""

from dataclasses import replace

import numpy as np
import pytest
from support.gradients import (
    BLOCKS,
    NOISES,
    NUMPY,
    PROFILES,
    SMALL,
    Case,
    relative,
    with_factors,
)

from fastrestore.backends.limits import WIDTH
from fastrestore.backends.numpy import bm3d as specification
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select


def difference(value, at):
    """Derivative of a function of an array in a random direction, and the direction."""
    direction = np.random.default_rng(9).standard_normal(np.shape(at))
    size = 1e-8 * np.abs(at).max()  # so small that no coefficient crosses the threshold
    ends = (value(at + sign * size * direction) for sign in (1, -1))
    return float(np.subtract(*ends)) / (2 * size), direction


CASES = [(which, noise) for which in ("basic", "final") for noise in NOISES]


@pytest.mark.parametrize(
    ("which", "noise", "profile"),
    [
        *((*case, SMALL) for case in CASES),
        ("basic", "map", PROFILES["weighted"]),
        ("final", "map", PROFILES["weighted"]),
    ],
)
def test_the_specification_is_the_derivative(which, noise, profile):
    case = Case(which, noise, profile)
    gradients = case.backward(NUMPY, np.float64)
    assert len(gradients.images) == len(case.images)
    for k, image in enumerate(case.images):
        others = list(case.images)

        def value(changed, k=k, others=others):
            return case.value([*others[:k], changed, *others[k + 1 :]], case.stage)

        expected, direction = difference(value, image)
        assert abs(expected) > 1e-2
        assert np.isclose((gradients.images[k] * direction).sum(), expected, rtol=1e-5)
    expected, direction = difference(
        lambda changed: case.value(case.images, replace(case.stage, variances=changed)),
        case.stage.variances,
    )
    assert (abs(expected) > 1e-2) == (which == "final")  # in the basic stage only by the mask
    assert np.isclose((gradients.variances * direction).sum(), expected, rtol=1e-5, atol=1e-9)
    if noise == "map":
        expected, direction = difference(
            lambda changed: case.value(case.images, replace(case.stage, scale=changed)),
            case.stage.scale.astype(np.float64),
        )
        assert abs(expected) > 1e-4
        assert np.isclose((gradients.scale * direction).sum(), expected, rtol=1e-5, atol=1e-6)
    else:
        assert gradients.scale is None


@pytest.mark.parametrize(
    ("which", "noise", "profile"),
    [
        *((*case, profile) for case in CASES for profile in PROFILES.values()),
        ("basic", "map", BLOCKS),
        ("final", "map", BLOCKS),
    ],
)
def test_backends_agree(which, noise, profile):
    case = Case(which, noise, profile, (27, 34))
    expected = case.backward(NUMPY, np.float32)
    actual = case.backward(select("numba"), np.float32)
    for a, b in zip(actual.images, expected.images, strict=True):
        assert relative(a, b) < 1e-4
    if which == "final":
        assert relative(actual.variances, expected.variances) < 1e-4
    if noise == "map":
        assert relative(actual.scale, expected.scale) < 1e-4
    else:
        assert actual.scale is None


@pytest.mark.parametrize(("which", "noise"), CASES)
def test_gradients_do_not_depend_on_the_number_of_threads(which, noise):
    case = Case(which, noise, SMALL, (70, 90))
    one, four = (case.backward(select("numba"), np.float32, Execution(n)) for n in (1, 4))
    for a, b in zip(one.images, four.images, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.variances, four.variances)
    if noise == "map":
        np.testing.assert_array_equal(one.scale, four.scale)
    assert one.factors is None


def smooth_step(ratio):
    """Return the step from 0 to 1 with the slope 15/16 (1 - u**2)**2."""
    u = np.clip((ratio - 1) / WIDTH, -1, 1)
    return 0.5 + 15 / 16 * (u - 2 * u**3 / 3 + u**5 / 5)


def with_smooth_mask(stage, logarithms, monkeypatch):
    """Let the gains of hard thresholding change like a smooth step from those of a stage on."""
    plain = specification.shrink_hard

    def shrink(groups, variance, strength):
        (group,) = groups
        rows = specification.levels_of(len(group))
        shrunk, _ = plain(groups, variance, strength / np.exp(logarithms[rows]))
        mean, limit = group.flat[0], strength * variance
        gain = (shrunk != 0) + smooth_step(group**2 / limit)
        gain -= smooth_step(group**2 / (limit / np.exp(logarithms[rows])))
        shrunk = gain * group
        shrunk.flat[0] = mean
        gain.flat[0] = 1
        return shrunk, float((variance * gain**2).sum())

    monkeypatch.setattr(specification, "shrink_hard", shrink)
    return replace(stage, factors=stage.factors * np.exp(logarithms))


@pytest.mark.parametrize(("which", "noise"), CASES)
def test_gradients_of_factors_are_derivatives(which, noise, monkeypatch):
    case = Case(which, noise, with_factors(SMALL))
    gradients = case.backward(NUMPY, np.float64)
    direction = np.random.default_rng(9).standard_normal(case.stage.factors.shape)
    ends = []
    for sign in (1, -1):
        with monkeypatch.context() as patch:
            stage = with_smooth_mask(case.stage, sign * 1e-5 * direction, patch)
            ends.append(case.value(case.images, stage))
    expected = (ends[0] - ends[1]) / 2e-5
    assert abs(expected) > 1e-2
    assert np.isclose((gradients.factors * direction).sum(), expected, rtol=1e-5)
    assert (gradients.factors[:4, 1:, 1:] != 0).mean() > 0.7  # the last rows are for larger groups


@pytest.mark.parametrize(
    ("which", "noise", "profile"),
    [
        *((*case, SMALL) for case in CASES),
        ("basic", "white", BLOCKS),
        ("final", "white", BLOCKS),
        *((which, "map", PROFILES[name]) for which in ("basic", "final") for name in PROFILES),
    ],
)
def test_backends_agree_on_gradients_of_factors(which, noise, profile):
    case = Case(which, noise, with_factors(profile), (27, 34))
    expected = case.backward(NUMPY, np.float32)
    actual = case.backward(select("numba"), np.float32)
    assert actual.factors.shape == expected.factors.shape
    assert relative(actual.factors, expected.factors) < 1e-4
    assert relative(actual.images[-1], expected.images[-1]) < 1e-4


@pytest.mark.parametrize("which", ["basic", "final"])
def test_gradients_of_factors_do_not_depend_on_the_number_of_threads(which):
    case = Case(which, "map", with_factors(SMALL), (70, 90))
    one, four = (case.backward(select("numba"), np.float32, Execution(n)) for n in (1, 4))
    np.testing.assert_array_equal(one.factors, four.factors)
