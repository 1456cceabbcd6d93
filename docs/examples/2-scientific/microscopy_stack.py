"""
A stack of slices from a microscope
===================================

*My confocal stack was taken with little light, to spare the cells. It has ten slices and two
channels.*

`fastrestore.denoise` takes the axes by name. With ``kind="volume"`` each channel is restored as a
volume, which uses what neighboring slices have in common. Photons, the gain of the camera, its
read-out noise and black level are drawn as a camera would deliver them.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

import fastrestore

rng = np.random.default_rng(0)
steps = gaussian_filter(rng.normal(size=(2, 14, 500, 3)), (0, 0, 25, 0))  # filaments turn slowly
paths = np.cumsum(steps * [1.5, 5, 5], axis=2) + rng.uniform(0, 1, (2, 14, 1, 3)) * [10, 112, 112]
stack = np.zeros((2, 10, 112, 112))
for channel, path in enumerate(paths.reshape(2, -1, 3)):
    np.add.at(stack[channel], tuple(path.astype(int).T % [[10], [112], [112]]), 1)
filaments = gaussian_filter(stack, (0, 1, 1.3, 1.3))
bright = (filaments / np.percentile(filaments, 99.7)).clip(0, 1)
photons = np.moveaxis(3 + 40 * bright, 0, 1)  # axes Z, C, Y, X
noisy = 2.0 * rng.poisson(photons) + 100 + rng.normal(0, 3, photons.shape)
clean = 2 * photons + 100

# %%
# The noise is estimated for each channel. It is recognized as that of counts:

planes = fastrestore.denoise(noisy, axes="ZCYX")
volume, infos = fastrestore.denoise(noisy, axes="ZCYX", kind="volume", return_info=True)
print(infos[0].noise)
for name, image in {"noisy": noisy, "slice by slice": planes, "volume": volume}.items():
    print(f"{name}: {fastrestore.metrics.psnr(clean, image, data_range=80):.1f} dB")

# %%
# The slice in the middle of the first channel:

figure = fastrestore.plot.compare(
    noisy[:, 0],
    planes[:, 0],
    volume[:, 0],
    truth=clean[:, 0],
    names=["noisy", "slice by slice", 'kind="volume"', "truth"],
    data_range=80,
    rows=2,
)
