"""Print how far ``denoise(tune=True)`` is from the best of its own choices.

    python bench/tune.py --images DIR [--sigma 15 25 50] [--every 2]     (Set12: white noise)
    python bench/tune.py --photographs DIR [--cameras Sony] [--size 256] (PolyU: real noise)

For each row the mean PSNR of the default, of the choice by SURE, and of the best choice by the true
error, over all strengths and profiles that `tune` compares, with the noise that it used. Results
are clipped, those of photographs rounded as well. Noise of image i in name order is that of
``default_rng(i)``. "unknown" is without sigma: the level is estimated.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import real
from photographs import gray

import fastrestore
from fastrestore._algorithms.tuning import STRENGTHS, candidates, strengths

COLUMNS = "default | tune | own | best | tune - own | worst image | runs"


def main():
    """Print one line for each noise level or camera."""
    parser = argparse.ArgumentParser(description="denoise(tune=True) and the best of its choices")
    parser.add_argument("--images", type=Path, metavar="DIR", help="Set12")
    parser.add_argument("--sigma", type=float, nargs="+", default=[15.0, 25.0, 50.0])
    parser.add_argument("--photographs", type=Path, metavar="DIR", help="PolyU")
    parser.add_argument("--cameras", nargs="+", default=list(real.REPORT))
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each N-th image")
    parser.add_argument("--size", type=int, help="side of the middle part of photographs; all")
    parser.add_argument("--noise", default="auto", help="model of the noise of photographs")
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    print(f"| images | {COLUMNS} |")
    print("| --- |" + " --- |" * (COLUMNS.count("|") + 1), flush=True)
    if options.images:
        for sigma in options.sigma:
            for known in (True, False):
                name = f"sigma {sigma:g}, {'known' if known else 'unknown'}"
                print(line(name, [*white(options, sigma, known)]), flush=True)
    if options.photographs:
        every = []
        for camera in options.cameras:
            rows = [*photographs(options, camera)]
            print(line(camera, rows), flush=True)
            every += rows
        print(line("all", every), flush=True)


def white(options, sigma, known):
    """Yield the row of each image with white noise."""
    for number, path in enumerate(sorted(options.images.glob("*.png"))[:: options.every]):
        clean = gray(path)
        noisy = clean + np.random.default_rng(number).normal(0, sigma, clean.shape)
        given = {"sigma": sigma} if known else {}
        yield row(clean, noisy, {"workers": options.workers, **given}, np.asarray)


def photographs(options, camera):
    """Yield the row of each photograph of a camera."""
    for path in sorted(options.photographs.glob(f"{camera}_*_real.JPG"))[:: options.every]:
        noisy, truth = real.pair(path, options.size)
        given = {"noise": options.noise, "channel_axis": -1, "workers": options.workers}
        yield row(truth.astype(np.float64), noisy, given, np.rint)


def row(clean, noisy, given, finish):
    """Return PSNR of the default, of the choice and of the best choices, and the time ratio."""

    def psnr(result):
        image = np.clip(finish(np.asarray(result, np.float64)), 0, 255)
        return fastrestore.metrics.psnr(clean, image, data_range=255)

    start = time.process_time()
    default = fastrestore.denoise(noisy, **given)
    once = time.process_time()
    result, info = fastrestore.denoise(noisy, tune=True, return_info=True, **given)
    ratio = (time.process_time() - once) / (once - start)
    noise = {"sigma": info.sigma} if info.noise is None else {"noise": info.noise}
    scores = {
        (profile, strength): psnr(
            fastrestore.denoise(noisy, **given | noise, profile=profile, strength=strength)
        )
        for profile in candidates(None, info.noise)
        for strength in STRENGTHS
    }
    own = max(score for (_, strength), score in scores.items() if strength in strengths(info))
    return psnr(default), psnr(result), own, max(scores.values()), ratio


def line(name, rows):
    """Return a row of the table."""
    default, tuned, own, best, ratio = np.array(rows).T
    lost = tuned - own
    cells = [f"{each.mean():.2f}" for each in (default, tuned, own, best)]
    cells += [f"{lost.mean():.3f}", f"{lost.min():.3f}", f"{ratio.mean():.0f}"]
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
