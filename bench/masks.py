"""Print what `mask=` of `bm3d` costs: PSNR of valid pixels, compared with the whole image.

    python bench/masks.py --images DIR [--sigma 25] [--near 0 1 2 3] [--most 12]

Each image loses a rectangle, the outside of a circle, the outside of a ragged region, 1 or 5 % of
its pixels, or columns of one or three pixels. The table shows the mean PSNR of the valid pixels:
when the whole image is restored, and the difference when the other pixels are unknown, for each
`--near` (`fastrestore._arrays.masks.NEAR`), and when the caller fills them with the mean. In
brackets: the same difference for valid pixels at most eight pixels from an invalid one.
"""

import argparse
from pathlib import Path

import numpy as np
from photographs import gray, psnr

from fastrestore import bm3d
from fastrestore._arrays import masks


def main():
    """Print a row for each kind of mask."""
    parser = argparse.ArgumentParser(description="PSNR of images with invalid pixels")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--sigma", type=float, default=25)
    parser.add_argument("--near", type=int, nargs="+", default=[masks.NEAR])
    parser.add_argument("--most", type=int, default=12, help="number of images")
    options = parser.parse_args()
    ways = [f"near {near}" for near in options.near] + ["filled with the mean"]
    print(f"| mask | whole image | {' | '.join(ways)} |")
    print("| --- |" + " --- |" * (1 + len(ways)))
    paths = sorted(p for p in options.images.iterdir() if p.suffix in (".png", ".jpg", ".tif"))
    images = [gray(path) for path in paths[: options.most]]
    wholes = [(clean, *noisy(clean, options.sigma, k)) for k, clean in enumerate(images)]
    for name, make in KINDS.items():
        rows = [row(*each, make, options) for each in wholes]
        cells = [f"{np.mean([scores[0][0] for scores in rows]):.2f}"]
        for k in range(1, 1 + len(ways)):
            all_of_them, near = np.mean([np.subtract(s[k], s[0]) for s in rows], axis=0)
            cells.append(f"{all_of_them:+.2f} ({near:+.2f})")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def noisy(clean, sigma, seed):
    """Return a noisy image, and the whole image restored."""
    image = clean + np.random.default_rng(seed).normal(0, sigma, clean.shape)
    return image, bm3d(image, sigma, data_range=255)


def row(clean, image, whole, make, options):
    """Return PSNR of all valid pixels and of those near holes, for each way."""
    from scipy.ndimage import minimum_filter

    valid = make(clean.shape, np.random.default_rng(0))
    near = valid & ~minimum_filter(valid, 17)
    given = np.where(valid, image, np.nan)
    results = [whole]
    for masks.NEAR in options.near:
        results.append(bm3d(given, options.sigma, data_range=255, mask=valid))
    filled = np.where(valid, image, image[valid].mean())
    results.append(bm3d(filled, options.sigma, data_range=255))
    return [[psnr(clean[part], result[part]) for part in (valid, near)] for result in results]


def rectangle(shape, rng):
    """Lose a rectangle."""
    del rng
    valid = np.ones(shape, bool)
    valid[shape[0] // 4 : 3 * shape[0] // 5, shape[1] // 3 : 4 * shape[1] // 5] = False
    return valid


def circle(shape, rng):
    """Lose the outside of a circle."""
    del rng
    y, x = (np.arange(size) - (size - 1) / 2 for size in shape)
    return y[:, None] ** 2 + x**2 < (0.47 * min(shape)) ** 2


def ragged(shape, rng):
    """Lose the outside of a circle and blotches inside."""
    from scipy.ndimage import gaussian_filter

    return circle(shape, rng) & (gaussian_filter(rng.normal(size=shape), 3) > -0.12)


def dead(share):
    """Lose a share of the pixels."""
    return lambda shape, rng: rng.random(shape) > share


def columns(width):
    """Lose one column of 32, or a few columns of several pixels."""

    def make(shape, rng):
        valid = np.ones(shape, bool)
        for first in rng.choice(shape[1] - width, shape[1] // 32 // width, replace=False):
            valid[:, first : first + width] = False
        return valid

    return make


KINDS = {
    "rectangle": rectangle,
    "outside of a circle": circle,
    "ragged outside": ragged,
    "1 % of the pixels": dead(0.01),
    "5 % of the pixels": dead(0.05),
    "columns of 1 pixel": columns(1),
    "columns of 3 pixels": columns(3),
}

if __name__ == "__main__":
    main()
