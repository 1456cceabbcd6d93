"""Print PSNR on photon noise, compared with the same steps around the package `bm3d`.

    python bench/poisson.py --images DIR --peak 2 5 20 [--gaussian 0.1] [--peers]

Image number i in name order (from 0), scaled to that peak in photons, gets the Poisson noise of
``default_rng(i)``, and then white noise of a share of the peak. Results are clipped to
0..peak before they are judged.
"""

import argparse
from pathlib import Path

import numpy as np


def main():
    """Print one line for each peak."""
    parser = argparse.ArgumentParser(description="PSNR on photon noise")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--peak", type=float, nargs="+", default=[2.0, 5.0, 20.0])
    parser.add_argument(
        "--gaussian",
        type=float,
        default=0.0,
        metavar="X",
        help="sigma of white noise, over the peak",
    )
    parser.add_argument("--peers", action="store_true", help="bm3d 4.0.3 (np) beside it: slow")
    options = parser.parse_args()
    print("| peak | fastrestore dB | bm3d dB | smallest difference dB |")
    print("| --- | --- | --- | --- |")
    for peak in options.peak:
        scores = np.array(list(rows(options, peak)))
        ours = f"{scores[:, 0].mean():.3f}"
        peer = f"{scores[:, 1].mean():.3f} | {(scores[:, 0] - scores[:, 1]).min():+.3f}"
        print(f"| {peak:g} | {ours} | {peer if options.peers else '- | -'} |", flush=True)


def rows(options, peak):
    """Yield the PSNR of ours and of the peer for each image."""
    from PIL import Image

    import fastrestore

    sigma = options.gaussian * peak
    model = fastrestore.PoissonGaussian(1.0, sigma)
    for number, path in enumerate(sorted(options.images.glob("*.png"))):
        with Image.open(path) as image:
            clean = np.asarray(image.convert("L"), np.float64) / 255 * peak
        rng = np.random.default_rng(number)
        noisy = rng.poisson(clean) + sigma * rng.standard_normal(clean.shape)
        results = [fastrestore.bm3d(noisy, noise=model)]
        if options.peers:
            import bm3d

            results.append(model.inverse(bm3d.bm3d(model.forward(noisy), 1.0)))
        yield [
            fastrestore.metrics.psnr(clean, np.clip(result, 0, peak), data_range=peak)
            for result in (*results, results[0])[:2]
        ]


if __name__ == "__main__":
    main()
