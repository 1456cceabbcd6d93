"""Failure cases of denoising, each beside its remedy."""

import matplotlib.pyplot as plt
import numpy as np
import pywt
import scipy.ndimage

import fastrestore

clean = pywt.data.camera()[60:188, 190:318].astype(float)
rng = np.random.default_rng(0)
white = rng.normal(0, 1, clean.shape)
noisy = clean + 15 * white
grain = clean + scipy.ndimage.gaussian_filter(60 * white, 1.2)
hot = rng.random(clean.shape) < 0.004
spots = np.where(hot, 255, noisy)
filled = fastrestore.bm3d(spots, sigma=15, mask=~hot)

rows = {
    "level three times too high": (noisy, fastrestore.bm3d(noisy, 45), fastrestore.bm3d(noisy, 15)),
    "grain taken for white noise": (
        grain,
        fastrestore.bm3d(grain, noise="white"),
        fastrestore.bm3d(grain, noise="correlated"),
    ),
    "hot pixels remain": (
        spots,
        fastrestore.bm3d(spots, sigma=15),
        fastrestore.inpaint(filled, hot),
    ),
}
remedies = ("the right sigma", 'noise="correlated"', "mask=, then inpaint")
figure, axes = plt.subplots(len(rows), 3, figsize=(9, 9.5), layout="constrained")
for line, (failure, images), remedy in zip(axes, rows.items(), remedies, strict=True):
    levels = [fastrestore.metrics.psnr(clean, image, data_range=255) for image in images]
    for place, image, title in zip(line, images, ("noisy", failure, remedy), strict=True):
        place.imshow(image, cmap="gray", vmin=0, vmax=255)
        place.set_title(title)
        place.set_axis_off()
    print(f"{failure}: {levels[1]:.1f} dB; {remedy}: {levels[2]:.1f} dB")
    assert levels[2] > levels[1]
figure.savefig("limits.png", dpi=90)
