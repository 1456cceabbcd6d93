"""Print PSNR and time of `remove_streaks` beside other packages, on sinograms with known streaks.

    python bench/streaks.py [--peers] [--workers 2] [--pixels 362]

Sinograms are those of a phantom of Shepp and Logan in 360 angles, with noise and streaks: of every
detector pixel, of some (strong, and changing slowly), of many pixels' width (smooth, or 15 pixels
wide with sharp sides), of some pixels at a part of the angles, and of some pixels whose values
fluctuate. The last rows have noise only; their objects have edges that stand still in the sinogram.
Of each package that is installed, bm3dornl and algotom, the best of its methods is printed for each
row, with its name.
"""

import argparse
import importlib.util
import time
from functools import partial

import numpy as np

import fastrestore

ANGLES = 360
KINDS = (
    "every pixel",
    "some",
    "wide",
    "partial",
    "fluctuating",
    "15 pixels wide",
    "none, slab in the center",
    "none, tube in the center",
)


def main():
    """Print a row for each kind of streaks."""
    parser = argparse.ArgumentParser(description="PSNR and time of removing streaks")
    parser.add_argument("--peers", action="store_true", help="bm3dornl and algotom, too")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--pixels", type=int, default=362, help="of the phantom along a side")
    options = parser.parse_args()
    packages = {"fastrestore": {"": partial(fastrestore.remove_streaks, workers=options.workers)}}
    if options.peers:
        packages |= peers()
    names = " | ".join(f"{name} dB | s" for name in packages)
    print(f"| streaks | dB | {names} |\n| --- | --- |{' --- |' * (2 * len(packages))}")
    phantom = sinogram(options.pixels)
    for seed, kind in enumerate(KINDS):
        clean = centered(kind, phantom.shape) if kind.startswith("none") else phantom
        bad = streaked(clean, kind, seed)
        row = [kind, f"{psnr(clean, bad):.2f}"]
        for ways in packages.values():
            best, seconds, name = max(measure(way, clean, bad, name) for name, way in ways.items())
            row += [f"{best:.2f} {name}".strip(), f"{seconds:.2f}"]
        print("| " + " | ".join(row) + " |", flush=True)


def measure(way, clean, bad, name):
    """Return PSNR, seconds and name of a method, -inf where it fails."""
    try:
        way(bad.copy())
        begun = time.perf_counter()
        result = way(bad.copy())
    except (ValueError, IndexError, ZeroDivisionError):
        return -np.inf, 0.0, name
    return psnr(clean, result), time.perf_counter() - begun, name


def peers():
    """Return the methods of each installed package."""
    found = {}
    if importlib.util.find_spec("bm3dornl"):
        from bm3dornl import bm3d_ring_artifact_removal as remove

        found["bm3dornl"] = {
            "streak": remove,
            "multiscale": partial(remove, multiscale=True),
            "multiscale, log": partial(remove, multiscale=True, log_domain_input=True),
            "generic": partial(remove, mode="generic"),
        }
    if importlib.util.find_spec("algotom"):
        from algotom.prep import removal

        names = "sorting filtering fitting 2d_filtering_sorting normalization regularization"
        names = [
            "stripe_based_" + name for name in (names + " fft wavelet_fft interpolation").split()
        ]
        names += ["all_stripe", "large_stripe", "dead_stripe"]
        found["algotom"] = {
            name.removeprefix("stripe_based_"): getattr(removal, "remove_" + name) for name in names
        }
    return found


def sinogram(size):
    """Make one of (angles, detector)."""
    from skimage.data import shepp_logan_phantom
    from skimage.transform import radon, resize

    image = resize(shepp_logan_phantom(), (size, size))
    angles = np.linspace(0, 180, ANGLES, endpoint=False)
    return radon(image, angles, circle=False).T.astype(np.float32)


def centered(kind, shape):
    """Make the sinogram of an object whose edges stay at the same detector pixels."""
    across = np.abs(np.arange(shape[1]) - shape[1] / 2 + 0.5)
    if "slab" in kind:
        profile = 100.0 * (across < shape[1] / 6)
    else:
        outside, inside = shape[1] / 4, shape[1] / 4 - 8
        profile = 2 * np.sqrt(np.maximum(outside**2 - across**2, 0))
        profile -= 2 * np.sqrt(np.maximum(inside**2 - across**2, 0))
    return np.tile(profile, (shape[0], 1)).astype(np.float32)


def streaked(clean, kind, seed):
    """Add streaks and noise."""
    rng, top = np.random.default_rng(seed), float(clean.max())
    level = 0.005 if kind.startswith("none") else 0.003
    noise = np.random.default_rng(100 + seed).normal(0, level * top, clean.shape)
    return (clean + top * streaks(rng, kind, *clean.shape) + noise).astype(np.float32)


def streaks(rng, kind, angles, width):
    """Make streaks, relative to the highest value."""
    from scipy.ndimage import gaussian_filter1d

    every, added = np.ones((angles, 1)), np.zeros((angles, width))
    if kind == "every pixel":
        return every * rng.normal(0, 0.01, width)
    if kind == "wide":
        fine = rng.normal(0, 0.006, width)
        return every * (fine + 0.03 * gaussian_filter1d(rng.normal(0, 1, width), 4))
    if kind in ("some", "partial", "fluctuating"):
        heights = rng.normal(0, 0.04, 30)
        columns = rng.choice(width, 30, replace=False)
        added[:, columns] = heights
    if kind == "some":
        added *= 1 + 0.3 * np.sin(np.linspace(0, 3, angles))[:, None]
    elif kind == "partial":
        for column in columns:
            length = int(rng.uniform(0.2, 0.5) * angles)
            start = rng.integers(0, angles - length + 1)
            added[:start, column] = added[start + length :, column] = 0
    elif kind == "fluctuating":
        added[:, columns] = rng.normal(0, 0.04, (angles, 30))
    elif kind == "15 pixels wide":
        for part in np.array_split(np.arange(width), 6):
            start = rng.integers(part[0], part[-1] - 15)
            added[:, start : start + 15] = rng.choice((-1, 1)) * rng.uniform(0.01, 0.04)
    return added


def psnr(clean, image):
    """PSNR on the range of the sinogram."""
    error = np.mean((image.astype(np.float64) - clean) ** 2)
    return float(10 * np.log10(float(clean.max()) ** 2 / error))


if __name__ == "__main__":
    main()
