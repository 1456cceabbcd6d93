"""Print how often the error of `bm3d` is within twice the standard deviation in `info.std`.

    python bench/uncertainty.py --images DIR [DIR ...] [--noise 10 20 30 40 50 60 g1 g2]
    python bench/uncertainty.py --figure FILE

A number is the level of white noise on gray photographs 0..255; g1 to g4 and b2 are the kernels of
`correlated.py`. Image number i in name order gets the noise of ``default_rng(i)``, not clipped. A
row shows percentages of pixels: in the deciles of the true brightness and of the true standard
deviation of the 7x7 pixels around each pixel, over all images of a folder, and the least and the
largest percentage of a single image. The last row is for all kinds of noise together. `--figure`
draws the error of one photograph beside its map.
"""

import argparse
from pathlib import Path

import numpy as np
from correlated import VARIANCE, shape
from photographs import gray, noisy, photograph

import fastrestore

NOISES = ("10", "20", "30", "40", "50", "60", "g1", "g2")
SIDE = 7  # pixels of a neighborhood
STEPS = np.linspace(0, 1, 11)[1:-1]


def main():
    """Print a table for each folder, or draw the figure."""
    parser = argparse.ArgumentParser(description="coverage of the map of uncertainty")
    parser.add_argument("--images", type=Path, nargs="+", default=[], metavar="DIR")
    parser.add_argument("--list", type=Path, metavar="FILE", help="paths in DIR to use")
    parser.add_argument("--noise", nargs="+", default=NOISES, metavar="NOISE")
    parser.add_argument("--profile", default="np")
    parser.add_argument("--every", type=int, default=1, help="use each N-th image")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--figure", type=Path, metavar="FILE")
    options = parser.parse_args()
    for folder in options.images:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in (".png", ".jpg"))
        if options.list is not None:
            paths = [folder / name for name in options.list.read_text("utf-8").split()]
        table(folder.name, [gray(path) for path in paths[:: options.every]], options)
    if options.figure is not None:
        draw(options.figure)


def table(name, images, options):
    """Print the rows of one folder."""
    print(f"\n{name}, {len(images)} images\n")
    print("| noise | by brightness | by deviation, from the least to the largest | images |")
    print("| --- | --- | --- | --- |")
    places = [classes(images), classes([deviation(image) for image in images])]
    rows = []
    for noise in options.noise:
        hits = [inside(image, noise, k, options) for k, image in enumerate(images)]
        rows.append(counts(hits, places))
        print(line(noise, rows[-1]), flush=True)
    each = [share for row in rows for share in row[2]]
    print(line("all", (sum(row[0] for row in rows), sum(row[1] for row in rows), each)))


def inside(clean, noise, number, options):
    """Return where the error is within twice the standard deviation."""
    image, arguments = with_noise(clean, noise, number)
    restored, info = fastrestore.bm3d(
        image, **arguments, profile=options.profile, workers=options.workers,
        return_info=True, uncertainty=True,
    )  # fmt: skip
    return np.abs(restored - clean) <= 2 * info.std


def with_noise(clean, noise, number):
    """Return an image with noise, and the arguments of `bm3d` that describe the noise."""
    rng = np.random.default_rng(number)
    if noise[0].isdigit():
        return clean + float(noise) * rng.standard_normal(clean.shape), {"sigma": float(noise)}
    from scipy.signal import fftconvolve

    kernel = shape(noise) * 255 * VARIANCE**0.5
    larger = [a + b - 1 for a, b in zip(clean.shape, kernel.shape, strict=True)]
    added = fftconvolve(rng.standard_normal(larger), kernel, mode="valid")
    return clean + added, {"psd": fastrestore.psd_from_kernel(kernel, clean.shape)}


def deviation(image):
    """Return the standard deviation of the pixels around each pixel."""
    from scipy.ndimage import uniform_filter

    mean = uniform_filter(image, SIDE)
    return np.sqrt(np.maximum(uniform_filter(image**2, SIDE) - mean**2, 0))


def classes(maps):
    """Return the decile of each value among all maps."""
    limits = np.quantile(np.concatenate([each.ravel() for each in maps]), STEPS)
    return [np.searchsorted(limits, each).astype(np.uint8) for each in maps]


def counts(hits, places):
    """Count pixels (hits, all) by decile of both kinds; and return the share in each image."""
    sums = [
        sum(
            np.array([np.bincount(where[hit], minlength=10), np.bincount(where.ravel(), None, 10)])
            for hit, where in zip(hits, kind, strict=True)
        )
        for kind in places
    ]
    return *sums, [hit.mean() for hit in hits]


def line(name, row):
    """Return a row of the table."""
    cells = [" ".join(f"{100 * hit / every:.1f}" for hit, every in kind.T) for kind in row[:2]]
    shares = 100 * np.array(row[2])
    return f"| {name} | {cells[0]} | {cells[1]} | {shares.min():.1f} to {shares.max():.1f} |"


def draw(path):
    """Draw the error of a photograph, its map, and the error by the value of the map."""
    import matplotlib.pyplot as plt

    clean = photograph(256)
    restored, info = fastrestore.bm3d(noisy(clean), 25, return_info=True, uncertainty=True)
    error = np.abs(restored - clean)
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
    pictures = {"error": error, "standard deviation": info.std}
    for plot, (title, picture) in zip(axes, pictures.items(), strict=False):
        shown = plot.imshow(picture, cmap="gray", vmin=0, vmax=25)
        plot.set(title=title, xticks=[], yticks=[])
    figure.colorbar(shown, ax=axes[:2], shrink=0.8, label="gray levels")
    limits = np.quantile(info.std, np.linspace(0, 1, 21))
    where = np.searchsorted(limits[1:-1], info.std)
    means = [info.std[where == k].mean() for k in range(20)]
    squares = [np.sqrt((error[where == k] ** 2).mean()) for k in range(20)]
    axes[2].plot([0, 25], [0, 25], color="gray", linewidth=1)
    axes[2].plot(means, squares, "o", markersize=4)
    axes[2].set(
        title="each point: 5 % of the pixels", xlabel="standard deviation of the map",
        ylabel="root mean square error", aspect="equal",
    )  # fmt: skip
    figure.savefig(path, dpi=90, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
