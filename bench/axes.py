"""Print PSNR and time of signals and of volumes over time, compared with `bmnd`.

    python bench/axes.py [--peers] [--rows signal series] [--workers 1] [--rounds 7] [--seeds 1]
        [--step 24]

The signal has 4,096 samples: steps, ramps and chirps, drawn from ``default_rng(0)``, with white
noise at a PSNR of 16.5 dB. The volume over time has ellipsoids that move with constant velocity,
with noise of sigma 0.1 on [0, 1]; `bm4d` with `time_axis` is compared with `bm4d` of each frame.
`bmnd` runs with its profiles for these numbers of axes. A half of the rounds of each program runs
before those of the others, and a half after them. Times are the shortest, elapsed and of the
processor, without the first call. With `--seeds` above 1, the mean of the PSNR over so many
drawings is printed, too. `--step` is the distance of segments of signals, instead of that of the
profile "signal".
"""

import argparse
import time

import numpy as np

import fastrestore

SAMPLES, NOISY = 4096, 16.5
SIGMA = 0.1


def main():
    """Print the chosen rows."""
    parser = argparse.ArgumentParser(description="signals and volumes over time")
    parser.add_argument(
        "--rows", nargs="+", choices=["signal", "series"], default=["signal", "series"]
    )
    parser.add_argument("--peers", action="store_true", help="run bmnd, too")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--step", type=int)
    options = parser.parse_args()
    print("| row | program | PSNR, dB | s | s of the processor | times as long |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in options.rows:
        {"signal": signals, "series": volumes}[name](options)


def signals(options):
    """Print the rows of signals."""
    clean, noisy, sigma = noisy_signal(0)
    profile = fastrestore.Profile.named("signal")
    if options.step is not None:
        profile = profile.replace(step_basic=(options.step,), step_final=(options.step,))

    def call(image, level):
        return fastrestore.bm3d(image, level, axis=0, profile=profile, workers=options.workers)

    runs = [lambda: call(noisy, sigma)]
    if options.peers:
        runs.append(lambda: peer("BM2DProfile", noisy, sigma))
    (fast, restored), *others = timed(runs, options.rounds)
    row("signal, 4,096 samples", "noisy", score(clean, noisy))
    row("", "`bm3d`, `axis=0`", score(clean, restored), fast)
    for slow, other in others:
        row("", "`bmnd`, `BM2DProfile`", score(clean, other), slow, slow / fast)
    if options.seeds > 1:
        drawn = [noisy_signal(seed) for seed in range(options.seeds)]
        scores = [score(each, call(image, level)) for each, image, level in drawn]
        row(f"mean of {options.seeds} signals", "`bm3d`, `axis=0`", float(np.mean(scores)))


def volumes(options):
    """Print the rows of volumes over time."""
    clean = moving_ellipsoids((6, 24, 40, 40))
    noisy = clean + np.random.default_rng(3).normal(0, SIGMA, clean.shape)
    threads = {"workers": options.workers}

    def call(image):
        return fastrestore.bm4d(image, SIGMA, time_axis=0, slice_axis=1, **threads)

    def call_each():
        return np.stack([fastrestore.bm4d(v, SIGMA, slice_axis=0, **threads) for v in noisy])

    (each, single), (together, restored) = timed([call_each, lambda: call(noisy)], options.rounds)
    row("6 volumes of 24x40x40", "noisy", score(clean, noisy))
    row("", "`bm4d` of each", score(clean, single), each)
    row("", "`bm4d`, `time_axis=0`", score(clean, restored), together)
    if options.peers:
        part = np.s_[:4, 6:14, 12:24, 12:24]
        runs = [lambda: call(noisy[part]), lambda: peer("BM5DProfile", noisy[part], SIGMA)]
        (fast, own), (slow, other) = timed(runs, options.rounds)
        row("4 volumes of 8x12x12", "`bm4d`, `time_axis=0`", score(clean[part], own), fast)
        row("", "`bmnd`, `BM5DProfile`", score(clean[part], other), slow, slow / fast)


def peer(profile, image, sigma):
    """Run `bmnd` with a profile of a name."""
    import bmnd

    return bmnd.bmnd(image.astype(np.float32), getattr(bmnd, profile)(), sigma=sigma)


def noisy_signal(seed):
    """Return a drawn signal, the same with noise, and the level of the noise."""
    rng = np.random.default_rng(seed)
    clean = drawn_signal(rng)
    sigma = float(np.ptp(clean) * 10 ** (-NOISY / 20))
    return clean, clean + rng.normal(0, sigma, clean.shape), sigma


def drawn_signal(rng):
    """Draw steps, ramps and chirps of random lengths one after the other, on about [0, 1]."""
    pieces, length = [], 0
    while length < SAMPLES:
        size, kind = int(rng.integers(200, 700)), rng.integers(3)
        pieces.append([steps, ramp, chirp][kind](rng, size))
        length += size
    return np.concatenate(pieces)[:SAMPLES]


def steps(rng, size):
    """Return four steps."""
    return np.repeat(rng.uniform(0, 1, 4), -(-size // 4))[:size]


def ramp(rng, size):
    """Return a ramp."""
    return rng.uniform(0, 1) + rng.uniform(-0.5, 0.5) * np.arange(size) / size


def chirp(rng, size):
    """Return a wave whose frequency rises, in cycles per sample."""
    place, low, high = np.arange(size), rng.uniform(0.004, 0.02), rng.uniform(0.02, 0.06)
    return 0.5 + 0.4 * np.sin(2 * np.pi * (low * place + (high - low) * place**2 / (2 * size)))


def moving_ellipsoids(shape, seed=11):
    """Draw ellipsoids of several brightnesses that move over time, and waves that travel."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape[1:]), indexing="ij")
    count, low, high = 20, (-0.8, 0.1, -0.08), (0.8, 0.5, 0.08)
    places, sizes, moves = (rng.uniform(*ends, (count, 3)) for ends in zip(low, high, strict=True))
    bodies = list(zip(places, sizes, moves, rng.uniform(-0.3, 0.3, count), strict=True))
    frames = []
    for t in range(shape[0]):
        frame = 0.1 * np.sin(20 * axes[2] + 9 * axes[0] + 0.5 * t) * (axes[1] > 0)
        for center, radii, velocity, height in bodies:
            place = zip(axes, center + t * velocity, radii, strict=True)
            frame[sum(((axis - c) / r) ** 2 for axis, c, r in place) < 1] += height
        frames.append(frame)
    volume = np.array(frames)
    return (volume - volume.min()) / np.ptp(volume)


def timed(runs, rounds):
    """Call each function half of the rounds at a time; return its shortest times and its result."""
    results = [run() for run in runs]
    seconds = [[] for _ in runs]
    for run, own in [*zip(runs, seconds, strict=True)] * 2:
        for _ in range(-(-rounds // 2)):
            start = np.array([time.perf_counter(), time.process_time()])
            run()
            own.append(np.array([time.perf_counter(), time.process_time()]) - start)
    return list(zip((np.min(own, 0) for own in seconds), results, strict=True))


def score(clean, image):
    """Return the PSNR, relative to the range of the clean array."""
    return 10 * np.log10(np.ptp(clean) ** 2 / np.mean((image - clean) ** 2))


def row(name, program, psnr, seconds=None, ratio=None):
    """Print a row."""
    times = ["", ""] if seconds is None else [f"{each:.4f}" for each in seconds]
    ratios = "" if ratio is None else " and ".join(f"{each:.0f}" for each in ratio)
    cells = [name, program, f"{psnr:.2f}", *times, ratios]
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
