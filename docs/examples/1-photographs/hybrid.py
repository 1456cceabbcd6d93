"""
BM3D, a network, or both
========================

*Networks are said to be better than BM3D. Which one should I use?*

``denoise(method="hybrid")`` restores the image by BM3D, and a small network then corrects the
result. Both parts are here for comparison: BM3D alone and a network alone, a U-Net.
"""

import numpy as np
import skimage.data

import fastrestore

clean = skimage.data.camera()[80:240, 160:320].astype(float)
noisy = clean + np.random.default_rng(0).normal(0, 25, clean.shape)

results = {
    method: fastrestore.denoise(noisy, sigma=25, method=method, data_range=255)
    for method in ("bm3d", "unet", "hybrid")
}
for name, image in {"noisy": noisy, **results}.items():
    print(f"{name}: {fastrestore.metrics.psnr(clean, image, data_range=255):.2f} dB")

# %%
# On photographs with white noise, for which they were trained, both networks are ahead of BM3D;
# which of the two is better depends on the picture. What a network has not seen is its limit: on a
# drawing with regular structure BM3D is the best, the network alone the worst, and the correction
# does harm.

rows, columns = np.mgrid[:128, :128]
drawing = 60.0 + 140 * ((rows // 5 + columns // 7) % 2)
rough = drawing + np.random.default_rng(1).normal(0, 25, drawing.shape)
for method in ("bm3d", "unet", "hybrid"):
    image = fastrestore.denoise(rough, sigma=25, method=method, data_range=255)
    print(f"{method}, drawing: {fastrestore.metrics.psnr(drawing, image, data_range=255):.2f} dB")

# %%
# The photograph, restored by each of them:

figure = fastrestore.plot.compare(
    noisy,
    *results.values(),
    truth=clean,
    names=["noisy", *results, "truth"],
    data_range=255,
    rows=2,
)
