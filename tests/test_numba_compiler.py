"""Compilation of kernels and their parts."""

import gc

import numpy as np
import pytest
from numba.core import event

from fastrestore.backends.numba import _compiler, _jit
from fastrestore.backends.numba._simd import flattened, maximum, minimum


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setattr(_jit, "cache_folder", lambda: None)


def libraries(function):
    return [each.library for each in function.overloads.values()]


@pytest.mark.parametrize("make", [_jit.part, _jit.routine])
def test_a_part_is_compiled_with_the_kernel_only(make):
    @make
    def twice(values, at):
        values[at] *= 2

    @_jit.kernel
    def all_twice(values):
        for at in range(len(values)):
            twice(values, at)

    values = np.arange(5.0)
    all_twice(values)
    assert values.tolist() == [0, 2, 4, 6, 8]
    (part,) = libraries(twice)
    assert isinstance(part, _compiler.PartLibrary)
    with pytest.raises(RuntimeError, match="no compiled object"):
        part._get_compiled_object()
    with pytest.raises(TypeError):
        twice(values, 0)


def test_a_part_of_two_kernels_is_compiled_once():
    @_jit.part
    def half(x):
        return x / 2

    @_jit.kernel
    def first(values):
        values[0] = half(values[0])

    @_jit.kernel
    def second(values):
        values[1] = half(half(values[1]))

    values = np.array([8.0, 8.0])
    with event.install_recorder("numba:compile") as record:
        first(values)
        second(values)
    assert values.tolist() == [4, 2]
    assert sum(each.is_start for _, each in record.buffer) == 3


@pytest.mark.parametrize("is_enabled", [False, True])
def test_the_collection_of_garbage_is_as_before(is_enabled):
    seen = []

    class Listener(event.Listener):
        def on_start(self, _):
            seen.append(gc.isenabled())

        def on_end(self, _):
            pass

    @_jit.kernel
    def nothing(values):
        values[0] = 0

    (gc.enable if is_enabled else gc.disable)()
    try:
        with event.install_listener("numba:run_pass", Listener()):
            nothing(np.ones(1))
        assert gc.isenabled() == is_enabled
    finally:
        gc.enable()
    assert set(seen) == {False}


def test_scalars_and_flat_views():
    @_jit.kernel
    def fill(numbers, values):
        flat = flattened(values)
        flat[5] = minimum(numbers[0], numbers[1])
        flat[0] = maximum(numbers[0], 3)
        values[0, 1] = minimum(np.float32(2.5), np.float32(-1))

    values = np.zeros((2, 3), np.float32)
    fill(np.array([4, -7], np.int16), values)
    assert values.tolist() == [[4, -1, 0], [0, 0, -7]]
