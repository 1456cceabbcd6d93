"""Print PSNR and time of `inpaint` beside scikit-image's biharmonic equation.

    python bench/inpaint.py --images DIR [--missing 0.8] [--peers] [--each] [--strip OUT.png]

DIR holds gray photographs of 8 bits. Pixels are missing at random, by a generator for each image;
results are clipped to 0..255. Both on as many threads as they take.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from photographs import gray, psnr

import fastrestore


def main():
    """Print a row for each image, and the means."""
    parser = argparse.ArgumentParser(description="PSNR and time of inpainting")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--missing", type=float, default=0.8, metavar="SHARE")
    parser.add_argument("--peers", action="store_true", help="scikit-image, too")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--strip", type=Path, metavar="OUT", help="figure of the first images")
    options = parser.parse_args()
    methods = {"fastrestore": ours} | ({"biharmonic": theirs} if options.peers else {})
    head = " | ".join(f"{name} dB | s" for name in methods)
    print(f"| image | {head} |\n| --- |{' --- |' * (2 * len(methods))}")
    rows, strips = [], []
    for k, path in enumerate(sorted(options.images.glob("*.png"))):
        clean = gray(path)
        missing = np.random.default_rng(k).random(clean.shape) < options.missing
        damaged = np.where(missing, 0, clean)
        row, shown = [], [damaged]
        for method in methods.values():
            seconds, result = method(damaged, missing, options)
            row += [psnr(clean, np.clip(result, 0, 255)), seconds]
            shown.append(np.clip(result, 0, 255))
        print(f"| {path.stem} | {' | '.join(f'{number:.2f}' for number in row)} |", flush=True)
        rows.append(row)
        strips.append(np.concatenate([each[:256, :256] for each in (*shown, clean)], 1))
    means = np.mean(rows, 0)
    print(f"| mean | {' | '.join(f'{number:.2f}' for number in means)} |")
    if options.strip:
        from PIL import Image

        Image.fromarray(np.concatenate(strips[:4]).round().astype(np.uint8)).save(options.strip)


def ours(damaged, missing, options):
    """Time the second call: the first one compiles."""
    fastrestore.inpaint(damaged[:64, :64], missing[:64, :64])
    begun = time.perf_counter()
    result = fastrestore.inpaint(damaged, missing, data_range=255, workers=options.workers)
    return time.perf_counter() - begun, result


def theirs(damaged, missing, _):
    """Time scikit-image."""
    from skimage.restoration import inpaint_biharmonic

    begun = time.perf_counter()
    result = inpaint_biharmonic(damaged, missing)
    return time.perf_counter() - begun, result


if __name__ == "__main__":
    main()
