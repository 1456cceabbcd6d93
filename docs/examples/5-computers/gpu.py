"""
On a GPU (shown, not run)
=========================

*I have thousands of images and an NVIDIA GPU.*

With CuPy installed (``pip install "fastrestore[cuda13]"`` or ``[cuda12]``) nothing changes: a large
array of NumPy is restored on the GPU and comes back. A CuPy array or a CUDA tensor stays there.
This page is built without a GPU, so the code is shown and not run, and has no figures of time:
``python bench/gpu.py`` measures them on yours.
"""

import cupy
import numpy as np
import skimage.data

import fastrestore

clean = skimage.data.camera().astype("float32")
noisy = clean + np.random.default_rng(0).normal(0, 25, clean.shape).astype("float32")
image = cupy.asarray(noisy)

restored = fastrestore.bm3d(image, sigma=25)  # a CuPy array, on the same GPU
print(fastrestore.metrics.psnr(clean, cupy.asnumpy(restored), data_range=255))

# %%
# For many images of one shape a plan keeps buffers, tables and kernels. With the same two arrays
# each time it launches a CUDA graph, and allocates nothing:

plan = fastrestore.BM3DPlan(image.shape, image.dtype, sigma=25)
result = cupy.empty_like(image)
for frame in (image, image[::-1], image.T):
    plan(frame, out=result)

# %%
# Small images are fastest as a batch, and what does not fit in the memory of the GPU is restored in
# tiles, with the same result:

batch = cupy.stack([image[:128, :128], image[128:256, :128]])
restored = fastrestore.bm3d(batch, sigma=25, batch_axis=0)
restored = fastrestore.bm3d(image, sigma=25, max_memory=2e9)

# %%
# Before, after, and what was removed:

figure = fastrestore.plot.compare(
    noisy, cupy.asnumpy(fastrestore.bm3d(image, sigma=25)), truth=clean, data_range=255, rows=2
)
