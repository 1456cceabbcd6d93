"""
Any linear measurement, with an operator of PyLops
==================================================

*My picture is blurred, and a third of its pixels are dead. No function is made for both.*

`fastrestore.inverse.pnp` restores an image from any linear measurements, with BM3D as its model of
images (plug-and-play). It takes a SciPy ``LinearOperator``, such as those of
`PyLops <https://pylops.readthedocs.io>`__.
"""

import numpy as np
import pylops
import skimage.data

import fastrestore
from fastrestore import inverse

clean = skimage.data.camera()[90:218, 170:298].astype(float)
psf = np.outer(*[np.exp(-(np.arange(-6, 7) ** 2) / (2 * 1.6**2))] * 2)
blur = pylops.signalprocessing.Convolve2D(clean.shape, psf / psf.sum(), offset=(6, 6))

# %%
# Dead pixels are left out by another operator, and so is the border, where the blur mixes in what
# is outside of the picture. The product of both describes the camera.

rng = np.random.default_rng(0)
alive = rng.random(clean.shape) > 1 / 3
alive[:6] = alive[-6:] = alive[:, :6] = alive[:, -6:] = False
choice = pylops.Restriction(clean.size, np.flatnonzero(alive))
camera = choice * blur
data = camera @ clean.ravel() + rng.normal(0, 3, alive.sum())

# %%
# The operator can be used with the solvers of PyLops. Least squares have no model of images, and
# must be stopped early enough. Their result is a good start for plug-and-play:

start = np.full(clean.size, data.mean())
simple = pylops.optimization.basic.lsqr(camera, data, x0=start, niter=8)[0]
simple = simple.reshape(clean.shape)
forward = inverse.Forward(camera, shape=clean.shape)
restored = inverse.pnp(data, forward, sigma=3, start=simple, iterations=12)

# %%
# The PSNR is that inside of the border:

inside = np.s_[6:-6, 6:-6]
measured = np.where(alive, (choice.H @ data).reshape(clean.shape), data.mean())
for name, image in {"measured": measured, "least squares": simple, "pnp": restored}.items():
    quality = fastrestore.metrics.psnr(clean[inside], image[inside], data_range=255)
    print(f"{name}: {quality:.1f} dB")

# %%
# Measured (dead pixels are drawn in gray), restored, and the difference:

figure = fastrestore.plot.compare(
    measured[inside],
    simple[inside],
    restored[inside],
    truth=clean[inside],
    names=["measured", "least squares", "pnp", "truth"],
    data_range=255,
    rows=2,
)
