"""Print PSNR, parameters, multiply-adds and time of every method, side by side.

    python bench/nets.py --images DIR [--sigma 15 25 50] [--each] [--color]
    python bench/nets.py [--color] [--methods bm3d bm3d:lc unet]
    python bench/nets.py --images DIR --weights FILE [--sigma 25]
    python bench/nets.py --sizes
    python bench/nets.py --devices
    python bench/nets.py --tiles

DIR holds photographs of 8 bits: gray ones, or color ones with ``--color``. Noise is white, not
clipped, from one generator for each image; results are clipped to 0..255, no border is left out and
the mean is over the PSNR of the images. A method is a name of `fastrestore.denoise`, and a profile
after a colon. "worst" is the lowest PSNR of an image minus that of the first method, at any sigma.

Parameters are those of all networks that run in a call, and multiply-adds per pixel those of their
convolutions and matrix products, counted while they run (see `counting.py`). Seconds are of the
processor on one thread, for a noisy photograph of 512x512 pixels, the median of 3: they include all
of the call, but not the time of other programs. ``--sizes`` prints the same for each of the
built-in networks, for results of 512x512 pixels; ``--devices`` seconds of the clock, with all
threads, on the processor and on a GPU if there is one.
"""

import argparse
import statistics
import time
from pathlib import Path

import counting
import numpy as np
import torch
from photographs import SIGMA, noisy, photograph, psnr

from fastrestore import denoise, nets
from fastrestore._algorithms.denoise import METHODS

SIDE = 512
REPEATS = 3


def main():
    """Print the requested tables."""
    options = arguments()
    if options.devices:
        print_devices()
    if options.tiles:
        print_tiles()
    if options.sizes:
        print_sizes()
    if options.images and options.weights:
        print_foreign(options)
    elif not (options.devices or options.tiles or options.sizes):
        print_methods(options)


def arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description="PSNR, size and time of networks, beside bm3d")
    parser.add_argument("--images", type=Path, metavar="DIR")
    parser.add_argument("--only", type=Path, metavar="FILE", help="paths in DIR, a line each")
    parser.add_argument("--skip", type=Path, metavar="FILE", help="paths in DIR left out")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each N-th image")
    parser.add_argument("--sigma", type=float, nargs="+", default=[15.0, 25.0, 50.0])
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="default: all")
    parser.add_argument("--color", action="store_true")
    parser.add_argument("--each", action="store_true", help="every image, too")
    parser.add_argument("--weights", metavar="FILE", help="a DnCNN of yours")
    parser.add_argument("--sizes", action="store_true", help="all built-in networks")
    parser.add_argument("--devices", action="store_true", help="processor and GPU")
    parser.add_argument("--tiles", action="store_true", help="tiles compared with the whole")
    return parser.parse_args()


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
    chosen = paths[:: options.every]
    return [(p.stem, np.asarray(Image.open(p).convert(mode), np.float64)) for p in chosen]


def run(method, image, sigma=SIGMA, **options):
    """Denoise by a method, or a method and a profile."""
    name, _, profile = method.partition(":")
    if profile:
        options["profile"] = profile
    axis = -1 if image.ndim == 3 else None
    return denoise(image, sigma, method=name, data_range=255, channel_axis=axis, **options)


def able(color):
    """Methods of `denoise` for which the package includes weights, bm3d first."""
    return [m for m in METHODS if m != "auto" and _is_able(m, np.zeros((16, 16, 3)[: 2 + color]))]


def _is_able(method, image):
    """Return whether there are weights for such an image."""
    try:
        run(method, image)
    except ValueError as error:
        if "no built-in" not in str(error):
            raise
        return False
    return True


def with_noise(clean, sigma, seed):
    """Add white noise, with a separate generator for each image."""
    return clean + sigma * np.random.default_rng(seed).standard_normal(clean.shape)


def print_methods(options):
    """Print one line for each method."""
    methods = options.methods or able(options.color)
    levels = options.sigma if options.images else []
    tables = {sigma: quality(options, methods, sigma) for sigma in levels}
    count = len(next(iter(tables.values()))) if tables else 0
    print(f"\n{'color' if options.color else 'gray'}, {count} images\n")
    head = [f"PSNR {sigma:g}" for sigma in tables] + ["worst"] * bool(tables)
    head += ["parameters", "multiply-adds", "seconds"]
    print(f"| method | {' | '.join(head)} |\n| --- |{' --- |' * len(head)}", flush=True)
    for k, method in enumerate(methods):
        scores = [f"{table[:, k].mean():.2f}" for table in tables.values()]
        if tables:
            scores += [f"{min((t[:, k] - t[:, 0]).min() for t in tables.values()):+.2f}"]
        row = [*scores, *cost(method, options.color)]
        print(f"| {method} | {' | '.join(row)} |", flush=True)


def quality(options, methods, sigma):
    """Return PSNR (images, methods); print it, too, with ``--each``."""
    rows = []
    if options.each:
        print(f"\nsigma {sigma:g}: {' / '.join(methods)}", flush=True)
    for seed, (name, clean) in enumerate(photographs_of(options)):
        image = with_noise(clean, sigma, seed)
        results = (run(method, image, sigma) for method in methods)
        rows.append([psnr(clean, np.clip(result, 0, 255)) for result in results])
        if options.each:
            print(f"{name}: {' / '.join(f'{score:.2f}' for score in rows[-1])}", flush=True)
    return np.array(rows)


def cost(method, color):
    """Return parameters, multiply-adds per pixel and seconds of a method, as text."""
    clean = photograph(SIDE)
    image = noisy(np.stack([clean, clean[::-1], clean.T], -1) if color else clean)
    threads = {"workers": 1} if method.partition(":")[0] in ("bm3d", "hybrid") else {}
    return measured(lambda: run(method, image, **threads), SIDE**2)


def measured(call, pixels):
    """Return parameters, multiply-adds per pixel of the result and seconds of a call, as text."""
    torch.set_num_threads(1)
    counted = counting.count(call)
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    macs = f"{counted.multiply_adds / pixels:,.0f}"
    return [f"{counted.parameters:,}", macs, f"{statistics.median(seconds):.2f}"]


def print_sizes():
    """Print one line for each of the built-in networks."""
    print("\n| network | parameters | multiply-adds | seconds |\n| --- | --- | --- | --- |")
    for name in nets.names():
        call = counting.call_of(name, SIDE)
        row = measured(call, SIDE**2) if call else [f"{counting.parameters(name):,}", "-", "-"]
        print(f"| {name} | {' | '.join(row)} |", flush=True)


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


def print_devices():
    """Time of every method on one image, by the clock."""
    clean = photograph(SIDE)
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
    for _ in range(1 + REPEATS):
        start = time.perf_counter()
        result = run(method, image, **options)
        times.append(time.perf_counter() - start)
    score = psnr(clean, result)
    assert score > psnr(clean, image) + 5
    return statistics.median(times[1:]), score


def print_tiles():
    """Largest difference of tiles from the whole, as a share of the range."""
    image = noisy(photograph(SIDE))
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
