"""Gradients of the stages of BM3D: the specification by differences, other backends by it."""

from dataclasses import replace

import numpy as np
import pytest
from support.images import noisy, scene
from support.stages import image_stage

from fastrestore._collaborative.profile import Profile
from fastrestore._noise.planes import PlaneNoise
from fastrestore._noise.psd import of_kernel
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select

EXECUTION = Execution(2)
NUMPY = select("numpy")
SIGMA = 0.08
SMALL = Profile(
    step_basic=3, step_final=3, radius_basic=5, radius_final=5, group_basic=8, group_final=8
)
NOISES = {
    "white": lambda shape: PlaneNoise.white(SIGMA, 0.5 * SIGMA),
    "map": lambda shape: PlaneNoise(
        np.array([SIGMA, 0.5 * SIGMA]),
        np.random.default_rng(3).uniform(0.6, 1.7, (2, *shape)),
    ),
    "correlated": lambda shape: PlaneNoise(
        np.array([SIGMA, 0.5 * SIGMA]),
        spectrum=of_kernel(np.full((1, 4), 0.5), shape, None, 20)[1],
    ),
}


class Case:
    """A stage, its images of two channels in float64, and a gradient of its result."""

    def __init__(self, which, noise, profile=SMALL, shape=(22, 25)):
        rng = np.random.default_rng(5)
        first = noisy(scene(*shape), 255 * SIGMA) / 255
        second = noisy(scene(*shape, seed=2), 128 * SIGMA, seed=8) / 255
        self.stage = image_stage(profile, which, NOISES[noise](shape), 1.0)
        self.images = [np.stack([first, second])]
        if which == "final":
            self.images.append(self.images[0] + rng.normal(0, 0.05, (2, *shape)))
        self.gradient = rng.standard_normal((2, *shape))
        self.matches = NUMPY.bm3d_match(self.images[-1][0], self.stage, EXECUTION)

    def value(self, images, stage):
        """Weighted sum of the pixels of the result of the specification."""
        images = tuple(images)
        estimate = NUMPY.bm3d_filter(images, self.matches, stage, EXECUTION)
        assert estimate.dtype == images[0].dtype
        return float((estimate * self.gradient).sum())

    def backward(self, backend, dtype, execution=EXECUTION):
        """Gradients by a backend."""
        images = tuple(image.astype(dtype) for image in self.images)
        arguments = images, self.matches, self.stage, execution
        estimate = backend.bm3d_filter(*arguments)
        return backend.bm3d_backward(self.gradient.astype(dtype), estimate, *arguments)


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


def relative(actual, expected):
    """Largest difference, relative to the largest value."""
    return np.abs(actual - expected).max() / np.abs(expected).max()


PROFILES = {  # blocks of 8
    "small": SMALL,
    "single blocks": SMALL.replace(group_basic=1, group_final=1),
    "large groups": SMALL.replace(
        group_basic=32, group_final=64, step_basic=8, step_final=8, match_basic=1e6,
        match_final=1e6,
    ),
}  # fmt: skip


BLOCKS = SMALL.replace(block_basic=4, block_final=11)


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
