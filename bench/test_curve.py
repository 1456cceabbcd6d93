"""Time and PSNR of all profiles, networks and peers: the rows that `curve.py` draws.

Every program uses as many threads as there are processors. BM3DCPU filters as many frames as
threads at a time, and its time is that of one, see `bm3dcpu.py`.
"""

import time
from importlib.metadata import version

import bm3dcpu
import numpy as np
import photographs
import programs
import pytest

from fastrestore._arrays.validate import usable_processors

GAIN = 5.0  # dB over the noisy image, which each program must reach
ROWS = [(kind, *row) for kind, rows in programs.PROGRAMS.items() for row in rows]


class Clock:
    """The clock of a benchmark; `run` can replace what it shows by times of another process."""

    def __init__(self):
        self.seconds, self.processor = 0.0, []

    def __call__(self):
        return self.seconds

    def run(self, call):
        """Run a function that returns a result, or a result with its times; advance the clock."""
        start = time.perf_counter(), time.process_time()
        result = call()
        spent = time.perf_counter() - start[0], time.process_time() - start[1]
        if isinstance(result, tuple):
            result, times = result
            spent = np.median(times, 0)
        self.seconds += float(spent[0])
        self.processor.append(float(spent[1]))
        return result


clock = Clock()


def measured(benchmark, row, call, rounds, judge):
    """Time a program on a photograph, and record what `curve.py` needs."""
    kind, program, setting = row
    benchmark.group = f"time and PSNR, 512x512, {kind}"
    clean, noisy = programs.images(kind)
    threads = usable_processors()
    clock.processor.clear()
    once = rounds == 1
    arguments = (lambda: call(noisy, photographs.SIGMA, threads),)
    restored = benchmark.pedantic(clock.run, arguments, rounds=rounds, warmup_rounds=not once)
    benchmark.extra_info.update(
        kind=kind, program=program, setting=setting, threads=threads, sigma=photographs.SIGMA
    )
    benchmark.extra_info["processor_s"] = float(np.median(clock.processor[not once :]))
    judge(clean, restored, photographs.psnr(clean, noisy) + GAIN)


@pytest.mark.benchmark(timer=clock)
@pytest.mark.parametrize(("kind", "program", "setting"), ROWS)
def test_curve(benchmark, judge, kind, program, setting):
    call, rounds = programs.PROGRAMS[kind][program, setting]
    try:
        call(programs.images("gray", 64)[1], photographs.SIGMA, 1)  # loads or compiles
    except ModuleNotFoundError as error:
        pytest.skip(str(error))
    measured(benchmark, (kind, program, setting), call, rounds, judge)
    benchmark.extra_info["version"] = version(program)


@pytest.mark.benchmark(timer=clock)
@pytest.mark.parametrize("kind", programs.PROGRAMS)
@pytest.mark.parametrize(("step", "reach"), bm3dcpu.BEST)
def test_curve_bm3dcpu(benchmark, judge, kind, step, reach):
    try:
        bm3dcpu.interpreter()
    except ModuleNotFoundError as error:
        pytest.skip(str(error))

    def call(noisy, _sigma, threads):
        return bm3dcpu.restore(noisy, step, reach, threads)

    level = bm3dcpu.BEST[step, reach][kind]
    setting = f"step {step}, range {reach}"
    measured(benchmark, (kind, "BM3DCPU", setting), call, 1, judge)
    benchmark.extra_info.update(version=bm3dcpu.version(), level=level)
