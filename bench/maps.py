"""Print PSNR on noise whose sigma rises across the image, with the map and with single sigmas.

    python bench/maps.py --images DIR [--low 5] [--high 50]

Image number i in name order (from 0) gets the noise of ``default_rng(i)`` times the map.
"""

import argparse
from pathlib import Path

import numpy as np

SHARES = np.linspace(0.3, 1.0, 15)  # of the highest sigma: the single ones


def main():
    """Print the mean of each way."""
    parser = argparse.ArgumentParser(description="PSNR on noise that rises across the image")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--low", type=float, default=5.0)
    parser.add_argument("--high", type=float, default=50.0)
    options = parser.parse_args()
    scores = np.array(list(rows(options)))
    means = scores.mean(0)
    best = 1 + int(means[1:].argmax())
    print("| sigma given | mean PSNR dB |")
    print("| --- | --- |")
    print(f"| the map | {means[0]:.3f} |")
    print(f"| the best single one, {options.high * SHARES[best - 1]:g} | {means[best]:.3f} |")


def rows(options):
    """Yield the PSNR with the map and with each single sigma, for each image."""
    from PIL import Image

    import fastrestore

    for number, path in enumerate(sorted(options.images.glob("*.png"))):
        with Image.open(path) as image:
            clean = np.asarray(image.convert("L"), np.float64)
        level = np.broadcast_to(np.linspace(options.low, options.high, clean.shape[1]), clean.shape)
        noisy = clean + level * np.random.default_rng(number).standard_normal(clean.shape)
        yield [
            fastrestore.metrics.psnr(
                clean, np.clip(fastrestore.bm3d(noisy, sigma), 0, 255), data_range=255
            )
            for sigma in (level, *(options.high * SHARES))
        ]


if __name__ == "__main__":
    main()
