"""Print PSNR of `restore` on photographs with various degradations, and show small faces.

    python bench/restore.py --images DIR [--only FILE] [--every 20] [--models NAME ...]
    python bench/restore.py --pairs DIR [--cameras Canon5D2] [--every 4]
    python bench/restore.py --faces OUT.png

DIR holds color photographs of 8 bits, or the pairs of PolyU, whose truth is the mean of many
photographs (see `real.py`). Degradations of the photographs:

none      the photograph itself, with which the result should agree
camera    noise of a sensor behind a color filter array, developed, and compressed by JPEG 90
jpeg N    JPEG of quality N
blur      a Gaussian of sigma 1.5 pixels
trained   blur, reduction, noise and JPEG, twice, as in the training

"bm3d" is ``bm3d(image, channel_axis=-1)``. PSNR is over RGB, of results that are rounded and
clipped to 8 bits. "below" is the number of images on which the first model is below its input, and
"worst" its lowest gain. ``--faces`` reduces the face of `skimage.data.astronaut`, with and without
noise and JPEG, and puts input, results and truth side by side.
"""

import argparse
from io import BytesIO
from pathlib import Path

import numpy as np
import real
import torch
from PIL import Image
from scipy import ndimage
from upscale import psnr, rounded

import fastrestore
from fastrestore.nets.training.degrade import Degradation

GAMMA = 2.2
GAIN, READ = 0.01, 0.005  # variance of the sensor's noise: GAIN * value + READ**2, of white 1
BLUR = 1.5
QUALITIES = 75, 30
FACE = np.s_[20:276, 96:352]  # of the astronaut


def main():
    """Print the requested tables."""
    parser = argparse.ArgumentParser(description="PSNR of restore, by degradation")
    parser.add_argument("--images", type=Path, metavar="DIR")
    parser.add_argument("--only", type=Path, metavar="FILE", help="paths in DIR, a line each")
    parser.add_argument("--pairs", type=Path, metavar="DIR", help="PolyU")
    parser.add_argument("--cameras", nargs="+", default=list(real.DEVELOPMENT))
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each N-th image")
    parser.add_argument("--models", nargs="+", default=["restore-gan-experimental"], metavar="NAME")
    parser.add_argument("--faces", type=Path, metavar="OUT")
    options = parser.parse_args()
    print(f"| degradation | images | input | bm3d | {' | '.join(options.models)} | below | worst |")
    print(f"| --- | --- | --- | --- |{' --- |' * (len(options.models) + 2)}", flush=True)
    if options.images:
        print_degraded(options)
    if options.pairs:
        for camera in options.cameras:
            paths = sorted(options.pairs.glob(f"{camera}_*_real.JPG"))[:: options.every]
            print_line(camera, (real.pair(path) for path in paths), options.models)
    if options.faces:
        write_faces(options)


def print_degraded(options):
    """Print a line for each degradation of the photographs."""
    if options.only:
        paths = [options.images / line for line in options.only.read_text().split()]
    else:
        paths = sorted(p for p in options.images.rglob("*") if p.suffix in (".png", ".jpg"))
    photographs = [np.asarray(Image.open(p).convert("RGB")) for p in paths[:: options.every]]
    for name, degrade in degradations().items():
        pairs = ((degrade(clean, seed), clean) for seed, clean in enumerate(photographs))
        print_line(name, pairs, options.models)


def degradations():
    """Return functions of a photograph and a seed, by name."""
    compressed = {f"jpeg {q}": lambda clean, _, q=q: jpeg(clean, q) for q in QUALITIES}
    return {
        "none": lambda clean, _: clean,
        "camera": lambda clean, seed: jpeg(camera(clean, seed), 90),
        **compressed,
        "blur": lambda clean, _: blurred(clean),
        "trained": trained,
    }  # fmt: skip


def blurred(image):
    """Convolve an image with a Gaussian."""
    return rounded(ndimage.gaussian_filter(image.astype(float), (BLUR, BLUR, 0)))


def jpeg(image, quality):
    """Compress an image, with chroma of half the resolution."""
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(file))


def camera(clean, seed):
    """Add noise to the values behind a color filter array (RGGB), interpolated between them."""
    linear = (clean / 255) ** GAMMA
    noise = np.random.default_rng(seed).standard_normal(clean.shape)
    noise *= np.sqrt(GAIN * linear + READ**2)
    rows, columns = np.indices(clean.shape[:2]) % 2
    sites = np.stack([(rows == 0) & (columns == 0), rows != columns, (rows == 1) & (columns == 1)])
    for channel, site in enumerate(sites):
        weights = np.outer([1, 2, 1], [1, 2, 1]) / (8 if channel == 1 else 4)
        noise[..., channel] = ndimage.convolve(noise[..., channel] * site, weights)
    return rounded(255 * np.clip(linear + noise, 0, 1) ** (1 / GAMMA))


def trained(clean, seed):
    """Degrade as in the training of the network."""
    image = torch.from_numpy(clean.transpose(2, 0, 1) / 255)[None].float()
    seen = Degradation()(image, torch.Generator().manual_seed(seed))[0]
    return rounded(seen.numpy().transpose(1, 2, 0) * 255)


def results_for(seen, models):
    """Return the results of all methods."""
    restored = (fastrestore.restore(seen, model=model, channel_axis=-1) for model in models)
    return [rounded(result) for result in (fastrestore.bm3d(seen, channel_axis=-1), *restored)]


def print_line(name, pairs, models):
    """Print the mean PSNR of input and results over pairs of input and truth."""
    table = np.array([
        [psnr(clean, result) for result in (seen, *results_for(seen, models))]
        for seen, clean in pairs
    ])  # fmt: skip
    gains = table[:, 2] - table[:, 0]
    means = " | ".join(f"{mean:.2f}" for mean in table.mean(0))
    print(
        f"| {name} | {len(table)} | {means} | {(gains < 0).sum()} | {gains.min():+.2f} |",
        flush=True,
    )


def write_faces(options):
    """Write rows of input, results and truth for faces of several sizes."""
    from skimage.data import astronaut

    face, rows = astronaut()[FACE], []
    for factor in (1, 2, 4):
        size = [n // factor for n in face.shape[:2]]
        small = np.asarray(Image.fromarray(face).resize(size[::-1], Image.Resampling.LANCZOS))
        for seen in (small, jpeg(small, 75), jpeg(camera(small, 0), 90)):
            shown = (seen, *results_for(seen, options.models), small)
            large = (np.kron(image, np.ones((factor, factor, 1), np.uint8)) for image in shown)
            rows.append(np.concatenate(list(large), 1))
    Image.fromarray(np.concatenate(rows)).save(options.faces)


if __name__ == "__main__":
    main()
