"""Working memory of threads is kept between calls, and never shared by two of them."""

import numpy as np

from fastrestore import bm3d
from fastrestore.backends.numba import _pool
from fastrestore.backends.numba._pool import working_memory


def noisy(side, seed):
    return np.random.default_rng(seed).normal(100, 20, (side, side)).astype(np.float32)


def test_memory_is_aligned_and_used_again():
    with working_memory([5, 16]) as (first, second):
        assert (first.size, second.size) == (8, 16)
        assert first.ctypes.data % 64 == second.ctypes.data % 64 == 0
        first[:], second[:] = 1, 2
        assert (first == 1).all()
        address = first.ctypes.data
    with working_memory([3]) as (again,):
        assert again.ctypes.data == address


def test_memory_in_use_is_not_lent_again():
    with working_memory([8]) as (outer,), working_memory([8]) as (inner,):
        assert not np.shares_memory(outer, inner)


def test_much_memory_is_not_kept(monkeypatch):
    monkeypatch.setattr(_pool, "MOST", 64)
    with working_memory([9]):
        pass
    assert _pool._kept.block is None


def test_memory_is_given_back_after_errors():
    with np.testing.assert_raises(KeyError), working_memory([8]):
        raise KeyError
    assert _pool._kept.block is not None


def test_call_inside_a_call_changes_nothing():
    outer, inner = noisy(96, 0), noisy(64, 1)
    alone = bm3d(outer, 20, workers=2), bm3d(inner, 20, workers=2)
    results = []

    def progress(done, total):
        if done < total:
            results.append(bm3d(inner, 20, workers=2))

    np.testing.assert_array_equal(bm3d(outer, 20, workers=2, progress=progress), alone[0])
    assert len(results) > 2
    for each in results:
        np.testing.assert_array_equal(each, alone[1])
