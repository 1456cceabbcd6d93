"""
A blurred photograph
====================

*My picture is out of focus. I know how a point looks in it.*

The image of a point is the point spread function, ``psf``. `fastrestore.deblur` inverts the blur,
and removes the noise that any inversion amplifies.
"""

import numpy as np
import skimage.data
from scipy.ndimage import convolve
from skimage.restoration import richardson_lucy

import fastrestore

photograph = skimage.data.camera()[60:280, 140:360].astype(float)
y, x = np.mgrid[-5:6, -5:6]
psf = (x**2 + y**2 < 4.5**2) / np.sum(x**2 + y**2 < 4.5**2)  # a disc: out of focus
middle = np.s_[20:200, 20:200]  # beyond it, the blur mixes in what is outside of the picture
clean = photograph[middle]
blurred = convolve(photograph, psf)[middle] + np.random.default_rng(0).normal(0, 2, clean.shape)

# %%
# Richardson-Lucy deconvolution, as in scikit-image, has no model of the picture. The number of
# iterations with the highest PSNR is used, which without the truth would have to be guessed.

scores = {}
for count in (5, 10, 20, 40):
    padded = np.pad(blurred.clip(0, 255), 20, "symmetric")  # it assumes black outside
    image = 255 * richardson_lucy(padded / 255, psf, num_iter=count)[middle]
    scores[fastrestore.metrics.psnr(clean, image, data_range=255)] = image
simple = scores[max(scores)]
restored = fastrestore.deblur(blurred, psf, sigma=2)
for name, image in {"blurred": blurred, "Richardson-Lucy": simple, "deblur": restored}.items():
    print(f"{name}: {fastrestore.metrics.psnr(clean, image, data_range=255):.1f} dB")

# %%
# What was changed is no noise here, but the edges that the blur had removed:

figure = fastrestore.plot.compare(
    blurred,
    simple,
    restored,
    truth=clean,
    names=["blurred", "Richardson-Lucy", "deblur", "truth"],
    data_range=255,
    rows=2,
)
