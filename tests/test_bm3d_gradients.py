"""Gradients of the stages of BM3D: the specification by differences, other backends by it."""

from dataclasses import replace

import numpy as np
import pytest
from support.gradients import BLOCKS, NOISES, NUMPY, PROFILES, SMALL, Case, relative

from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select


def difference(value, at):
    """Derivative of a function of an array in a random direction, and the direction."""
    direction = np.random.default_rng(9).standard_normal(np.shape(at))
    size = 1e-8 * np.abs(at).max()  # so small that no coefficient crosses the threshold
    ends = (value(at + sign * size * direction) for sign in (1, -1))
    return float(np.subtract(*ends)) / (2 * size), direction


CASES = [(which, noise) for which in ("basic", "final") for noise in NOISES]


@pytest.mark.parametrize(("which", "noise"), CASES)
def test_the_specification_is_the_derivative(which, noise):
    case = Case(which, noise)
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
