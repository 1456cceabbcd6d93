"""Times by size: of a pixel of small and large images, and of a batch in one call.

    python bench/sizes.py [--workers 1 2] [--profile np] [--rounds 15]
    python bench/sizes.py --large [MEGAPIXELS ...]

Wall time, median of the rounds, sigma 25. `ratio` is the time of a pixel relative to 512x512 with
as many threads. The batch has 256 images of 128x128, in one call and in one call for each image.

With `--large`, by default from 0.1 to 64 megapixels, each size and number of threads has a process
of its own. The time is the least of five calls, from 4 megapixels on that of one call. Memory is
what the calls add to the peak of the process, with their result and without the image.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import photographs

from fastrestore import bm3d

SIDES = (*range(57, 73), 96, 128, 256)
WHOLE, SIGMA, COUNT, PART = 512, 25, 256, 128
LARGE = (0.1, 0.25, 1.0, 4.0, 16.0, 64.0)  # megapixels
REPEATED = 4.0  # megapixels from which a size is called once

# Restore a square image, and print the seconds and the memory that the call adds
CHILD = """
import json, resource, sys, time
sys.path.insert(0, sys.argv[1])
side, workers, profile, rounds = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
import photographs
from fastrestore import bm3d
options = {"workers": workers, "profile": profile}
bm3d(photographs.noisy(photographs.photograph(96)), 25, **options)
noisy = photographs.noisy(photographs.photograph(side))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before, seconds = peak(), []
for _ in range(rounds):
    start = time.perf_counter()
    bm3d(noisy, 25, **options)
    seconds.append(time.perf_counter() - start)
print(json.dumps([min(seconds), (peak() - before) * UNIT / noisy.size]))
"""


def seconds(call, rounds):
    """Return the median time of a call."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])  # the first one compiles


def pixels(image, rounds, options):
    """Print the time of a pixel of square images."""
    whole = seconds(lambda: bm3d(image, SIGMA, **options), max(3, rounds // 3)) / WHOLE**2
    ratios = {}
    for side in SIDES:
        part = image[:side, :side].copy()
        spent = seconds(lambda part=part: bm3d(part, SIGMA, **options), rounds)
        ratios[side] = spent / side**2 / whole
        print(f"  {side}x{side}: {spent * 1e3:.2f} ms, ratio {ratios[side]:.2f}")
    few = [ratios[side] for side in range(57, 73)]
    print(f"  57x57 to 72x72: ratio {statistics.mean(few):.2f} on average, {max(few):.2f} at most")


def batch(image, options):
    """Print the time of one call for a batch, relative to one call for each image."""
    starts = [(k * 37 % (WHOLE - PART), k * 91 % (WHOLE - PART)) for k in range(COUNT)]
    images = np.stack([image[y : y + PART, x : x + PART] for y, x in starts])
    each = seconds(lambda: [bm3d(part, SIGMA, **options) for part in images], 3)
    once = seconds(lambda: bm3d(images, SIGMA, batch_axis=0, **options), 3)
    print(f"  {COUNT} images of {PART}x{PART}: {each:.2f} s, in one call {once:.2f} s, "
          f"ratio {once / each:.2f}")  # fmt: skip


def large(sizes, options):
    """Print time and memory of a pixel, by size, and how much faster several threads are."""
    few, many = min(options.workers), max(options.workers)
    print(
        f"| megapixels | side | ns a pixel, {few} and | {many} workers | ratio "
        f"| bytes a pixel, {few} and | {many} workers |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for megapixels in sizes:
        side = round((megapixels * 1e6) ** 0.5)
        rows = [child(side, workers, options.profile) for workers in (few, many)]
        times = [1e9 * seconds / side**2 for seconds, _ in rows]
        cells = [f"{megapixels:g}", str(side), *(f"{each:.0f}" for each in times)]
        cells += [f"{times[0] / times[1]:.2f}", *(f"{memory:.1f}" for _, memory in rows)]
        print(f"| {' | '.join(cells)} |", flush=True)


def child(side, workers, profile):
    """Return seconds and bytes a pixel of one call in a process of its own."""
    unit = "1" if sys.platform == "darwin" else "1024"  # macOS counts bytes, others KiB
    rounds = 1 if side**2 >= REPEATED * 1e6 else 5
    values = (Path(__file__).resolve().parent, side, workers, profile, rounds)
    command = [sys.executable, "-c", CHILD.replace("UNIT", unit), *map(str, values)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main():
    """Print all times."""
    parser = argparse.ArgumentParser(description="times of small images and batches")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--profile", default="np")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--large", type=float, nargs="*", metavar="MEGAPIXELS")
    given = parser.parse_args()
    if given.large is not None:
        large(given.large or LARGE, given)
        return
    image = photographs.noisy(photographs.photograph(WHOLE)).astype(np.float32)
    for workers in given.workers:
        print(f"workers {workers}, profile {given.profile}")
        options = {"workers": workers, "profile": given.profile}
        pixels(image, given.rounds, options)
        batch(image, options)


if __name__ == "__main__":
    main()
