"""Drawn volumes for the tests."""

import nibabel
import numpy as np

from fastrestore._collaborative.profile import Profile

SMALL = {"radius_basic": 3, "radius_final": 3, "radius_slices_basic": 2, "radius_slices_final": 2}
VOLUME = Profile.named("volume").replace(**SMALL)

PROFILES = {
    "volume": VOLUME,
    "squares": VOLUME.replace(
        slices_basic=1, step_slices_basic=1, block_basic=8, step_basic=3,
        slices_final=1, step_slices_final=1, block_final=7, step_final=2,
    ),
    "plates": VOLUME.replace(
        slices_basic=2, step_slices_basic=2, block_basic=8, step_basic=5,
        slices_final=3, step_slices_final=1, block_final=5, step_final=5,
    ),
    "bars": VOLUME.replace(
        slices_basic=8, step_slices_basic=3, block_basic=2, step_basic=1,
        slices_final=7, step_slices_final=4, block_final=3, step_final=2, group_final=64,
    ),
    "alone": VOLUME.replace(group_basic=1, group_final=1),
    "still": VOLUME.replace(radius_basic=0, radius_slices_final=0),
    "weighted": VOLUME.replace(
        size_weight_basic=1, size_weight_final=0.5, match_basic=100.0, match_final=50.0,
    ),
    "strict": VOLUME.replace(match_basic=0.0, match_noise_basic=0.0, match_final=1.0),
}  # fmt: skip


def cells(depth=12, height=32, width=36, seed=0):
    """An 8-bit-valued volume with balls of several brightnesses, a ramp and waves."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[:depth, :height, :width]
    volume = 60 + 1.5 * y + z + 20 * np.sin(x / 2.5 + z / 4) * (y > height / 2)
    for _ in range(8):
        center = rng.uniform(0, (depth, height, width))
        ball = sum((axis - c) ** 2 for axis, c in zip((z, y, x), center, strict=True))
        volume[ball < rng.uniform(2, 8) ** 2] = rng.uniform(20, 235)
    return np.round(np.clip(volume, 0, 255))


def integer(volume):
    return np.round(np.clip(volume, 0, 255)).astype(np.float32)


def noisy(clean, sigma, seed=1):
    return integer(clean + sigma * np.random.default_rng(seed).standard_normal(clean.shape))


SERIES = np.random.default_rng(0).integers(0, 3000, (9, 8, 6, 3)).astype(np.int16)  # x, y, z, t


def nifti(name, values=SERIES):
    """Write a NIfTI file with an affine and a header of its own."""
    image = nibabel.Nifti1Image(values, np.diag([2.0, 2, 3, 1]))
    image.header["descrip"] = b"scan"
    image.header.set_zooms((2.0, 2.0, 3.0, 1.5)[: values.ndim])
    image.to_filename(name)
