"""
The grain of a photograph on film
=================================

*My photograph was scanned from film. It has grain, and there is no clean version of it.*

Film grain is nothing that ``sigma=`` can describe: neighboring pixels are correlated, and so are
the channels, and the level depends on the brightness. White noise is estimated from the highest
frequencies, of which such noise has little.
"""

import numpy as np
import skimage.data

import fastrestore

photograph = skimage.data.astronaut()  # a portrait by NASA
restored, info = fastrestore.bm3d(photograph, channel_axis=-1, return_info=True)
insisted, camera = fastrestore.bm3d(photograph, noise="camera", channel_axis=-1, return_info=True)
print(info.noise)
print(info.reason)
print(camera.noise)

# %%
# Without an argument, `fastrestore.bm3d` takes the simplest model that the picture supports beyond
# doubt, because texture that is removed is a worse error than grain that remains.
# ``noise="camera"`` insists on the model of photographs. What was found is drawn: the level is
# higher in dark areas, most of the power is at low frequencies, and the channels are correlated.

figure = camera.noise.plot()

# %%
# What the model of photographs removes is grain, without features of the face:

part = np.s_[50:170, 190:310]
figure = fastrestore.plot.compare(
    photograph[part],
    restored[part],
    insisted[part],
    names=["photograph", "no argument", 'noise="camera"'],
    channel_axis=-1,
    rows=2,
)
