"""
The noise of a camera that was measured
=======================================

*I know the noise of my camera: its level by brightness, and how pixels and colors are correlated.*

A `fastrestore.NoiseSpec` holds all of this. It is given as ``noise=``, and can draw noise like that
of the camera, to measure how well a method removes it from a picture whose truth is known.
"""

import numpy as np
import skimage.data

import fastrestore

square = np.fft.fftfreq(16) ** 2
power = np.exp(-25 * np.add.outer(square, square))
power = 0.25 + 0.75 * power / power.mean()  # mostly at low frequencies
mix = np.array([[1, 0.6, 0.4], [0.6, 1, 0.6], [0.4, 0.6, 1]])  # correlation of the colors
camera = fastrestore.NoiseSpec(
    sigma=[8, 6, 10],
    brightness=[[0, 64, 128, 255]] * 3,
    levels=np.outer([8, 6, 10], [0.6, 0.9, 1.1, 1.3]),  # higher where it is brighter
    spectrum=mix[:, :, None, None] * power,
)

# %%
# The same photograph without this noise is the truth.

clean = skimage.data.coffee()[60:274, 150:364].astype(float)
noisy = np.clip(clean + camera.sample(clean, channel_axis=-1, rng=0), 0, 255)
results = {
    'noise="white"': fastrestore.bm3d(noisy, noise="white", channel_axis=-1),
    "no argument": fastrestore.bm3d(noisy, channel_axis=-1),
    "noise=camera": fastrestore.bm3d(noisy, noise=camera, channel_axis=-1),
}
for name, image in {"noisy": noisy, **results}.items():
    print(f"{name}: {fastrestore.metrics.psnr(clean, image, data_range=255):.1f} dB")

# %%
# White noise is estimated from the highest frequencies, of which this noise has little: its level
# is far too low. Without an argument the same is assumed, because so small a picture does not
# support another model beyond doubt. If the noise of a camera has been measured, pass it.

part = (slice(60, 200), slice(30, 170))
figure = fastrestore.plot.compare(
    noisy[part],
    *(image[part] for image in results.values()),
    truth=clean[part],
    names=["noisy", *results, "truth"],
    channel_axis=-1,
    data_range=255,
    rows=2,
)
