"""
An MR volume
============

*The magnitude images of my scanner are noisy, and the background is not black.*

The magnitude of complex noise is never negative, so noise makes dark voxels brighter on average.
Pass ``noise=Rician(sigma)``: `fastrestore.bm4d` then removes the noise and this bias.
"""

import numpy as np

import fastrestore

z, y, x = np.mgrid[-1:1:20j, -1:1:112j, -1:1:112j]
ellipsoids = [  # value; half axes and center along z, y, x; in the order of drawing
    (200, 1.1, 0.90, 0.75, 0, 0, 0),
    (90, 1.0, 0.82, 0.67, 0, 0, 0),
    (30, 0.6, 0.34, 0.12, 0, -0.05, 0.22),
    (30, 0.6, 0.38, 0.15, 0, -0.05, -0.22),
    (130, 0.5, 0.22, 0.28, 0, -0.5, 0),
    (150, 0.3, 0.08, 0.08, 0.2, 0.4, 0.1),
    (60, 0.3, 0.05, 0.05, -0.1, 0.6, -0.1),
]
clean = np.zeros(x.shape)
for value, *shape in ellipsoids:
    c, b, a, z0, y0, x0 = shape
    clean[((z - z0) / c) ** 2 + ((y - y0) / b) ** 2 + ((x - x0) / a) ** 2 < 1] = value
rng = np.random.default_rng(0)
noisy = np.hypot(clean + rng.normal(0, 25, clean.shape), rng.normal(0, 25, clean.shape))

gaussian = fastrestore.bm4d(noisy, sigma=25)
restored, info = fastrestore.bm4d(noisy, noise=fastrestore.Rician(25), return_info=True)
unknown = fastrestore.bm4d(noisy)

# %%
# As Gaussian noise, the noise is removed and the bias remains: the background is not black. Without
# an argument the level is estimated from the background.

results = {"noisy": noisy, "sigma=25": gaussian, "Rician(25)": restored, "no argument": unknown}
for name, image in results.items():
    quality = fastrestore.metrics.psnr(clean, image, data_range=200)
    print(f"{name}: {quality:.1f} dB, background {image[clean == 0].mean():.1f}")

# %%
# The slice in the middle:

figure = fastrestore.plot.compare(
    noisy,
    gaussian,
    restored,
    truth=clean,
    names=["noisy", "sigma=25", "noise=Rician(25)", "truth"],
    data_range=200,
    rows=2,
)
