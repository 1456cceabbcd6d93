"""
A photograph with unknown noise
===============================

*I took a photograph in poor light. It is grainy, and I know nothing about the noise.*

Then give no argument: `fastrestore.bm3d` estimates the noise from the photograph. The first lines
do what a camera does, so that the truth is known: count photons, interpolate the colors, which
blurs the noise, brighten, and write a JPEG file. The noise then extends over several pixels, and
its level depends on the brightness: no single ``sigma`` describes it.
"""

import io

import numpy as np
import skimage.data
from PIL import Image
from scipy.ndimage import gaussian_filter

import fastrestore

clean = skimage.data.rocket()[:320, 130:386]
light = 40 * (clean / 255) ** 2.2
noise = gaussian_filter(np.random.default_rng(0).poisson(light) - light, (0.8, 0.8, 0))
picture = 255 * ((light + noise) / 40).clip(0, 1) ** (1 / 2.2)
file = io.BytesIO()
Image.fromarray(picture.round().astype("uint8")).save(file, "JPEG", quality=90)

# %%
# From here on nothing is known but the file. ``info.noise`` is what was found, ``info.reason`` why:

photograph = np.asarray(Image.open(file))
restored, info = fastrestore.bm3d(photograph, channel_axis=-1, return_info=True)
white = fastrestore.bm3d(photograph, noise="white", channel_axis=-1)
print(info.noise)
print(info.reason)
for name, image in {"photograph": photograph, "white": white, "no argument": restored}.items():
    print(f"{name}: {fastrestore.metrics.psnr(clean, image, data_range=255):.1f} dB")

# %%
# ``info.noise.plot()`` draws it: the level by brightness, the spectrum, in which low frequencies
# are strongest, and the correlation of the colors.

figure = info.noise.plot()

# %%
# What was removed should look like noise, without features of the rocket. White noise is estimated
# from the highest frequencies, which the interpolation has removed: its level is too low, and grain
# remains.

part = (slice(90, 230), slice(60, 200))
figure = fastrestore.plot.compare(
    photograph[part],
    white[part],
    restored[part],
    truth=clean[part],
    names=["photograph", 'noise="white"', "no argument", "truth"],
    channel_axis=-1,
    rows=2,
)
