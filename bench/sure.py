"""Print the error of `metrics.sure` for BM3D by the step of its divergence.

    python bench/sure.py --images DIR --list FILE [--sigma 10 25 50]

FILE lists photographs of BSDS500, relative to DIR. Crops of 256x256 pixels of six of them get white
noise. Each cell is the mean and the standard deviation of the relative error over the six, for one
probe. The variance of the noise is that of the drawn noise, so that only the error of the
divergence is measured.
"""

import argparse
from pathlib import Path

import numpy as np
from photographs import gray

import fastrestore

NUMBERS = (3, 60, 100, 150, 222, 300)  # of the lines of FILE, from 0
STEPS = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.14)


def main():
    """Print one line for each step."""
    parser = argparse.ArgumentParser(description="error of metrics.sure by step")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="BSDS500")
    parser.add_argument("--list", type=Path, required=True, metavar="FILE")
    parser.add_argument("--sigma", type=float, nargs="+", default=[10.0, 25.0, 50.0])
    parser.add_argument("--profile", default="np")
    options = parser.parse_args()
    names = options.list.read_text(encoding="utf-8").split()
    images = [gray(options.images / names[k])[40:296, 60:316] for k in NUMBERS]
    tables = []
    for sigma in options.sigma:
        rows = [errors(clean, sigma, k, options.profile) for k, clean in enumerate(images)]
        tables.append(np.array(rows))
    print("| step | " + " | ".join(f"sigma {sigma:g}" for sigma in options.sigma) + " |")
    print("| --- |" + " --- |" * len(tables))
    for k, step in enumerate(STEPS):
        cells = [f"{100 * t[:, k].mean():.0f} % ± {100 * t[:, k].std():.0f} %" for t in tables]
        print(f"| {step:g} | {' | '.join(cells)} |")


def errors(clean, sigma, number, profile):
    """Return the relative error of the estimate for each step."""
    noisy = clean + np.random.default_rng(number).normal(0, sigma, clean.shape)
    probe = np.random.default_rng((2008, number)).normal(0, sigma, clean.shape)
    probe *= sigma / probe.std()

    def restore(image):
        return fastrestore.bm3d(image, sigma, profile=profile, data_range=255)

    restored = restore(noisy)
    true = np.mean((restored - clean) ** 2)
    fit = np.mean((restored - noisy) ** 2) - np.mean((noisy - clean) ** 2)
    changes = [np.mean(probe * (restore(noisy + e * probe) - restored)) / e for e in STEPS]
    return [(fit + 2 * change) / true - 1 for change in changes]


if __name__ == "__main__":
    main()
