"""
Noise that differs from place to place
======================================

*I divided my image by a flat field, and now the corners are much noisier than the center.*

The division that makes the corners as bright as the center amplifies their noise, too. The level of
each pixel is known: pass it as an array ``sigma=``.
"""

import numpy as np
import skimage.data

import fastrestore

clean = skimage.data.brick()[100:292, 100:292].astype(float)
y, x = np.mgrid[-1:1:192j, -1:1:192j]
flat = 1 / (1 + 2.5 * (x**2 + y**2))  # the lens passes less light at the sides
rng = np.random.default_rng(0)
noisy = (clean * flat + rng.normal(0, 10, clean.shape)) / flat

level = 10 / flat
print(f"noise: {level.min():.0f} in the center, {level.max():.0f} in the corners")
mean = fastrestore.bm3d(noisy, sigma=float(np.sqrt((level**2).mean())))
mapped = fastrestore.bm3d(noisy, sigma=level)

# %%
# One level for all pixels is too high for the center and too low for the corners.

center = (abs(x) < 0.4) & (abs(y) < 0.4)
for name, image in {"noisy": noisy, "one level": mean, "map": mapped}.items():
    quality = fastrestore.metrics.psnr(clean, image, data_range=255)
    inside = fastrestore.metrics.psnr(clean[center], image[center], data_range=255)
    print(f"{name}: {quality:.1f} dB, in the center {inside:.1f} dB")

# %%
# What was removed is stronger towards the corners, as the noise is:

figure = fastrestore.plot.compare(
    noisy,
    mean,
    mapped,
    truth=clean,
    names=["noisy", "one level", "sigma=map", "truth"],
    data_range=255,
    rows=2,
)
