"""Print the error of `estimate_sigma` over a folder of gray images, on drawings, and its time.

    python bench/estimate.py --images DIR --sigma 5 10 25 50 [--peers]

Image number i in name order (from 0) gets the noise ``default_rng(i)`` times sigma. The rows:

* the noisy image unchanged;
* 10, 30 and 60 % of it replaced by 0, 16, 255 or a clean ramp: two bars, a frame, or everything
  outside an ellipse, in turn;
* rounded and clipped to 8 bits, and the same with 30 % replaced.

The limit of a row is 1.5 times the mean error of the unchanged images plus 1 %. Then the largest
estimate for clean drawings and text (`drawings.py`), of 255, and the processor time for 512x512
with one and two threads of the BLAS. With --peers also the error of
`skimage.restoration.estimate_sigma`, the wavelet median.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

FILLS = {"0": 0.0, "16": 16.0, "255": 255.0, "ramp": None}
TIMED = """
import time
import numpy as np, skimage.data
from fastrestore import estimate_sigma
image = skimage.data.camera() + 25 * np.random.default_rng(0).standard_normal((512, 512))
found, times = estimate_sigma(image), []
for _ in range(5):
    start = time.process_time()
    estimate_sigma(image)
    times.append(time.process_time() - start)
print(f"{np.median(times):.2f} s, estimate {found.hex()}")
"""


def main():
    """Print one line for each noise level and kind of image, then drawings and times."""
    parser = argparse.ArgumentParser(description="error of the estimated noise level")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--sigma", type=float, nargs="+", default=[5.0, 10.0, 25.0, 50.0])
    parser.add_argument("--every", type=int, default=1, metavar="K", help="use one image in K")
    parser.add_argument("--peers", action="store_true", help="scikit-image's beside it")
    options = parser.parse_args()
    import fastrestore

    programs = {"fastrestore": fastrestore.estimate_sigma}
    if options.peers:
        from skimage.restoration import estimate_sigma

        programs["scikit-image"] = estimate_sigma
    images = [read(path) for path in paths(options.images)[:: options.every]]
    print("| program | sigma | image | mean absolute error % | limit | bias % | worst image % |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for sigma in options.sigma:
        for name, program in programs.items():
            print_rows(f"| {name} | {sigma:g}", program, images, sigma)
    print_drawings(fastrestore.estimate_sigma)
    print_times()


def paths(folder):
    """Return the pictures in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg"))


def read(path):
    """Return an image in gray."""
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("L"), np.float64)


def print_rows(head, program, images, sigma):
    """Print the errors for each kind of image."""
    limit = np.inf
    for kind in kinds():
        found = []
        for number, clean in enumerate(images):
            noise = np.random.default_rng(number).standard_normal(clean.shape)
            found.append(program(changed(clean + sigma * noise, kind, number)) / sigma - 1)
        error = 100 * np.array(found)
        mean, worst = np.abs(error).mean(), np.abs(error).max()
        name = " ".join(str(part) for part in kind) or "unchanged"
        print(
            f"{head} | {name} | {mean:.2f} | {limit:.2f} | {error.mean():+.2f} | {worst:.1f} |",
            flush=True,
        )
        if not kind:
            limit = 1.5 * mean + 1


def kinds():
    """Return the kinds of images: (), or what is done to them."""
    filled = [(share, fill) for share in (10, 30, 60) for fill in FILLS]
    return [(), *filled, ("8 bits",), *(("8 bits", 30, fill) for fill in FILLS)]


def changed(image, kind, number):
    """Replace a share of an image, and round and clip it."""
    if kind[-2:] and kind[-1] in FILLS:
        image = np.where(
            replaced(image.shape, kind[-2] / 100, number % 3), fill(image, kind[-1]), image
        )
    return np.clip(np.round(image), 0, 255) if "8 bits" in kind else image


def fill(image, name):
    """Return a number, or a clean ramp."""
    height, width = image.shape
    ramp = np.add.outer(np.linspace(0, 100, height), np.linspace(0, 155, width))
    return ramp if FILLS[name] is None else FILLS[name]


def replaced(shape, share, form):
    """Where a share of an image is replaced: bars, a frame, or all outside an ellipse."""
    down, across = (np.abs(np.linspace(-1, 1, n)) for n in shape)
    if form == 0:
        return np.broadcast_to((down > 1 - share)[:, None], shape)
    if form == 1:
        return np.maximum.outer(down, across) > np.sqrt(1 - share)
    radius = np.hypot.outer(down, across)
    return radius > np.quantile(radius, 1 - share)


def print_drawings(program):
    """Print the largest estimates for drawings without noise."""
    from drawings import drawings

    found = sorted(((float(program(image)), name) for name, image in drawings().items()))[::-1]
    shown = ", ".join(f"{value:.3f} {name}" for value, name in found[:3])
    print(f"\n{len(found)} clean drawings, at most 0.3 of 255 wanted; the largest: {shown}")


def print_times():
    """Print the processor time and the estimate, with one and two threads of the BLAS."""
    for threads in ("1", "2"):
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads)}
        done = subprocess.run(
            [sys.executable, "-c", TIMED],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        print(f"512x512, processor time with {threads} BLAS threads: {done.stdout.strip()}")


if __name__ == "__main__":
    main()
