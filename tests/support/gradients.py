"""Stages of BM3D to differentiate: images, matches and the gradient of their result."""

import numpy as np

from fastrestore._collaborative.profile import Profile
from fastrestore._noise.planes import PlaneNoise
from fastrestore._noise.psd import of_kernel
from fastrestore.backends.protocol import Execution, Matches
from fastrestore.backends.select import select
from support.images import noisy, scene
from support.stages import image_stage

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


PROFILES = {  # blocks of 8
    "small": SMALL,
    "single blocks": SMALL.replace(group_basic=1, group_final=1),
    "large groups": SMALL.replace(
        group_basic=32, group_final=64, step_basic=8, step_final=8, match_basic=1e6,
        match_final=1e6,
    ),
    "weighted": SMALL.replace(
        size_weight_basic=1, size_weight_final=0.5, match_basic=300, match_final=300,
        match_noise_final=0.5,
    ),
}  # fmt: skip


BLOCKS = SMALL.replace(block_basic=4, block_final=11)


def with_factors(profile):
    """Return a profile with factors that are not symmetric, and rows for groups of 64."""
    rng = np.random.default_rng(7)
    sides = profile.block_basic, profile.block_final
    basic, final = (rng.uniform(0.6, 1.6, (7, n, n)) for n in sides)
    final[2] = 0  # no noise is removed
    return profile.replace(threshold_factors=basic, wiener_factors=final)


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


def relative(actual, expected):
    """Largest difference, relative to the largest value."""
    return np.abs(actual - expected).max() / np.abs(expected).max()


def by_kernels(cupy, case, *, deterministic=False):
    """Gradients by CUDA kernels, from the matches of the specification."""
    backend = select("cupy")
    execution = Execution(1, deterministic=deterministic, memory=backend.memory())
    images = tuple(cupy.asarray(image.astype(np.float32)) for image in case.images)
    corners = tuple(cupy.asarray(each, np.int32) for each in case.matches.corners)
    matches = Matches(corners, *map(cupy.asarray, case.matches[1:]))
    arguments = images, matches, case.stage, execution
    estimate = backend.bm3d_filter(*arguments)
    return backend.bm3d_backward(case.gradient.astype(np.float32), estimate, *arguments)


def are_close(actual, expected, most=1e-4):
    """Whether all gradients agree, up to a share of the largest."""
    pairs = list(zip(actual.images, expected.images, strict=True))
    pairs.append((actual.variances, expected.variances))
    if expected.scale is not None:
        pairs.append((actual.scale, expected.scale))
    return all(np.abs(a - b).max() <= most * np.abs(b).max() for a, b in pairs)
