"""Print PSNR on correlated noise, with its spectrum and without, and times over white noise's.

    python bench/correlated.py --images DIR [--peers]

Kernels are g1 to g4 of Mäkinen, Azzari and Foi, "Collaborative filtering of correlated noise", IEEE
TIP 29, 2020, g1 with a fifth of white noise ("g1w"), and a Gaussian of standard deviation 2 ("b2").
The column "spec" is ``noise=`` the same noise as a `NoiseSpec`, which is restored on several scales
if its wavelengths are long. Of the images of Set12 the house, the peppers, the
cameraman and a square of Barbara get noise of variance 0.02, on [0, 1], from ``default_rng(7)``,
which does not wrap around. Results are clipped to 0..1 before they are judged.
"""

import argparse
import time
from pathlib import Path

import numpy as np

VARIANCE = 0.02
WHITE = 0.2  # share of the variance in "g1w"
PROFILES = ("np", "refilter", "iterative")
NAMES = ("g1", "g2", "g3", "g4", "g1w", "b2")


def main():
    """Print one line for each kernel."""
    parser = argparse.ArgumentParser(description="PSNR on correlated noise")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="Set12")
    parser.add_argument("--peers", action="store_true", help="bm3d 4.0.3 beside it: slow")
    options = parser.parse_args()
    images = photographs(options.images)
    columns = ["noisy", "sigma given", "np", "refilter", "iterative", "spec"]
    columns += ["bm3d np", "bm3d refilter"] if options.peers else []
    print("house / peppers / cameraman / Barbara, and their mean, in dB\n")
    print(f"| kernel | {' | '.join(columns)} | time over white noise's: np, iterative |")
    print("| --- |" + " --- |" * (len(columns) + 1))
    for name in NAMES:
        scores = np.array([row(image, name, options.peers) for image in images])
        cells = [f"{' / '.join(f'{s:.2f}' for s in each)}: {each.mean():.2f}" for each in scores.T]
        times = " / ".join(f"{ratio:.2f}" for ratio in slowdowns(name))
        print(f"| {name} | {' | '.join(cells)} | {times} |", flush=True)


def photographs(folder):
    """Return the four images on [0, 1]."""
    from PIL import Image

    images = []
    for name in ("02", "03", "01", "09"):
        with Image.open(folder / f"{name}.png") as image:
            images.append(np.asarray(image.convert("L"), np.float64) / 255)
    images[3] = images[3][128:384, 128:384]
    return images


def kernels(name):
    """Return the kernels whose noise adds up to the named noise."""
    kernel = shape(name[:2]) * VARIANCE**0.5
    if not name.endswith("w"):
        return [kernel]
    return [kernel * (1 - WHITE) ** 0.5, np.full((1, 1), (WHITE * VARIANCE) ** 0.5)]


def shape(name):
    """Return a kernel of norm 1."""
    if name == "g1":
        kernel = 16 - np.abs(np.linspace(1, 31, 31) - 16)[None]
    elif name == "b2":
        y, x = np.mgrid[-12:13, -12:13]
        kernel = np.exp(-(y**2 + x**2) / (2 * 2.0**2))
    elif name == "g4":
        y, x = np.mgrid[-128:128, -128:128]
        root = np.sqrt(2.56 / (np.hypot(y, x) ** 0.5 + 2.56))
        kernel = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(root))).real
    else:
        y, x = np.mgrid[-50:51, -50:51]
        wave = np.cos(np.hypot(y, x) if name == "g2" else y + x)
        kernel = wave * np.exp(-(y**2 + x**2) / 200)
    return kernel / np.linalg.norm(kernel)


def noise(name, size):
    """Return noise of this shape that does not wrap around, and its power spectrum."""
    from scipy.signal import fftconvolve

    import fastrestore

    rng = np.random.default_rng(7)
    total, psd = np.zeros(size), np.zeros(size)
    for kernel in kernels(name):
        larger = [a + b - 1 for a, b in zip(size, kernel.shape, strict=True)]
        total += fftconvolve(rng.standard_normal(larger), kernel, mode="valid")
        psd += fastrestore.psd_from_kernel(kernel, size)
    return total, psd


def row(clean, name, peers):
    """Return the PSNR of each column for one image."""
    import fastrestore

    added, psd = noise(name, clean.shape)
    noisy = clean + added
    results = [noisy, fastrestore.bm3d(noisy, VARIANCE**0.5)]
    results += [fastrestore.bm3d(noisy, psd=psd, profile=each) for each in PROFILES]
    results += [fastrestore.bm3d(noisy, noise=specification(psd))]
    if peers:
        results += [peer(noisy, psd, each) for each in ("np", "refilter")]
    judged = [results[0], *(np.clip(result, 0, 1) for result in results[1:])]
    return [fastrestore.metrics.psnr(clean, result, data_range=1) for result in judged]


def specification(psd):
    """Return noise with this power spectrum as a `NoiseSpec`."""
    import fastrestore

    variance = psd.sum() / psd.size**2
    level = np.full((1, 1), variance**0.5)
    spectrum = psd[None, None] / psd.mean()
    return fastrestore.NoiseSpec(level[0], np.zeros((1, 1)), level, spectrum)


def peer(noisy, psd, profile):
    """Run the package `bm3d`, which needs a function that NumPy has renamed."""
    import bm3d

    if not hasattr(np, "trapz"):
        setattr(np, "trapz", np.trapezoid)  # noqa: B010
    return bm3d.bm3d(noisy, psd, profile=profile)


def slowdowns(name, rounds=7):
    """Return times of a 512x512 photograph with this noise over that with white noise."""
    from photographs import photograph

    import fastrestore

    clean = photograph(512) / 255
    added, psd = noise(name, clean.shape)
    white = VARIANCE**0.5 * np.random.default_rng(7).standard_normal(clean.shape)
    calls = [
        lambda: fastrestore.bm3d(clean + white, VARIANCE**0.5),
        lambda: fastrestore.bm3d(clean + added, psd=psd),
        lambda: fastrestore.bm3d(clean + added, psd=psd, profile="iterative"),
    ]
    times = [[], [], []]
    for _ in range(rounds):
        for call, own in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            own.append(time.perf_counter() - start)
    white, *correlated = (float(np.median(own)) for own in times)
    return [each / white for each in correlated]


if __name__ == "__main__":
    main()
