"""Print PSNR of `denoise_burst` over `bm3d` of one frame, and of what perfect registration gives.

    python bench/burst.py --images DIR [--sigma 25] [--count 8] [--shift 8] [--turn 1]

Frame 0 is the image, the others are moved by up to `--shift` pixels along each axis and turned by
up to `--turn` degrees about the middle, both uniform from ``default_rng(i)`` for image i in name
order. They are read from the image four times enlarged by its Fourier transform, mirrored at its
borders.
"""

import argparse
from pathlib import Path

import numpy as np

BORDER, FINER = 32, 4


def main():
    """Print a row for each image."""
    parser = argparse.ArgumentParser(description="PSNR of bursts")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--sigma", type=float, default=25.0)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--shift", type=float, default=8.0)
    parser.add_argument("--turn", type=float, default=1.0)
    options = parser.parse_args()
    print("| image | bm3d of one | burst | gain | motions known | gain |")
    print("| --- | --- | --- | --- | --- | --- |")
    scores = []
    for number, path in enumerate(sorted(options.images.glob("*.png"))):
        scores.append(scored(path, number, options))
        print(row(path.stem, scores[-1]), flush=True)
    print(row("mean", np.mean(scores, 0)))


def row(name, scores):
    """Format the scores of an image."""
    one, burst, known = scores
    gains = f"{burst:.2f} | {burst - one:+.2f} | {known:.2f} | {known - one:+.2f}"
    return f"| {name} | {one:.2f} | {gains} |"


def scored(path, number, options):
    """Return the PSNR of one restored frame, of the burst, and of the burst with true motions."""
    from PIL import Image

    import fastrestore
    from fastrestore._arrays.register import resample

    with Image.open(path) as image:
        clean = np.asarray(image.convert("L"), np.float64)
    rng = np.random.default_rng(number)
    motions = [np.eye(2, 3)] + [motion(clean.shape, rng, options) for _ in range(options.count - 1)]
    frames = [clean] + [seen(clean, motion) for motion in motions[1:]]
    frames = [frame + options.sigma * rng.standard_normal(frame.shape) for frame in frames]
    one = fastrestore.bm3d(frames[0], options.sigma)
    burst = fastrestore.denoise_burst(frames, options.sigma)
    total = weights = 0
    for frame, true in zip(frames, motions, strict=True):
        planes, gain = resample(frame[None], true)
        total, weights = total + planes[0] / gain, weights + 1 / gain
    known = fastrestore.bm3d(total / weights, options.sigma / np.sqrt(weights))
    return [fastrestore.metrics.psnr(clean, each, data_range=255) for each in (one, burst, known)]


def motion(shape, rng, options):
    """Draw where the pixels of the image are in a frame."""
    angle = np.deg2rad(rng.uniform(-options.turn, options.turn))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (np.array(shape) - 1) / 2
    shift = rng.uniform(-options.shift, options.shift, 2)
    return np.column_stack([turn, middle - turn @ middle + shift])


def seen(image, motion):
    """Return the frame in which the image is found by a motion."""
    from scipy import fft
    from scipy.ndimage import map_coordinates

    wide = np.pad(image, BORDER, mode="symmetric")
    spectrum, shape = fft.fftshift(fft.fft2(wide)), np.array(wide.shape)
    before = (shape * FINER - shape) // 2
    beyond = [(int(b), int(n * FINER - n - b)) for n, b in zip(shape, before, strict=True)]
    finer = fft.ifft2(fft.ifftshift(np.pad(spectrum, beyond))).real * FINER**2
    back = np.linalg.inv(np.vstack([motion, [0, 0, 1]]))
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    places = [(row[0] * y + row[1] * x + row[2] + BORDER) * FINER for row in back[:2]]
    return map_coordinates(finer, places, order=3, mode="mirror")


if __name__ == "__main__":
    main()
