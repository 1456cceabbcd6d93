"""Print PSNR and time of `bm4d` on volumes, compared with the closed program of that name.

    python bench/volumes.py [--image FILE] [--peers] [--workers 2] [--rounds 5]

Volumes are made of photographs that move from slice to slice, and of drawn ellipsoids. Of a 256x256
image given by `--image` one is made of 128x128x32, which moves by (1, 2) pixels: Set12 01 gives
that of published tables. Noise is of sigma 0.1 on [0, 1], from ``default_rng(3)``.
"""

import argparse
import time
from pathlib import Path

import numpy as np

SIGMA = 0.1


def main():
    """Print a row for each volume and program."""
    parser = argparse.ArgumentParser(description="PSNR and time of volumes")
    parser.add_argument("--image", type=Path, metavar="FILE", help="a gray image of 256x256")
    parser.add_argument("--peers", action="store_true", help="run bm4d of PyPI, too")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print("| volume | shape | noisy | fastrestore dB | s | bm4d dB | s | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, clean in volumes(options.image):
        noise = np.random.default_rng(3).normal(0, SIGMA, clean.shape)
        noisy = (clean + noise).astype(np.float32)
        seconds, restored = ours(noisy, options)
        row = [name, "x".join(map(str, clean.shape)), f"{score(clean, noisy):.2f}"]
        row += [f"{score(clean, restored):.3f}", f"{seconds:.3f}"]
        if options.peers:
            theirs, other = peer(noisy)
            row += [f"{score(clean, other):.3f}", f"{theirs:.2f}", f"{theirs / seconds:.1f}"]
        print("| " + " | ".join(row) + " |", flush=True)


def volumes(path):
    """Yield names and volumes on [0, 1]."""
    from skimage.data import camera, coins

    if path is not None:
        from PIL import Image

        image = np.asarray(Image.open(path).convert("L"), np.float64) / 255
        yield path.stem, moving(image, 1, 2, 32)[64:192, 64:192]
    yield "camera", moving(camera()[100:260, 200:360] / 255.0, 1, 1, 40)[32:128, 32:128]
    yield "coins", moving(coins()[40:200, 60:220] / 255.0, 2, -1, 24)[32:128, 32:128]
    yield "ellipsoids", ellipsoids((48, 96, 96))


def moving(image, down, right, count):
    """Stack an image that moves from slice to slice along the last axis."""
    return np.stack([np.roll(image, (down * k, right * k), (0, 1)) for k in range(count)], -1)


def ellipsoids(shape):
    """Draw ellipsoids of several brightnesses, and waves in half of the volume."""
    rng = np.random.default_rng(11)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    volume = 0.1 * np.sin(25 * x + 9 * z) * (y > 0)
    for _ in range(30):
        center, radii = rng.uniform(-0.8, 0.8, 3), rng.uniform(0.08, 0.5, 3)
        axes = zip((z, y, x), center, radii, strict=True)
        volume[sum(((axis - c) / r) ** 2 for axis, c, r in axes) < 1] += rng.uniform(-0.3, 0.3)
    return (volume - volume.min()) / np.ptp(volume)


def ours(noisy, options):
    """Return the median time and the result."""
    import fastrestore

    seconds = []
    fastrestore.bm4d(noisy[:16, :16, :16], SIGMA, workers=options.workers)
    for _ in range(options.rounds):
        start = time.perf_counter()
        restored = fastrestore.bm4d(noisy, SIGMA, workers=options.workers)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)), restored


def peer(noisy):
    """Return time and result of the closed program, with its own choice of threads."""
    import bm4d

    start = time.perf_counter()
    restored = bm4d.bm4d(noisy, SIGMA)
    return time.perf_counter() - start, restored


def score(clean, volume):
    """Peak signal-to-noise ratio in decibels, of [0, 1]."""
    return float(-10 * np.log10(np.mean((np.asarray(volume, np.float64) - clean) ** 2)))


if __name__ == "__main__":
    main()
