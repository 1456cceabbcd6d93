"""Drawn volumes for the tests."""

import numpy as np


def cells(depth=12, height=32, width=36, seed=0):
    """An 8-bit-valued volume with balls of several brightnesses, a ramp and waves."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[:depth, :height, :width]
    volume = 60 + 1.5 * y + z + 20 * np.sin(x / 2.5 + z / 4) * (y > height / 2)
    for _ in range(8):
        centre = rng.uniform(0, (depth, height, width))
        ball = sum((axis - c) ** 2 for axis, c in zip((z, y, x), centre, strict=True))
        volume[ball < rng.uniform(2, 8) ** 2] = rng.uniform(20, 235)
    return np.round(np.clip(volume, 0, 255))
