"""The images of all benchmarks, and the measure of results.

Always a noisy photograph: on a constant image all blocks are alike, and neither time nor
quality is meaningful.
"""

import numpy as np

SIGMA = 25.0  # of 0..255


def photograph(size):
    """Return a size x size part of `skimage.data.camera`, mirrored outwards beyond 512."""
    from skimage.data import camera

    image = camera()
    if size <= len(image):
        top, left = ((len(image) - size) // 3, (len(image) - size) // 2)  # the head and camera
        return np.ascontiguousarray(image[top : top + size, left : left + size])
    before = (size - len(image)) // 2
    return np.pad(image, (before, size - len(image) - before), mode="symmetric")


def gray(path):
    """Read an 8-bit image as gray, in float64."""
    from PIL import Image

    return np.asarray(Image.open(path).convert("L"), np.float64)


def noisy(clean, sigma=SIGMA):
    """Add white noise, in float32; row by row, so that large images need no second copy."""
    rng = np.random.default_rng(0)
    image = clean.astype(np.float32)
    for row in image:
        row += sigma * rng.standard_normal(row.shape)
    return image


def psnr(clean, image):
    """Peak signal-to-noise ratio in decibels, of 0..255."""
    error = np.mean((np.asarray(image, np.float64) - clean) ** 2)
    return float(10 * np.log10(255**2 / error))
