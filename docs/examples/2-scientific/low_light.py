"""
A few photons per pixel
=======================

*My detector counts photons, and there are only a few in each pixel.*

The noise of counts depends on the signal: its variance is the expected number of photons. Pass
``noise=PoissonGaussian(gain=1)``. The image is then transformed so that the noise is the same
everywhere, restored, and transformed back without bias.
"""

import numpy as np
import skimage.data

import fastrestore

clean = skimage.data.coins()[60:252, 20:212] / 255 * 6  # at most six photons
counts = np.random.default_rng(0).poisson(clean)
print(f"photons in a pixel: {counts.mean():.1f} on average, {counts.max()} at most")

white = fastrestore.bm3d(counts, sigma=float(np.sqrt(counts.mean())))
restored = fastrestore.bm3d(counts, noise=fastrestore.PoissonGaussian(gain=1))

# %%
# With a constant ``sigma`` the noise is too weak for the bright areas, where it remains, and too
# strong for the dark ones, which are smoothed.

for name, image in {"counts": counts, "constant sigma": white, "counts model": restored}.items():
    quality = fastrestore.metrics.psnr(clean, image, data_range=6)
    print(f"{name}: {quality:.1f} dB, mean {image.mean():.3f}")
print(f"mean of the truth: {clean.mean():.3f}")

# %%
# The means are nearly those of the truth: the model has hardly any bias. What is lost is the relief
# of the coins, which so few photons do not show.

figure = fastrestore.plot.compare(
    counts,
    white,
    restored,
    truth=clean,
    names=["counts", "constant sigma", "PoissonGaussian(1)", "truth"],
    data_range=6,
    rows=2,
)
