"""Print the quality of enlarged and restored photographs, and show them side by side.

    python bench/upscale.py --images DIR [--models srresnet srgan] [--strip OUT.png]
    python bench/upscale.py --images DIR --degraded [--models NAME] [--strip OUT.png]
    ... --features squeezenet11_features.h5 --efficientnet --pyiqa lpips

DIR holds color photographs of 8 bits. Small images are those of Pillow's bicubic filter; results
are clipped and rounded to 8 bits, a border of 4 pixels is left out. Y is the luminance of video
(BT.601, 16 to 235), SSIM that of scikit-image with a Gaussian window. With ``--degraded`` they are
blurred, reduced, noisy and compressed, twice, by a generator for each image. Perceptual distances
are those of `perceptual.py`.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from perceptual import add_distances, distances
from PIL import Image
from skimage.metrics import structural_similarity

import fastrestore
from fastrestore.nets.training.degrade import Degradation

BORDER, SCALE = 4, 4


def main():
    """Print a table of means, or of every image."""
    parser = argparse.ArgumentParser(description="PSNR, SSIM and perceptual distance")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--models", nargs="+", metavar="NAME", help="or files of weights")
    parser.add_argument("--degraded", action="store_true")
    parser.add_argument("--only", type=Path, metavar="FILE", help="paths in DIR, a line each")
    parser.add_argument("--skip", type=Path, metavar="FILE", help="paths in DIR left out")
    parser.add_argument("--count", type=int, metavar="N", help="number of images to read")
    add_distances(parser)
    parser.add_argument("--strip", type=Path, metavar="OUT", help="figure of all, side by side")
    parser.add_argument("--each", action="store_true", help="every image, too")
    options = parser.parse_args()
    models = options.models or (
        ["restore-gan-experimental"] if options.degraded else ["srresnet", "srgan"]
    )
    looks = distances(options)
    rows, strips = [], []
    for seed, (name, clean) in enumerate(photographs(options)):
        results = degraded(clean, models, seed) if options.degraded else enlarged(clean, models)
        rows.append({kind: measured(clean, result, looks) for kind, result in results.items()})
        strips.append(side_by_side([*results.values(), clean]))
        if options.each:
            print_table(name, rows[-1:])
    print_table(f"{options.images.name}, {len(rows)} images, mean", rows)
    if options.strip:
        write_strip(strips, options.strip)


def photographs(options):
    """Read color photographs, cut to a multiple of the scale."""
    if options.only:
        paths = [options.images / line for line in options.only.read_text().split()]
    else:
        paths = sorted(p for p in options.images.rglob("*") if p.suffix in (".png", ".jpg"))
    if options.skip:
        left_out = {options.images / line for line in options.skip.read_text().split()}
        paths = [path for path in paths if path not in left_out]
    for path in paths[: options.count]:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        height, width = (n - n % SCALE for n in pixels.shape[:2])
        yield path.stem, pixels[:height, :width]


def enlarged(clean, models):
    """Enlarge the small image by each method."""
    height, width = clean.shape[:2]
    size = (width // SCALE, height // SCALE)
    small = Image.fromarray(clean).resize(size, Image.Resampling.BICUBIC)
    results = {
        "input": np.asarray(small.resize((width, height), Image.Resampling.NEAREST)),
        "bicubic": np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)),
    }
    for model in models:
        result = fastrestore.super_resolve(np.asarray(small), SCALE, model=model, channel_axis=-1)
        results[model] = rounded(result)
    return results


def degraded(clean, models, seed):
    """Restore the degraded image by each method; denoisers that need sigma estimate it."""
    image = torch.from_numpy(clean.transpose(2, 0, 1) / 255)[None].float()
    seen = Degradation()(image, torch.Generator().manual_seed(seed))[0]
    seen = rounded(seen.numpy().transpose(1, 2, 0) * 255)
    results = {"input": seen, "bm3d": rounded(fastrestore.bm3d(seen, channel_axis=-1))}
    for model in models:
        if fastrestore.nets.load(model).takes_sigma:
            net = fastrestore.nets.load(model)
            result = fastrestore.nets.apply(net, seen, channel_axis=-1)
        else:
            result = fastrestore.restore(seen, model=model, channel_axis=-1)
        results[model] = rounded(result)
    return results


def rounded(result):
    """As an image of 8 bits."""
    return np.clip(np.rint(result), 0, 255).astype(np.uint8)


def tensor(image):
    """As (1, 3, M, N) from 0 to 1."""
    return torch.from_numpy(image.transpose(2, 0, 1) / 255)[None].float()


def luminance(image):
    """Y of video, from 16 to 235."""
    return 16 + image.astype(np.float64) @ (65.481, 128.553, 24.966) / 255


def measured(clean, result, looks):
    """All measures of a result."""
    inner = (slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    a, b = clean[inner], result[inner]
    y, z = luminance(a), luminance(b)
    scores = {
        "PSNR Y": psnr(y, z),
        "SSIM Y": ssim(y, z),
        "PSNR RGB": psnr(a, b),
        "SSIM RGB": ssim(a, b, channel_axis=-1),
    }
    return scores | {name: float(apart(tensor(a), tensor(b))) for name, apart in looks.items()}


def psnr(a, b):
    """PSNR on 0 to 255."""
    return fastrestore.metrics.psnr(a.astype(float), b.astype(float), data_range=255)


def ssim(a, b, **options):
    """SSIM with the parameters of its paper."""
    return structural_similarity(
        a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        **options,
    )  # fmt: skip


def print_table(title, rows):
    """Means over the images."""
    names = list(next(iter(rows[0].values())))
    print(f"\n{title}\n\n| | {' | '.join(names)} |\n| --- |{' --- |' * len(names)}")
    for kind in rows[0]:
        means = (np.mean([row[kind][name] for row in rows]) for name in names)
        shown = (
            f"{m:.2f}" if "PSNR" in n else f"{m:.4f}" for n, m in zip(names, means, strict=True)
        )
        print(f"| {kind} | {' | '.join(shown)} |", flush=True)


def side_by_side(images, side=224):
    """The middle of each."""
    top, left = (max(0, (n - side) // 2) for n in images[-1].shape[:2])
    cuts = [image[top : top + side, left : left + side] for image in images]
    beyond = [(0, side - cuts[0].shape[0]), (0, side - cuts[0].shape[1]), (0, 0)]
    return np.concatenate([np.pad(cut, beyond) for cut in cuts], 1)


def write_strip(strips, path):
    """Photographs below each other, the true one at the right."""
    Image.fromarray(np.concatenate(strips[:6], 0)).save(path)


if __name__ == "__main__":
    main()
