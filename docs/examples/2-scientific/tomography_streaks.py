"""
Rings in a tomogram
===================

*My reconstructed slices have rings around the center.*

Rings come from pixels of the detector that are more or less sensitive than the others. In the
sinogram they are stripes along the angles, which `fastrestore.remove_streaks` removes before the
reconstruction.
"""

import numpy as np
import skimage.data
from skimage.transform import iradon, radon, resize

import fastrestore

slice_ = resize(skimage.data.shepp_logan_phantom(), (160, 160), anti_aliasing=True)
angles = np.linspace(0, 180, 240, endpoint=False)
clean = radon(slice_, angles).T  # angles along the rows, detector pixels along the columns
noisy = clean + np.random.default_rng(0).normal(0, 0.5, 160)  # the same error at all angles

restored = fastrestore.remove_streaks(noisy)

# %%
# No argument is needed. The sinogram and its reconstruction:

extent = np.ptp(clean)
for name, sinogram in {"noisy": noisy, "restored": restored}.items():
    quality = fastrestore.metrics.psnr(clean, sinogram, data_range=extent)
    inside = fastrestore.metrics.psnr(
        iradon(clean.T, angles), iradon(sinogram.T, angles), data_range=1
    )
    print(f"{name}: sinogram {quality:.1f} dB, reconstruction {inside:.1f} dB")

figure = fastrestore.plot.compare(
    noisy, restored, truth=clean, names=["sinogram", "restored", "truth"]
)

# %%
# Of the reconstruction, what is near the center of rotation is the least certain: a thin ring
# around it cannot be distinguished from an error of the detector, and small details next to it lose
# contrast.

figure = fastrestore.plot.compare(
    *(iradon(sinogram.T, angles) for sinogram in (noisy, restored)),
    truth=iradon(clean.T, angles),
    names=["with rings", "restored", "truth"],
    data_range=1,
    rows=2,
)
