"""
Noise that is correlated
========================

*My scanner makes horizontal streaks. I can record frames with the lid closed.*

Such dark frames show the noise alone. `fastrestore.psd_from_flat_field` measures its power
spectrum, which is passed as ``psd=``. Noise of a few frequencies only is best removed with
``profile="iterative"``, which takes longer.
"""

import numpy as np
import skimage.data
from scipy.ndimage import convolve1d

import fastrestore

clean = skimage.data.camera()[80:240, 160:320].astype(float)
rng = np.random.default_rng(0)
streaks = convolve1d(rng.normal(0, 1, (17, 160, 160)), np.full(15, 6.0), mode="wrap")
noisy, dark = clean + streaks[0], 12 + streaks[1:]

psd = fastrestore.psd_from_flat_field(dark)
sigma = float(dark.std())
results = {
    "constant sigma": fastrestore.bm3d(noisy, sigma=sigma),
    "psd": fastrestore.bm3d(noisy, psd=psd),
    'psd, "iterative"': fastrestore.bm3d(noisy, psd=psd, profile="iterative"),
}

# %%
# White noise of the same level would have no streaks: with ``sigma=`` they are taken for structure.

for name, image in {"noisy": noisy, **results}.items():
    print(f"{name}: {fastrestore.metrics.psnr(clean, image, data_range=255):.1f} dB")

figure = fastrestore.plot.compare(
    noisy, *results.values(), truth=clean, names=["noisy", *results, "truth"],
    data_range=255, rows=2,
)  # fmt: skip
