"""Print PSNR and time of every method, and whether tiles change results.

    python bench/nets.py --images DIR [--sigma 15 25 50] [--each] [--color]
    python bench/nets.py --images DIR --weights FILE [--sigma 25]
    python bench/nets.py --time
    python bench/nets.py --tiles

DIR holds photographs of 8 bits: gray ones, or color ones with ``--color``. Noise is white, not
clipped, from one generator for each image; results are clipped to 0..255, no border is left out and
the mean is over the PSNR of the images. ``--time`` is of a noisy photograph of 512x512 pixels, the
median of 5, on the processor and on a GPU if there is one.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from photographs import noisy, photograph, psnr

from fastrestore import denoise, nets

METHODS = {"bm3d": "bm3d", "dncnn": "dncnn", "unet": "unet", "hybrid": "hybrid"}


def main():
    """Print the requested tables."""
    parser = argparse.ArgumentParser(description="PSNR and time of networks, beside bm3d")
    parser.add_argument("--images", type=Path, metavar="DIR")
    parser.add_argument("--only", type=Path, metavar="FILE", help="paths in DIR, a line each")
    parser.add_argument("--skip", type=Path, metavar="FILE", help="paths in DIR left out")
    parser.add_argument("--sigma", type=float, nargs="+", default=[15.0, 25.0, 50.0])
    parser.add_argument("--color", action="store_true")
    parser.add_argument("--each", action="store_true", help="every image, too")
    parser.add_argument("--weights", metavar="FILE", help="a DnCNN of yours")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--tiles", action="store_true")
    options = parser.parse_args()
    if options.time:
        print_times()
    if options.tiles:
        print_tiles()
    if options.images and options.weights:
        print_foreign(options)
    elif options.images:
        for sigma in options.sigma:
            print_quality(options, sigma)


def photographs_of(options):
    """Read the images, in order of their names."""
    from PIL import Image

    paths = sorted(p for p in options.images.rglob("*") if p.suffix in (".png", ".jpg"))
    if options.only:
        names = options.only.read_text().split()
        paths = [options.images / name for name in names]
    if options.skip:
        left_out = {options.images / name for name in options.skip.read_text().split()}
        paths = [path for path in paths if path not in left_out]
    mode = "RGB" if options.color else "L"
    return [(p.stem, np.asarray(Image.open(p).convert(mode), np.float64)) for p in paths]


def able(color):
    """Methods whose weights are included in the package."""
    kind = "color" if color else "gray"
    there = {name.removesuffix(f"-{kind}") for name in nets.names() if name.endswith(kind)}
    return [m for m in METHODS if m == "bm3d" or m in there or (m == "hybrid" and "unet" in there)]


def with_noise(clean, sigma, seed):
    """Add white noise, with a separate generator for each image."""
    return clean + sigma * np.random.default_rng(seed).standard_normal(clean.shape)


def print_quality(options, sigma):
    """PSNR of every method on every image, and the means."""
    images, methods = photographs_of(options), able(options.color)
    axis = {"channel_axis": -1} if options.color else {}
    print(f"\n{options.images.name}, {len(images)} images, sigma {sigma:g}: PSNR in dB\n")
    print(f"| image | {' | '.join(methods)} |\n| --- |{' --- |' * len(methods)}")
    rows = []
    for seed, (name, clean) in enumerate(images):
        image = with_noise(clean, sigma, seed)
        results = (denoise(image, sigma, method=m, data_range=255, **axis) for m in methods)
        rows.append([psnr(clean, np.clip(result, 0, 255)) for result in results])
        if options.each:
            print(f"| {name} | {' | '.join(f'{score:.2f}' for score in rows[-1])} |", flush=True)
    print(f"| mean | {' | '.join(f'{score:.3f}' for score in np.mean(rows, axis=0))} |", flush=True)
    if "hybrid" in methods:
        table = np.array(rows)
        better = np.maximum(table[:, methods.index("bm3d")], table[:, methods.index("unet")])
        worst = (table[:, methods.index("hybrid")] - better).min()
        print(f"\nhybrid over the better of its parts, worst image: {worst:+.3f} dB")


def print_foreign(options):
    """PSNR of weights from a file."""
    net = nets.load(options.weights)
    for sigma in options.sigma:
        scores = []
        for seed, (_, clean) in enumerate(photographs_of(options)):
            image = with_noise(clean, sigma, seed)
            result = nets.apply(net, image, data_range=255)
            scores.append(psnr(clean, np.clip(result, 0, 255)))
        print(f"{Path(options.weights).name}, {options.images.name}, sigma {sigma:g}: "
              f"{np.mean(scores):.3f} dB")  # fmt: skip


def print_times():
    """Time of every method on one image."""
    import torch

    clean = photograph(512)
    image = noisy(clean)
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    print(f"\n512x512 gray, sigma 25, {torch.get_num_threads()} threads\n")
    print("| method | device | seconds | times bm3d | PSNR dB |\n| --- | --- | --- | --- | --- |")
    for device in devices:
        base = None
        for method in able(color=False):
            options = {"backend": "numba" if device == "cpu" else "cupy"}
            if method != "bm3d":
                options = {"device": device}
            seconds, score = timed(clean, image, method, options)
            base = base or seconds
            print(f"| {method} | {device} | {seconds:.3f} | {seconds / base:.1f} | {score:.2f} |",
                  flush=True)  # fmt: skip


def timed(clean, image, method, options):
    """Median of the seconds of some calls, and the PSNR."""
    times = []
    for _ in range(6):
        start = time.perf_counter()
        result = denoise(image, 25, method=method, data_range=255, **options)
        times.append(time.perf_counter() - start)
    score = psnr(clean, result)
    assert score > psnr(clean, image) + 5
    return statistics.median(times[1:]), score


def print_tiles():
    """Largest difference of tiles from the whole, as a share of the range."""
    image = noisy(photograph(512))
    for name in nets.names():
        if not name.endswith("gray"):
            continue
        net = nets.load(name)
        whole = nets.apply(net, image, 25, data_range=255, tile=None)
        for tile in (64, 200):
            tiled = nets.apply(net, image, 25, data_range=255, tile=tile)
            print(f"{name}, tiles of {tile}: {np.abs(tiled - whole).max() / 255:.1e} of the range")


if __name__ == "__main__":
    main()
