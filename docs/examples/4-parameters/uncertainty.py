"""
How certain is each pixel?
==========================

*I measure in the restored image. How large may its error be, and where?*

``uncertainty=True`` returns ``info.std``, the standard deviation of the error that is left in each
pixel: what remains of the noise, and what was smoothed away.
"""

import matplotlib.pyplot as plt
import numpy as np
import skimage.data

import fastrestore

clean = skimage.data.camera()[80:240, 160:320].astype(float)
noisy = clean + np.random.default_rng(0).normal(0, 20, clean.shape)

restored, info = fastrestore.bm3d(noisy, sigma=20, return_info=True, uncertainty=True)
error = restored - clean
inside = np.mean(np.abs(error) < 2 * info.std)
print(f"pixels whose error is within twice the map: {100 * inside:.0f} %")
print(f"map from {info.std.min():.1f} to {info.std.max():.1f}, noise 20")

# %%
# The map is low in flat areas, where many blocks are averaged, and high at edges and in texture. It
# says how far a pixel may be off, not in which direction:

figure, axes = plt.subplots(1, 2, figsize=(8, 4.2), layout="constrained", sharex=True, sharey=True)
for place, image, title in zip(axes, (info.std, np.abs(error)), ("map", "error"), strict=True):
    shown = place.imshow(image, cmap="magma", vmin=0, vmax=20)
    place.set_title(title)
    place.set_axis_off()
figure.colorbar(shown, ax=axes, shrink=0.8, label="gray levels")

# %%
# Errors of neighboring pixels are similar, so the error of a mean over pixels is larger than it
# would be for independent ones.

figure = fastrestore.plot.compare(
    noisy, restored, truth=clean, names=["noisy", "restored", "truth"], data_range=255, rows=2
)
