"""
Several photographs of one scene
================================

*I took eight photographs by hand, one after the other. Can they become one without noise?*

`fastrestore.denoise_burst` registers the photographs to the first, and restores them together. Here
the hand moves and turns the camera by a few pixels and up to one degree.
"""

import numpy as np
import skimage.data
from skimage.transform import EuclideanTransform, warp

import fastrestore

scene = skimage.data.camera().astype(float)
rng = np.random.default_rng(0)
frames = []
for _ in range(8):
    angle, shift = np.radians(rng.uniform(-1, 1)), rng.uniform(-5, 5, 2)
    motion = EuclideanTransform(rotation=angle, translation=shift) if frames else None
    frames.append(warp(scene, motion, order=3) if motion else scene)
clean = scene[90:250, 170:330]
burst = np.stack(frames)[:, 90:250, 170:330] + rng.normal(0, 30, (8, 160, 160))

together = fastrestore.denoise_burst(burst, sigma=30)
first = fastrestore.bm3d(burst[0], sigma=30)
mean = burst.mean(axis=0)

# %%
# The mean of the photographs is blurred, because the camera moved.

results = {"noisy": burst[0], "mean": mean, "bm3d of one": first, "burst": together}
for name, image in results.items():
    print(f"{name}: {fastrestore.metrics.psnr(clean, image, data_range=255):.1f} dB")

figure = fastrestore.plot.compare(
    burst[0],
    mean,
    first,
    together,
    truth=clean,
    names=["noisy", "mean", "bm3d of one", "denoise_burst", "truth"],
    data_range=255,
    rows=2,
)
