"""Counts and bounds of `bench/roofline.py`."""

from pathlib import Path

import numpy as np
import pytest

from fastrestore.backends.protocol import Matches


@pytest.fixture(scope="module")
def counts():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "bench")
        import roofline_counts

        return roofline_counts


def test_pairs_share_noise_if_they_overlap(counts):
    sizes = np.array([[4, 2]], np.int16)
    offsets = np.zeros((1, 2, 4, 2), np.int16)
    offsets[0, 0] = [(0, 0), (7, 7), (8, 0), (0, -9)]  # 0-1 and 1-2 overlap
    offsets[0, 1, 1] = (0, 8)
    grid = np.zeros(1, np.int64), np.zeros(2, np.int64)
    assert counts.sharing(Matches(grid, offsets, sizes)) == 2


def test_offsets_far_apart_do_not_overflow(counts):
    offsets = np.zeros((1, 1, 2, 2), np.int16)
    offsets[0, 0] = [(-30000, 0), (30000, 0)]
    grid = np.zeros(1, np.int64), np.zeros(1, np.int64)
    assert counts.sharing(Matches(grid, offsets, np.full((1, 1), 2, np.int16))) == 0


def test_arithmetic_adds_up_and_loads_overlap(counts):
    work = counts.Work(fma=4.0, mixed=6.0, l1=3.0)
    bounds = work.bounds((2000.0, 3000.0, 1.0, 1000.0, 1.0, 1.0))
    assert bounds == {"arithmetic": 4.0, "L1": 3.0, "L2": 0.0, "memory": 0.0}
