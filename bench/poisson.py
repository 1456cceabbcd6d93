"""Print PSNR on photon noise, compared with a single pass, and with other packages.

    python bench/poisson.py --images DIR --peak 1 2 4 [--gaussian 0.1] [--first 7] [--peers]

Image number i in name order (from 0), scaled to that peak in photons, gets the Poisson noise of
``default_rng(i)``, and then white noise of a share of the peak. Results are clipped to
0..peak before they are judged. With `--peers`, those that are installed run: `bm3d` 4.0.3 (np)
on the stabilized image, and `bmnd` 0.3.0 on the counts, which is slow and only for Poisson noise.
"""

import argparse
import importlib.util
from pathlib import Path

import numpy as np


def main():
    """Print one line for each peak."""
    parser = argparse.ArgumentParser(description="PSNR on photon noise")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--peak", type=float, nargs="+", default=[1.0, 2.0, 4.0])
    parser.add_argument(
        "--gaussian",
        type=float,
        default=0.0,
        metavar="X",
        help="sigma of white noise, over the peak",
    )
    parser.add_argument("--first", type=int, metavar="N", help="only the first N images")
    parser.add_argument("--peers", action="store_true", help="run bm3d and bmnd, if installed")
    options = parser.parse_args()
    names = ["fastrestore", "one pass", *(peers(options) if options.peers else {})]
    print(f"| peak | {' | '.join(names)} | least difference to one pass, dB |")
    print("| --- " * (len(names) + 2) + "|")
    for peak in options.peak:
        scores = np.array(list(rows(options, peak)))
        means = " | ".join(f"{mean:.3f}" for mean in scores.mean(0))
        print(f"| {peak:g} | {means} | {(scores[:, 0] - scores[:, 1]).min():+.3f} |", flush=True)


def rows(options, peak):
    """Yield the PSNR of all programs for each image."""
    from PIL import Image

    import fastrestore

    sigma = options.gaussian * peak
    model = fastrestore.PoissonGaussian(1.0, sigma)
    others = peers(options).values() if options.peers else ()
    for number, path in enumerate(sorted(options.images.glob("*.png"))[: options.first]):
        with Image.open(path) as image:
            clean = np.asarray(image.convert("L"), np.float64) / 255 * peak
        rng = np.random.default_rng(number)
        noisy = rng.poisson(clean) + sigma * rng.standard_normal(clean.shape)
        single = model.inverse(fastrestore.bm3d(model.forward(noisy), 1.0))
        results = [fastrestore.bm3d(noisy, noise=model), single]
        results += [restored(noisy, model) for restored in others]
        yield [
            fastrestore.metrics.psnr(clean, np.clip(result, 0, peak), data_range=peak)
            for result in results
        ]


def peers(options):
    """Return the installed packages, as functions of a noisy image and its model."""
    found = {}
    if importlib.util.find_spec("bm3d"):
        found["bm3d"] = bm3d_of
    if importlib.util.find_spec("bmnd") and not options.gaussian:
        found["bmnd"] = bmnd_of
    return found


def bm3d_of(noisy, model):
    """Run the package `bm3d` between the transform and its inverse."""
    import bm3d

    return model.inverse(bm3d.bm3d(model.forward(noisy), 1.0))


def bmnd_of(noisy, model):
    """Run the package `bmnd` with its defaults for Poisson noise."""
    import bmnd

    profile = bmnd.BM3DProfile(noise_model=bmnd.NoiseModel.POISSON)
    return bmnd.bmnd(noisy.astype(np.float32), profile)


if __name__ == "__main__":
    main()
