"""Compare the times of two checkouts, in turn: A B A B ..., each in a process of its own.

    python bench/compare.py A [B] [--pairs 10] [--workers 1] [--wall] [--rows import first gray ...]

A and B are checkouts of two commits, for instance of those before and after a change; B is this one
by default. Each row prints the median time of both, and of the ratios of the pairs, B to A, the
median and the interval that holds it with 95 % probability (by the binomial distribution of ranks):
B is slower if the whole interval lies above 1. The restored images of both must have equal means.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]

ROWS = {
    "import": ("", "import fastrestore; fastrestore.bm3d"),
    "gray": ("images()", "bm3d(gray, 25, workers=W)"),
    "fast": ("images()", "bm3d(gray, 25, profile='fast', workers=W)"),
    "lc": ("images()", "bm3d(gray, 25, profile='lc', workers=W)"),
    "high": ("images()", "bm3d(gray, 25, profile='high', workers=W)"),
    "small": ("images()", "bm3d(gray[:64, :64], 25, workers=W)"),
    "colored": ("images()", "bm3d(gray[:256, :256], noise_kernel=kernel, workers=W)"),
    "color": ("images()", "bm3d(color, 25, channel_axis=-1, workers=W)"),
    "volume": ("images()", "bm4d(volume, 25, workers=W)"),
    "video": ("images()", "vbm3d(video, 25, workers=W)"),
    "first": ("", "import fastrestore; fastrestore.bm3d(numpy.ones((64, 64)) * [range(64)], 5)"),
    "cold": ("", "import fastrestore; fastrestore.bm3d(numpy.ones((64, 64)) * [range(64)], 5)"),
}
ONCE = ("import", "first", "cold")  # what only the first call in a process shows

CHILD = """
import sys, time, json, numpy
W, (before, call, rounds) = int(sys.argv[1]), sys.argv[2:5]
sys.path.insert(0, sys.argv[5])
clock = getattr(time, sys.argv[6])

def images():
    global bm3d, bm4d, vbm3d, clean, gray, color, kernel, volume, video
    import photographs
    from fastrestore import bm3d, bm4d, vbm3d
    clean = photographs.photograph(512)
    gray = photographs.noisy(clean)
    color = numpy.stack([gray, gray[::-1], gray[:, ::-1]], -1)
    kernel = 25 * numpy.array([[0.2, 0.4, 0.8, 0.4, 0.2]])
    volume = numpy.stack([gray[k : k + 96, k : k + 96] for k in range(24)])
    video = numpy.stack([gray[2 * k : 2 * k + 192, 3 * k : 3 * k + 192] for k in range(8)])

exec(before)
rounds = int(rounds)
if rounds:  # one to compile
    result = eval(call)
spent = []
for _ in range(rounds or 1):
    start = clock()
    exec(call)
    spent.append(clock() - start)
print(json.dumps([min(spent), float(numpy.mean(result)) if rounds else 0.0]))
"""


def main():
    """Print a row for each call."""
    parser = argparse.ArgumentParser(description="times of two checkouts, in pairs")
    parser.add_argument("a", type=Path, help="a checkout")
    parser.add_argument("b", type=Path, nargs="?", default=HERE, help="another; default this one")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument(
        "--rounds", type=int, default=5, help="calls in a process; the least counts"
    )
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--wall", action="store_true", help="elapsed instead of processor time")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    options = parser.parse_args()
    print("row            A ms       B ms  ratio  95 % interval")
    for row in options.rows:
        pairs = [measured(row, options, first=k % 2) for k in range(options.pairs)]
        print(line(row, *zip(*pairs, strict=True)), flush=True)


def measured(row, options, first):
    """Time a row in both checkouts, the one that is first in turn."""
    order = [options.a.resolve(), options.b.resolve()]
    results = [spent(row, root, options) for root in order[:: -1 if first else 1]]
    (a, mean_a), (b, mean_b) = results[:: -1 if first else 1]
    if not math.isclose(mean_a, mean_b, rel_tol=1e-5):
        sys.exit(f"{row}: results differ, their means are {mean_a} and {mean_b}")
    return a, b


def spent(row, root, options):
    """Return seconds and the mean of the result of a checkout, from a process of its own."""
    before, call = ROWS[row]
    rounds = 0 if row in ONCE else options.rounds
    with tempfile.TemporaryDirectory() as empty:
        environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        if row == "cold":
            environment["FASTRESTORE_NUMBA_CACHE"] = empty
        clock = "perf_counter" if options.wall else "process_time"
        values = (options.workers, before, call, rounds, HERE / "bench", clock)
        # -P: not the package in the current folder
        command = [sys.executable, "-P", "-c", CHILD, *map(str, values)]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def line(row, times_a, times_b):
    """Return a row: medians, and the median ratio with its interval."""
    ratios = sorted(b / a for a, b in zip(times_a, times_b, strict=True))
    count = len(ratios)
    tail, rank = 0.5**count, 0
    while tail + math.comb(count, rank + 1) * 0.5**count <= 0.025:
        rank += 1
        tail += math.comb(count, rank) * 0.5**count
    low, high = ratios[rank], ratios[count - 1 - rank]
    medians = " ".join(f"{1e3 * statistics.median(times):10.2f}" for times in (times_a, times_b))
    return f"{row:8} {medians} {statistics.median(ratios):6.3f}  {low:.3f} to {high:.3f}"


if __name__ == "__main__":
    main()
