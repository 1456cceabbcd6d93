"""
An image larger than the memory
===============================

*My scan has tens of thousands of pixels on each side, and lies in chunks on a disk.*

Pass a Dask array. The result is lazy and in the same chunks, and is that of the whole image, bit
for bit: there are no seams, because chunks overlap and share their measures of the image.
"""

import dask.array as da
import numpy as np
import skimage.data

import fastrestore

clean = skimage.data.camera()[:384, :384].astype("float32")
noise = np.random.default_rng(0).normal(0, 25, clean.shape).astype("float32")
image = da.from_array(clean + noise, chunks=192)  # or da.from_zarr("scan.zarr")

lazy = fastrestore.bm3d(image, sigma=25)
print(lazy)  # nothing has been computed yet
restored = lazy.compute()  # or lazy.to_zarr("restored.zarr"), chunk by chunk

# %%
# The same pixels as without chunks:

whole = fastrestore.bm3d(clean + noise, sigma=25, backend="numba")
print("equal to the result without chunks:", np.array_equal(restored, whole))
for name, picture in {"noisy": clean + noise, "restored": restored}.items():
    print(f"{name}: {fastrestore.metrics.psnr(clean, picture, data_range=255):.1f} dB")

# %%
# A part across the borders of chunks, which are at row and column 192. If the image fits in memory,
# Dask is not needed; ``max_memory=`` of `fastrestore.bm3d` limits what a call takes.

part = (slice(112, 272), slice(112, 272))
figure = fastrestore.plot.compare(
    (clean + noise)[part],
    restored[part],
    truth=clean[part],
    names=["noisy", "restored", "truth"],
    data_range=255,
    rows=2,
)
