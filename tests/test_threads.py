"""Independent parts of work, on threads."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import skimage.data

import fastrestore
from fastrestore._arrays import threads
from fastrestore._noise import camera_windows, patches


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_are_in_order(workers):
    with threads.limited_to(workers):
        assert threads.in_order(lambda k: k * k, range(20)) == [k * k for k in range(20)]


def test_no_thread_begins_without_memory_for_it(monkeypatch):
    monkeypatch.setattr(threads, "RESERVE", 2**60)  # more than there are addresses
    names = set()
    with threads.limited_to(4):
        threads.in_order(lambda k: names.add(threading.get_ident()), range(100))
    assert names == {threading.get_ident()}


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_no_more_threads_than_allowed(workers):
    names = set()

    def work(k):
        names.add(threading.get_ident())
        return threads.in_order(lambda j: names.add(threading.get_ident()), range(5))

    with threads.limited_to(workers):
        threads.in_order(work, range(30))
    assert 1 <= len(names) <= workers


def test_parts_run_at_the_same_time():
    both = threading.Barrier(2, timeout=20)
    with threads.limited_to(2):
        threads.in_order(lambda _: both.wait(), range(2))


def test_outside_of_a_call_there_are_no_threads():
    found = threads.in_order(lambda _: threading.current_thread(), range(4))
    assert set(found) == {threading.current_thread()}


def test_parts_of_parts_do_not_wait_for_each_other():
    def work(depth):
        parts = range(3) if depth else ()
        return 1 + sum(threads.in_order(lambda _: work(depth - 1), parts))

    with threads.limited_to(2):
        assert threads.in_order(work, [4, 4, 4]) == [121] * 3


@pytest.mark.parametrize("failing", [0, 2, 4])
@pytest.mark.parametrize("workers", [1, 3])
def test_errors_are_raised(workers, failing):
    def work(k):
        if k == failing:
            raise ZeroDivisionError(k)

    with pytest.raises(ZeroDivisionError), threads.limited_to(workers):
        threads.in_order(work, range(5))


def test_without_memory_for_threads_the_caller_works(monkeypatch):
    def refused(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    with threads.limited_to(3):
        found = threads.in_order(lambda k: (k, threading.get_ident()), range(4))
    assert found == [(k, threading.get_ident()) for k in range(4)]


def photograph():
    """Part of a photograph with noise that is correlated and depends on the brightness."""
    clean = skimage.data.astronaut()[:200, 150:350].astype(np.float64)
    white = np.random.default_rng(0).standard_normal((201, 201, 1)) * [3, 5, 4]
    smooth = (white[1:, 1:] + white[:-1, 1:] + white[1:, :-1] + white[:-1, :-1]) / 2
    return clean + smooth * (0.5 + clean / 100)


@pytest.mark.parametrize("axis", [None, -1])
def test_noise_does_not_depend_on_workers(axis, monkeypatch):
    image = photograph() if axis else photograph()[..., 1]
    found = []
    for workers in (1, 2, 5):
        monkeypatch.setattr("fastrestore._arrays.validate.usable_processors", lambda n=workers: n)
        models = [
            fastrestore.estimate_noise(image, channel_axis=axis, model=model)
            for model in ("auto", "camera", "correlated")
        ]
        sigma = fastrestore.estimate_sigma(image, axis)
        tables = [[m.sigma, m.brightness, m.levels, m.spectrum] for m in models]
        found.append([np.atleast_1d(sigma), *(table for model in tables for table in model)])
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_results_of_estimated_noise_do_not_depend_on_workers():
    image = photograph()
    found = [
        fastrestore.bm3d(
            image, channel_axis=-1, noise="camera", workers=k, profile="fast", return_info=True
        )
        for k in (1, 3)
    ]
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1].residual == found[1][1].residual


def test_patches_that_vary_are_those_of_the_estimate_of_sigma():
    image = np.random.default_rng(0).uniform(-1, 1, (150, 90))
    image[20:100, 30:60] = np.linspace(0, 1, 80)[:, None]
    valid = np.ones(image.shape, bool)
    valid[120:, :40] = False
    measures = patches.Patches.of(image, valid, 1).energies
    expected = measures.whole & (measures.detail > patches.CONSTANT)
    np.testing.assert_array_equal(patches.varying(image, valid), expected)
    assert 0 < np.count_nonzero(~expected) < expected.size


def test_windows_with_a_constant_square_in_a_channel():
    blocks = np.random.default_rng(0).uniform(size=(2, 4, 32, 32)).astype(np.float32)
    blocks[1, 1, 8:16, 24:] = 7
    blocks[0, 2, 9:17, 8:16] = 7  # across two squares
    blocks[0, 3, :7, :8] = blocks[0, 3, 7, :8] = 7
    np.testing.assert_array_equal(camera_windows._is_constant(blocks), [False, True, False, True])


FIRST_IMPORTS = """
import importlib
from fastrestore._arrays import threads
names = ["scipy.stats", "scipy.ndimage", "scipy.fft", "scipy.signal", "scipy.optimize"]
with threads.limited_to(len(names)):
    threads.in_order(importlib.import_module, names)
"""


@pytest.mark.parametrize("attempt", range(3))
def test_first_imports_in_threads(attempt):
    """Parts of SciPy that threads import at the same time, which fails if SciPy is not imported."""
    subprocess.run([sys.executable, "-c", FIRST_IMPORTS], check=True)
