"""Compare fastrestore with other programs in the same run: times, PSNR and their ratio, by row.

    python bench/peers.py [--rows gray color ...] [--workers 2] [--rounds 15] [--peer-rounds 1]

All rows together take about five minutes; `bmnd` takes one of them and `bm4d` half of one. Both
programs use as many threads as `--workers` if they can. Half of our rounds run before the other
program and half after it. Times are medians, elapsed and of the processor, and do not include the
first call; the slow peers, all but BM3DCPU, run only `--peer-rounds` times. PSNR is of results that
are not clipped. A peer that is not installed is named, and its row left out.

BM3DCPU filters a frame on one thread. "bm3dcpu" and "bm3dcpu-fast" time one frame, as for a
photograph; the same with "-video" as many frames as threads, and the time is that of a frame.
"""

import argparse
import time
from importlib.metadata import PackageNotFoundError, version

import bm3dcpu
import correlated
import numpy as np
import photographs
import programs
import volumes

import fastrestore


def gray(options):
    """Return the calls of the row `gray`: np and the profile np of `bm3d`."""
    return image_calls("gray", programs.closed(""), options, "bm3d")


def color(options):
    """Return the calls of a color image, with `bm3d_rgb`."""
    return image_calls("color", programs.closed(""), options, "bm3d")


def small(options):
    """Return the calls of `bmnd`, which takes too long for larger images."""
    return image_calls("gray", programs.bmnd, options, "bmnd", size=256)


def image_calls(kind, peer, options, name, size=512, profile="np"):
    """Return clean image, both calls and the name of the peer."""
    clean, noisy = programs.images(kind, size)
    own = programs.ours(profile)
    return (
        lambda image: photographs.psnr(clean, image),
        lambda: own(noisy, photographs.SIGMA, options.workers),
        lambda: peer(noisy, photographs.SIGMA, options.workers),
        name,
    )


def psd(options):
    """Return the calls for noise of kernel g1, with its power spectrum."""
    clean = photographs.photograph(256) / 255
    added, spectrum = correlated.noise("g1", clean.shape)
    noisy = clean + added
    return (
        lambda image: fastrestore.metrics.psnr(clean, image, data_range=1),
        lambda: fastrestore.bm3d(noisy, psd=spectrum, workers=options.workers, backend="numba"),
        lambda: correlated.peer(noisy, spectrum, "np"),
        "bm3d",
    )


def volume(options):
    """Return the calls for a volume of 128x128x32."""
    image = photographs.photograph(256) / 255
    clean = volumes.moving(image, 1, 2, 32)[64:192, 64:192]
    noise = np.random.default_rng(3).normal(0, volumes.SIGMA, clean.shape)
    noisy = (clean + noise).astype(np.float32)

    def peer():
        import bm4d

        profile = bm4d.BM4DProfile()
        profile.num_threads = options.workers
        return bm4d.bm4d(noisy, volumes.SIGMA, profile)

    return (
        lambda image: volumes.score(clean, image),
        lambda: fastrestore.bm4d(noisy, volumes.SIGMA, workers=options.workers, backend="numba"),
        peer,
        "bm4d",
    )


def bm3dcpu_row(profile, step, reach, frames=1):
    """Return a function that returns the calls of a profile and of settings of BM3DCPU."""

    def calls(options):
        def peer(noisy, _sigma, threads):
            count = threads if frames > 1 else 1
            return bm3dcpu.restore(noisy, step, reach, count, options.rounds)

        return image_calls("gray", peer, options, "BM3DCPU", profile=profile)

    return calls


# Name: the calls, and what is compared
ROWS = {
    "gray": (gray, "np, 512x512"),
    "color": (color, "np, 512x512x3"),
    "psd": (psd, "np, 256x256, noise g1"),
    "volume": (volume, "128x128x32"),
    "bmnd": (small, "np, 256x256"),
    "bm3dcpu": (bm3dcpu_row("np", 3, 19), "np, 512x512; step 3, range 19"),
    "bm3dcpu-video": (bm3dcpu_row("np", 3, 19, 2), "the same, a frame of several"),
    "bm3dcpu-fast": (bm3dcpu_row("fast", 8, 9), "fast, 512x512; step 8, range 9"),
    "bm3dcpu-fast-video": (bm3dcpu_row("fast", 8, 9, 2), "the same, a frame of several"),
}
HEAD = ("row", "settings", "s", "processor s", "PSNR dB", "peer", "s", "processor s", "PSNR dB",
        "times faster", "processor")  # fmt: skip


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description="fastrestore beside other programs")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--workers", type=int, default=2, help="threads of both")
    parser.add_argument("--rounds", type=int, default=15, help="of ours; medians are shown")
    parser.add_argument("--peer-rounds", type=int, default=1)
    options = parser.parse_args()
    print(
        f"{options.workers} threads; sigma 25 of 255; of 1: psd variance 0.02, volume sigma 0.1\n"
    )
    print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}", flush=True)
    for name in options.rows:
        calls, what = ROWS[name]
        try:
            print(f"| {name} | {what} | {line(*calls(options), options)} |", flush=True)
        except ModuleNotFoundError as error:
            print(f"| {name} | {what} | left out: {error} |", flush=True)


def line(score, ours, theirs, name, options):
    """Time both calls; return the cells of a row."""
    score(ours())  # compiles or loads the kernels
    runs, image = timed(ours, options.rounds // 2 + 1)
    peer_runs, restored = timed(theirs, 1 if name == "BM3DCPU" else options.peer_rounds)
    runs += timed(ours, options.rounds // 2)[0]
    own, peer = (np.median(each, 0) for each in (runs, peer_runs))
    cells = [f"{own[0]:.4f}", f"{own[1]:.4f}", f"{score(image):.2f}", label(name)]
    cells += [f"{peer[0]:.4f}", f"{peer[1]:.4f}", f"{score(restored):.2f}"]
    return " | ".join([*cells, *(f"{ratio:.2f}" for ratio in peer / own)])


def timed(call, rounds):
    """Return the times of calls, elapsed and of the processor, and a result.

    A call may return the times with the result, measured in another process.
    """
    times = []
    for _ in range(rounds):
        start = time.perf_counter(), time.process_time()
        result = call()
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return result[::-1] if isinstance(result, tuple) else (times, result)


def label(name):
    """Return the name of a program with its version."""
    if name == "BM3DCPU":
        return f"{name} {bm3dcpu.version()}"
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return name


if __name__ == "__main__":
    main()
