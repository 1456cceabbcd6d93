"""Print PSNR on counts without arguments, compared with the right model of the noise.

    python bench/counts.py [--images DIR] [--workers 2]

A photograph, a volume and a film of 0 to 255 are counted with gain 2.2 and offset 100 in uint16.
With `--images`, image number i in name order (from 0) of a folder is scaled to a peak in photons
and counted with gain 1, and with gain 2.2 and read-out noise of 3, with the generator
``default_rng(i)``. Restored images are clipped to the range of the clean ones. A volume
with a background has Rician noise.
"""

import argparse
from pathlib import Path

import numpy as np
from films import still_camera
from photographs import photograph
from volumes import ellipsoids, moving

GAIN, OFFSET = 2.2, 100
PEAKS = 5, 20, 100
NOISES = {  # gain, sigma and offset
    "photons": (1.0, 0.0, 0),
    "photons, offset": (1.0, 0.0, 100),
    "counts": (GAIN, 3.0, 0),
    "counts, offset": (GAIN, 3.0, 100),
}


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description="PSNR on counts of unknown gain")
    parser.add_argument("--images", type=Path, metavar="DIR", help="gray images")
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    print("| uint16, gain 2.2, offset 100 | told dB | no arguments dB | difference |")
    print("| --- | --- | --- | --- |")
    for name, clean, restore in scenes():
        noisy = counted(clean, (GAIN, 0.0, OFFSET), 0)
        print_row(name, [compared(clean, noisy, (GAIN, 0.0, OFFSET), restore, options.workers)])
    print_magnitude(options.workers)
    if options.images is not None:
        print_images(options)


def scenes():
    """Yield the name of each scene, its clean values, and the function that restores it."""
    import fastrestore

    yield "image", photograph(512).astype(np.float64), fastrestore.bm3d
    volume = np.moveaxis(moving(photograph(192).astype(np.float64), 1, 2, 24), -1, 0)
    yield "volume", volume[:, 40:136, 60:156], fastrestore.bm4d
    yield "film", still_camera()[0][:7], fastrestore.vbm3d


def print_magnitude(workers):
    """Print rows of a volume with a background and Rician noise."""
    import fastrestore

    z, y, x = np.meshgrid(*(np.linspace(-1.2, 1.2, n) for n in (32, 96, 96)), indexing="ij")
    clean = (60 + 195 * ellipsoids(z.shape)) * (z**2 / 2 + y**2 + x**2 < 1)
    print("\n| volume, Rician | told dB | no arguments dB | difference |")
    print("| --- | --- | --- | --- |")
    for sigma in (5.0, 15.0, 30.0):
        real, imaginary = np.random.default_rng(0).normal(0, sigma, (2, *clean.shape))
        noisy, model = np.hypot(clean + real, imaginary), fastrestore.Rician(sigma)
        scores = []
        for arguments in ({"noise": model}, {}):
            restored = fastrestore.bm4d(noisy, workers=workers, **arguments)
            scores.append(fastrestore.metrics.psnr(clean, restored, data_range=255.0))
        print_row(f"sigma {sigma:g}", [scores])


def print_images(options):
    """Print a row for each peak and kind of noise."""
    from photographs import gray

    import fastrestore

    print("\n| peak, noise | told dB | no arguments dB | difference | smallest |")
    print("| --- | --- | --- | --- | --- |")
    for peak in PEAKS:
        for name, noise in NOISES.items():
            rows = []
            for number, path in enumerate(sorted(options.images.glob("*.png"))):
                clean = gray(path) / 255 * peak * noise[0]
                noisy = counted(clean, noise, number, whole=False)
                rows.append(compared(clean, noisy, noise, fastrestore.bm3d, options.workers))
            print_row(f"{peak}, {name}", rows, several=True)


def counted(clean, noise, seed, whole=True):
    """Return counts of a clean image, whole numbers in uint16 or float32."""
    gain, sigma, offset = noise
    rng = np.random.default_rng(seed)
    values = gain * rng.poisson(clean / gain) + sigma * rng.standard_normal(clean.shape) + offset
    return np.rint(values).astype(np.uint16) if whole else values.astype(np.float32)


def compared(clean, noisy, noise, restore, workers):
    """Return the PSNR with the right model and without arguments."""
    import fastrestore

    model = fastrestore.PoissonGaussian(*noise)
    scores = []
    for arguments in ({"noise": model}, {}):
        result = restore(noisy, workers=workers, **arguments) - noise[2]
        inside = np.clip(result, clean.min(), clean.max())
        scores.append(fastrestore.metrics.psnr(clean, inside, data_range=float(np.ptp(clean))))
    return scores


def print_row(name, rows, several=False):
    """Print mean scores, and the smallest difference of several."""
    told, blind = np.mean(rows, 0)
    row = [name, f"{told:.2f}", f"{blind:.2f}", f"{blind - told:+.3f}"]
    if several:
        row.append(f"{np.diff(rows).min():+.3f}")
    print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
