"""Stages made for tests: profile, noise and range in, one stage ready to run out."""

import numpy as np

from fastrestore._collaborative import sides
from fastrestore._collaborative.profile import PROFILES
from fastrestore._collaborative.stage import Statistics, make_stage

# Names of profiles for images: others have blocks with a side for each axis
SQUARE = sorted(name for name, profile in PROFILES.items() if not sides.are_given(profile))


def image_stage(profile, which, noise, data_range, *, matched=None, reach=None):
    """Return a stage for images; `matched` is the noise of the image that blocks are matched on."""
    return make_stage(profile, which, Statistics(noise, data_range, matched, 2, reach))


def volume_stage(profile, which, noise, data_range, *, channel=0):
    """Return a stage for volumes; blocks are matched on one channel."""
    return make_stage(profile, which, Statistics(noise, data_range, noise.channel(channel), 3))


def assert_same_matches(actual, expected):
    """The match lists of two backends on the host are identical."""
    for a, b in zip(actual.corners, expected.corners, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(actual.sizes, expected.sizes)
    np.testing.assert_array_equal(actual.offsets, expected.offsets)
