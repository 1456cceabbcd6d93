"""
How strong? The best strength without a clean image
===================================================

*I see that the result is too smooth, or still noisy. How do I find the right strength without
trying?*

``denoise(tune=True)`` compares several strengths and profiles by Stein's unbiased risk estimate
(SURE), an estimate of the mean squared error that needs the noisy image only.
"""

import matplotlib.pyplot as plt
import numpy as np
import skimage.data

import fastrestore

clean = skimage.data.camera()[80:240, 160:320].astype(float)
noisy = clean + np.random.default_rng(0).normal(0, 30, clean.shape)

plain = fastrestore.bm3d(noisy, sigma=30)
tuned, info = fastrestore.denoise(noisy, sigma=30, tune=True, return_info=True)
print(f"strength {info.strength}, profile {info.profile}")
for name, image in {"noisy": noisy, "strength 1": plain, "tuned": tuned}.items():
    print(f"{name}: {fastrestore.metrics.psnr(clean, image, data_range=255):.2f} dB")

# %%
# `fastrestore.metrics.sure` estimates the error of any function. For a real photograph the true
# error is unknown. Here it can be drawn beside the estimate: both are lowest at nearly the same
# strength.

strengths = np.linspace(0.6, 1.6, 11)
estimates, errors = [], []
for strength in strengths:

    def restore(image, strength=strength):  # noqa: D103
        return fastrestore.bm3d(image, sigma=30, strength=strength, profile="balanced")

    estimates.append(fastrestore.metrics.sure(restore, noisy, 30))
    errors.append(np.mean((restore(noisy) - clean) ** 2))

figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
axes.plot(strengths, errors, "o-", label="mean squared error")
axes.plot(strengths, estimates, "s--", label="estimate without the clean image")
axes.set(xlabel="strength", ylabel="squared gray levels")
axes.legend()

# %%
# On this picture a strength of 1 is nearly the best already, and tuning gains nothing: the estimate
# is not exact. It gains on textures and drawings, and where the noise level is not quite right.

figure = fastrestore.plot.compare(
    noisy,
    plain,
    tuned,
    truth=clean,
    names=["noisy", "strength 1", "tuned", "truth"],
    data_range=255,
    rows=2,
)
