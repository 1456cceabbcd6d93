"""
A film
======

*My film was taken in the dark. How do I get rid of the noise and of the flicker?*

`fastrestore.vbm3d` finds similar blocks in the frames before and after, too: what is hidden by
noise in one frame is seen in several. Here the camera pans over a photograph.
"""

import numpy as np
import skimage.data

import fastrestore

photograph = skimage.data.camera().astype(float)
clean = np.stack(
    [photograph[90 + 2 * k : 218 + 2 * k, 150 + 5 * k : 278 + 5 * k] for k in range(9)]
)
noisy = clean + np.random.default_rng(0).normal(0, 30, clean.shape)

film = fastrestore.vbm3d(noisy, sigma=30)
single = np.stack([fastrestore.bm3d(frame, sigma=30) for frame in noisy])

# %%
# Frame by frame with `fastrestore.bm3d`, the film would also flicker, because the errors of each
# frame are its own.

for name, frames in {"noisy": noisy, "frame by frame": single, "film": film}.items():
    quality = fastrestore.metrics.psnr(clean, frames, data_range=255)
    print(f"{name}: {quality:.1f} dB")
changes = [np.diff(frames - clean, axis=0).std() for frames in (single, film)]
print("flicker, standard deviation: {:.1f} frame by frame, {:.1f} as a film".format(*changes))

# %%
# The frame in the middle:

figure = fastrestore.plot.compare(
    noisy,
    single,
    film,
    truth=clean,
    names=["noisy", "bm3d, frame by frame", "vbm3d", "truth"],
    data_range=255,
    rows=2,
)
