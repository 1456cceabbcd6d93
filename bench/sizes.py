"""Times of small images: of a pixel, and of a batch in one call against one call for each image.

    python bench/sizes.py [--workers 1 2] [--profile np] [--rounds 15]

Wall time, median of the rounds, sigma 25. `ratio` is the time of a pixel relative to 512x512 with
as many threads. The batch has 256 images of 128x128.
"""

import argparse
import statistics
import time

import numpy as np
import photographs

from fastrestore import bm3d

SIDES = (*range(57, 73), 96, 128, 256)
WHOLE, SIGMA, COUNT, PART = 512, 25, 256, 128


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


def main():
    """Print all times."""
    parser = argparse.ArgumentParser(description="times of small images and batches")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--profile", default="np")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    image = photographs.noisy(photographs.photograph(WHOLE)).astype(np.float32)
    for workers in given.workers:
        print(f"workers {workers}, profile {given.profile}")
        options = {"workers": workers, "profile": given.profile}
        pixels(image, given.rounds, options)
        batch(image, options)


if __name__ == "__main__":
    main()
