"""Images, videos and volumes for the golden calls, the same numbers on every computer.

They are drawn in integer arithmetic: no sine and no logarithm, whose last digits differ between
libraries. Noise is a sum of four uniform integers, close to normal.
"""

import numpy as np

SIGMA = 20.0  # the noise of what is noisy here, about


def scene(height, width, seed=0):
    """An 8-bit-valued image with an edge, a ramp, stripes, a flat part and discs; int64."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = 60 + 80 * (3 * x > width) + 4 * y // 5 + 40 * (x // 3 % 2) * (2 * y > height)
    for _ in range(5):
        at = rng.integers(0, (height, width))
        radius, level = rng.integers(3, 10), rng.integers(20, 236)
        image[(y - at[0]) ** 2 + (x - at[1]) ** 2 < radius**2] = level
    return np.clip(image, 0, 255)


def noise(shape, seed=1, reach=17):
    """Whole numbers of standard deviation 20 by default; int64."""
    return np.random.default_rng(seed).integers(-reach, reach + 1, (4, *shape)).sum(0)


def noisy(clean, seed=1, reach=17):
    """An image with noise, not clipped; float64."""
    return (clean + noise(clean.shape, seed, reach)).astype(np.float64)


def colors(height, width):
    """Three channels, last, that share their structure; int64."""
    first, second = scene(height, width), scene(height, width, 7)
    return np.stack([first, (3 * first + second) // 4, 255 - first // 2], axis=-1)


def video(frames, height, width):
    """An image that moves by two pixels a frame; int64."""
    wide = scene(height, width + 2 * frames)
    return np.stack([wide[:, 2 * k : 2 * k + width] for k in range(frames)])


def volume(depth, height, width):
    """An image that moves and brightens from slice to slice; int64."""
    slices = np.arange(depth)[:, None, None]
    wide = scene(height, width + depth)
    moved = [wide[:, k : k + width] for k in range(depth)]
    return np.clip(np.stack(moved) + 2 * slices, 0, 255)


def levels(shape):
    """A map of noise levels that rises along the first axis."""
    rows = np.arange(shape[0], dtype=np.float64) / 4 + 14
    return np.broadcast_to(rows.reshape(-1, *[1] * (len(shape) - 1)), shape).copy()


GRAY = noisy(scene(48, 56))
TINY = noisy(scene(24, 26))
COLOR = noisy(colors(48, 56), 2)
TINY_COLOR = noisy(colors(20, 22), 2)
VIDEO = noisy(video(6, 40, 44), 3)
TINY_VIDEO = noisy(video(4, 18, 20), 3)
VOLUME = noisy(volume(10, 24, 26), 4)
TINY_VOLUME = noisy(volume(6, 12, 13), 4)

LINE = np.full((1, 4), 10.0)  # a kernel of noise, of variance 400
CROSS = np.array([[0.0, 6, 0], [6, 16, 6], [0, 6, 0]])
BOX = np.full((4, 4), 1 / 16)  # a point spread function, exact in binary
ASKEW = np.array([[1, 2, 0, 0], [0, 3, 8, 2]]) / 16


def filtered_noise(shape, kernel, seed=5):
    """White noise of variance 1, about, that was convolved with a kernel."""
    rows, columns = kernel.shape
    wide = noise((shape[0] + rows - 1, shape[1] + columns - 1), seed, 1) / 1.625
    parts = (
        kernel[k, j] * wide[k : k + shape[0], j : j + shape[1]]
        for k in range(rows)
        for j in range(columns)
    )
    return sum(parts)


STRIPED = scene(48, 56) + filtered_noise((48, 56), LINE)
TINY_STRIPED = scene(24, 26) + filtered_noise((24, 26), LINE)
