"""
Missing pixels
==============

*My photograph has scratches and dust, or most of its pixels were never measured.*

`fastrestore.inpaint` fills the pixels where the mask is True: it alternates between BM3D and the
known pixels. Here four of five pixels are missing.
"""

import numpy as np
import skimage.data
from skimage.restoration import inpaint_biharmonic

import fastrestore

clean = skimage.data.camera()[100:228, 170:298].astype(float)
missing = np.random.default_rng(0).random(clean.shape) < 0.8
damaged = np.where(missing, 0, clean)  # missing pixels may have any value

restored = fastrestore.inpaint(damaged, missing)
smooth = inpaint_biharmonic(damaged / 255, missing) * 255
for name, image in {"biharmonic": smooth, "inpaint": restored}.items():
    print(f"{name}: {fastrestore.metrics.psnr(clean, image, data_range=255):.1f} dB")

# %%
# For a few thin scratches, the biharmonic equation of scikit-image, which looks for the smoothest
# surface, comes close, and needs no model of the picture:

scratches = np.zeros(clean.shape, bool)
scratches[5:40, 100] = scratches[8, 70:120] = True  # in the sky
holes = np.where(scratches, 0, clean)
for name, image in {
    "biharmonic": inpaint_biharmonic(holes / 255, scratches) * 255,
    "inpaint": fastrestore.inpaint(holes, scratches),
}.items():
    error = np.sqrt(np.mean((image - clean)[scratches] ** 2))
    print(f"scratches, {name}: error {error:.2f}")

# %%
# The four fifths, before and after; "removed" is what was filled in, with the sign changed:

figure = fastrestore.plot.compare(
    damaged,
    smooth,
    restored,
    truth=clean,
    names=["damaged", "biharmonic", "inpaint", "truth"],
    data_range=255,
    rows=2,
)
