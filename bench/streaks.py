"""Print PSNR and time of `remove_streaks` beside bm3dornl, on sinograms with known streaks.

    python bench/streaks.py [--peers] [--workers 2] [--pixels 362]

Sinograms are those of a phantom of Shepp and Logan in 360 angles, with streaks of every detector
pixel, of some (strong, and changing slowly), and of many pixels' width; each with noise. The peer,
where it is installed, runs in each of its ways.
"""

import argparse
import importlib.util
import time

import numpy as np

import fastrestore

ANGLES = 360


def main():
    """Print a row for each kind of streaks."""
    parser = argparse.ArgumentParser(description="PSNR and time of removing streaks")
    parser.add_argument("--peers", action="store_true", help="bm3dornl, too")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--pixels", type=int, default=362, help="of the phantom along a side")
    options = parser.parse_args()
    clean = sinogram(options.pixels)
    ways = {"fastrestore": lambda each: fastrestore.remove_streaks(each, workers=options.workers)}
    if options.peers and importlib.util.find_spec("bm3dornl"):
        ways |= peers()
    names = " | ".join(f"{name} dB | s" for name in ways)
    print(f"| streaks | dB | {names} |\n| --- | --- |{' --- |' * (2 * len(ways))}")
    for seed, kind in enumerate(("every pixel", "some", "wide")):
        bad = streaked(clean, kind, seed)
        row = [kind, f"{psnr(clean, bad):.2f}"]
        for way in ways.values():
            way(bad)
            begun = time.perf_counter()
            result = way(bad)
            row += [f"{psnr(clean, result):.2f}", f"{time.perf_counter() - begun:.2f}"]
        print("| " + " | ".join(row) + " |", flush=True)


def peers():
    """Return the peer, in each of its ways."""
    from bm3dornl import bm3d_ring_artifact_removal as remove

    return {
        "bm3dornl": remove,
        "bm3dornl multiscale": lambda each: remove(each, multiscale=True),
        "bm3dornl generic": lambda each: remove(each, mode="generic"),
    }


def sinogram(size):
    """Make one of (angles, detector)."""
    from skimage.data import shepp_logan_phantom
    from skimage.transform import radon, resize

    image = resize(shepp_logan_phantom(), (size, size))
    angles = np.linspace(0, 180, ANGLES, endpoint=False)
    return radon(image, angles, circle=False).T.astype(np.float32)


def streaked(clean, kind, seed):
    """Add streaks and noise."""
    from scipy.ndimage import gaussian_filter1d

    rng, top, width = np.random.default_rng(seed), float(clean.max()), clean.shape[1]
    slow, streaks = 1.0, np.zeros(width)
    if kind == "every pixel":
        streaks = rng.normal(0, 0.01 * top, width)
    elif kind == "some":
        streaks[rng.choice(width, 30, replace=False)] = rng.normal(0, 0.04 * top, 30)
        slow = 1 + 0.3 * np.sin(np.linspace(0, 3, len(clean)))[:, None]
    else:
        streaks = rng.normal(0, 0.006 * top, width)
        streaks += 0.03 * top * gaussian_filter1d(rng.normal(0, 1, width), 4)
    noise = np.random.default_rng(100 + seed).normal(0, 0.003 * top, clean.shape)
    return (clean + slow * streaks + noise).astype(np.float32)


def psnr(clean, image):
    """PSNR on the range of the sinogram."""
    error = np.mean((image.astype(np.float64) - clean) ** 2)
    return float(10 * np.log10(float(clean.max()) ** 2 / error))


if __name__ == "__main__":
    main()
