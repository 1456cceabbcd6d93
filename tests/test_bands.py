"""Bands of work on threads, in the Numba backend."""

import threading
import time

import pytest

from fastrestore.backends.numba._pool import LEAST, run_bands, useful


@pytest.mark.parametrize("workers", [1, 2, 5, 40])
def test_each_band_once(workers):
    done = []
    steps = sum(1 for _ in run_bands(done.append, range(30), workers))
    assert steps == 30
    assert sorted(done) == list(range(30))


def test_the_caller_takes_part():
    threads = set()

    def work(_):
        threads.add(threading.current_thread().name)
        time.sleep(0.01)

    list(run_bands(work, range(12), 3))
    assert threading.current_thread().name in threads
    assert 1 < len(threads) <= 3


@pytest.mark.parametrize("place", ["caller", "other"])
@pytest.mark.parametrize("error", [IndexError, ZeroDivisionError])
def test_an_error_ends_the_work(place, error):
    caller, done = threading.current_thread(), []

    def work(band):
        time.sleep(0.005)
        if (threading.current_thread() is caller) == (place == "caller"):
            raise error(f"band {band}")
        done.append(band)

    with pytest.raises(error, match="band"):
        list(run_bands(work, range(400), 2))
    assert len(done) < 100


def test_no_band_is_left_running():
    done = []

    def work(band):
        time.sleep(0.005)
        done.append(band)

    running = run_bands(work, range(400), 3)
    next(iter(running))
    running.close()
    assert len(done) < 100
    left = len(done)
    time.sleep(0.05)
    assert len(done) == left


def test_threads_only_for_work_that_takes_a_while():
    assert useful(8, 0.5 * LEAST) == 1
    assert useful(8, 2 * LEAST) == 8
