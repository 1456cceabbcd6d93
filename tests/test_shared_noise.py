"""Pairs of blocks that share no noise are skipped, and the variances remain exact."""

from dataclasses import replace

import numpy as np
import pytest
from support.images import noisy, scene
from support.stages import image_stage

from fastrestore._collaborative.profile import Profile
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.numba import _variance
from fastrestore.backends.numba.bm3d import bm3d_filter
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select

ONE = Execution(1)


def white(rows, columns):
    """Covariances (1, D + 1, E + 1) by displacement, which are zero at the ends."""
    table = np.ones((1, rows, columns))
    table[:, -1] = 0
    table[:, :, -1] = 0
    return table


def test_covariances_are_zero_from_the_end_on():
    assert _variance.nearest(white(9, 9), (8, 8)) == (7.0, 7.0)


def test_ends_that_are_not_zero_count_at_any_distance():
    table = white(9, 9)
    table[0, 3, -1] = 1e-3
    assert _variance.nearest(table, (8, 8)) == (7.0, np.inf)


@pytest.mark.parametrize("end", [0, -1])
def test_both_signs_of_a_displacement_are_checked(end):
    table = white(3, 5)
    table[:, :, 0] = 0
    assert _variance.nearest(table, (2, 2)) == (1.0, 1.0)
    table[0, 1, end] = 1.0
    assert _variance.nearest(table, (2, 2)) == (1.0, np.inf)


@pytest.mark.parametrize("group", [2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("which", ["basic", "final"])
def test_results_are_those_of_all_pairs(monkeypatch, group, which):
    image = noisy(scene(60, 70), 20).astype(np.float32) / 256
    profile = Profile(group_basic=group, group_final=group)
    stage = image_stage(profile, which, PlaneNoise.white(20.0 / 256), 255 / 256)
    stage = replace(
        stage, covariance=stage.covariance.copy()
    )  # its layout is not kept for later calls
    images = (image[None],) if which == "basic" else (image[None], image[None])
    matches = select("numba").bm3d_match(image, stage, ONE)
    fewer = bm3d_filter(images, matches, stage, ONE)
    monkeypatch.setattr(_variance, "nearest", lambda _, farthest: (np.inf,) * len(farthest))
    np.testing.assert_array_equal(fewer, bm3d_filter(images, matches, stage, ONE))
