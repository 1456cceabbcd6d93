"""Print the error of `estimate_sigma` over a folder of gray images.

    python bench/estimate.py --images DIR --sigma 5 10 25 50 [--peers]

Image number i in name order (from 0) gets the noise ``default_rng(i)`` times sigma. With --peers
also that of `skimage.restoration.estimate_sigma`, the wavelet median.
"""

import argparse
from pathlib import Path

import numpy as np


def main():
    """Print one line for each noise level."""
    parser = argparse.ArgumentParser(description="error of the estimated noise level")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--sigma", type=float, nargs="+", default=[5.0, 10.0, 25.0, 50.0])
    parser.add_argument("--peers", action="store_true", help="scikit-image's beside it")
    options = parser.parse_args()
    import fastrestore

    programs = {"fastrestore": fastrestore.estimate_sigma}
    if options.peers:
        from skimage.restoration import estimate_sigma

        programs["scikit-image"] = estimate_sigma
    print("| program | sigma | mean absolute error % | bias % | worst image % |")
    print("| --- | --- | --- | --- | --- |")
    for sigma in options.sigma:
        for name, program in programs.items():
            error = 100 * np.array(errors(options.images, sigma, program))
            figures = (
                f"{np.abs(error).mean():.2f} | {error.mean():+.2f} | {np.abs(error).max():.1f}"
            )
            print(f"| {name} | {sigma:g} | {figures} |", flush=True)


def errors(folder, sigma, program):
    """Return the relative error for each image."""
    from PIL import Image

    found = []
    for number, path in enumerate(sorted(folder.glob("*.png"))):
        with Image.open(path) as image:
            clean = np.asarray(image.convert("L"), np.float64)
        noisy = clean + sigma * np.random.default_rng(number).standard_normal(clean.shape)
        found.append(program(noisy) / sigma - 1)
    return found


if __name__ == "__main__":
    main()
