"""
A clear picture helps a noisy one
=================================

*I have a noisy picture and a better one of the same scene: another band, or one with a flash.*

Pass the better picture as ``guide=``. Blocks are then found to be similar where the guide shows it,
and only the noisy picture is averaged: nothing of the guide gets into the result. Here the noisy
picture is the blue band of a photograph, and the guide its green band.
"""

import numpy as np
import skimage.data

import fastrestore

color = skimage.data.astronaut()[10:202, 110:302].astype(float)
clean, green = color[..., 2], color[..., 1]
rng = np.random.default_rng(0)
noisy = clean + rng.normal(0, 60, clean.shape)
guide = green + rng.normal(0, 5, green.shape)

alone = fastrestore.bm3d(noisy, sigma=60)
guided = fastrestore.bm3d(noisy, sigma=60, guide=guide)
for name, image in {"noisy": noisy, "alone": alone, "guided": guided}.items():
    print(f"{name}: {fastrestore.metrics.psnr(clean, image, data_range=255):.2f} dB")

# %%
# The gain is largest if the noise is so strong that similar blocks cannot be recognized by
# themselves. With weak noise the guide gains little:

weak = clean + rng.normal(0, 10, clean.shape)
for name, choice in {"alone": None, "guided": guide}.items():
    image = fastrestore.bm3d(weak, sigma=10, guide=choice)
    print(f"weak noise, {name}: {fastrestore.metrics.psnr(clean, image, data_range=255):.2f} dB")

# %%
# The strong noise, before and after:

figure = fastrestore.plot.compare(
    noisy,
    alone,
    guided,
    truth=clean,
    names=["noisy", "alone", "guided", "truth"],
    data_range=255,
    rows=2,
)
