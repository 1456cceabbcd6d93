"""Startup time: the import, and the first call with and without cached kernels.

Each round is a fresh child process which keeps the time itself. The rows show the child's
figures, not the time to start Python.
"""

import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from photographs import SIGMA

HEAVY = ("numba", "scipy", "cupy", "torch", "dask")

FLOOR = 29.86  # dB, that of `test_bm3d` at 512x512

IMPORT = f"""
import json, sys, time
import numpy
start = time.perf_counter()
import fastrestore
seconds = time.perf_counter() - start
loaded = [name for name in {HEAVY} if name in sys.modules]
start = time.perf_counter()
fastrestore.bm3d
first_name = time.perf_counter() - start
print(json.dumps(dict(seconds=seconds, loaded=loaded, first_name=first_name)))
"""

# First call less hot call: what reading or making the kernels, and importing Numba, costs.
FIRST_CALL = """
import json, sys, time
import numpy
import fastrestore
fastrestore.bm3d
noisy, result, sigma = sys.argv[1], sys.argv[2], float(sys.argv[3])
noisy = numpy.load(noisy)
times = []
for _ in range(4):
    start = time.perf_counter()
    restored = fastrestore.bm3d(noisy, sigma, backend="numba")
    times.append(time.perf_counter() - start)
numpy.save(result, restored)
hot = sorted(times[1:])[1]
print(json.dumps(dict(seconds=times[0] - hot, hot=hot)))
"""


class ChildClock:
    """A clock that advances only by the times that child processes report."""

    now = 0.0

    def __call__(self):
        return self.now

    def run(self, script, *arguments, cache=None):
        """Run a script in a new process and advance by the seconds it prints."""
        environment = dict(os.environ)
        if cache is not None:
            environment["FASTRESTORE_NUMBA_CACHE"] = str(cache)
        done = subprocess.run(
            [sys.executable, "-c", script, *map(str, arguments)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        report = json.loads(done.stdout)
        self.now += report["seconds"]
        return report


clock = ChildClock()


@pytest.mark.benchmark(group="import, over import numpy", timer=clock)
def test_import(benchmark):
    report = benchmark.pedantic(clock.run, (IMPORT,), rounds=15, warmup_rounds=1)
    benchmark.extra_info["first_use_of_bm3d_s"] = round(report["first_name"], 4)
    assert report["loaded"] == []


@pytest.mark.benchmark(group="first call in a process, less a hot call", timer=clock)
@pytest.mark.parametrize("kernels", ["cold", "warm"])
def test_first_call(benchmark, pair, judge, tmp_path, kernels):
    clean, noisy = pair(512)
    source, result = tmp_path / "noisy.npy", tmp_path / "restored.npy"
    np.save(source, noisy)
    numbers, counts = itertools.count(), []

    def call():
        # Every cold round has a folder of its own, warm rounds share one.
        cache = tmp_path / (f"cold{next(numbers)}" if kernels == "cold" else "warm")
        report = clock.run(FIRST_CALL, source, result, SIGMA, cache=cache)
        counts.append(sum(1 for _ in cache.rglob("*.nbc")))
        return report

    report = benchmark.pedantic(
        call,
        rounds=3 if kernels == "cold" else 7,
        warmup_rounds=0 if kernels == "cold" else 1,  # the one that keeps the kernels
    )
    benchmark.extra_info["hot_s"] = round(report["hot"], 4)
    judge(clean, np.load(result), FLOOR)
    if kernels == "warm":  # a kernel that is written again was compiled again
        assert counts[1:] == counts[:-1]
