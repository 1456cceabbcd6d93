"""A photograph with real noise, and a drawing whose noise is known."""

import matplotlib.pyplot as plt
import numpy as np
import skimage.data
from skimage.transform import resize

import fastrestore

# A portrait by NASA, scanned from film: its grain is correlated, and depends on the brightness
photograph = skimage.data.astronaut()
white = fastrestore.bm3d(photograph, noise="white", channel_axis=-1)
restored, info = fastrestore.bm3d(photograph, channel_axis=-1, return_info=True)
print(info.noise)
print(f"reason: {info.reason}")
info.noise.plot().savefig("spec.png", dpi=90)


def show(rows, titles, path, part):
    """Draw rows of images, and write them to a file."""
    figure, axes = plt.subplots(
        len(rows), len(titles), figsize=(3.4 * len(titles), 3.5 * len(rows)), layout="constrained"
    )
    for row, images in zip(axes, rows, strict=True):
        for place, image in zip(row, images, strict=True):
            place.imshow(np.clip(image[part], 0, 255).astype(np.uint8), interpolation="nearest")
            place.set_axis_off()
    for place, title in zip(axes[0], titles, strict=True):
        place.set_title(title)
    figure.savefig(path, dpi=90)


removed = [128 + 6 * (photograph - result) for result in (white, restored)]
show(
    [[photograph, white, restored], [photograph, *removed]],
    ["photograph", 'noise="white"', "no argument"],
    "photograph.png",
    np.s_[50:170, 190:310],
)

# The same with a known truth: a photograph at half its size, which has little noise left, with
# noise drawn as a camera makes it
clean = 255 * resize(skimage.data.coffee()[:, 100:500], (200, 200), anti_aliasing=True)
kernel = np.exp(-(np.arange(-3, 4) ** 2) / 1.5)
power = np.abs(np.fft.fft2(np.outer(kernel, kernel), (16, 16))) ** 2
mix = np.array([[1, 0.6, 0.4], [0.6, 1, 0.6], [0.4, 0.6, 1]])
known = fastrestore.NoiseSpec(
    sigma=[12, 9, 14],
    brightness=[[0, 64, 128, 255]] * 3,
    levels=np.outer([12, 9, 14], [0.6, 0.9, 1.1, 1.3]),
    spectrum=mix[:, :, None, None] * power / power.mean(),
)
noisy = np.clip(clean + known.sample(clean, channel_axis=-1, rng=0), 0, 255)
results = {
    "noisy": noisy,
    'noise="white"': fastrestore.bm3d(noisy, noise="white", channel_axis=-1),
    "no argument": fastrestore.bm3d(noisy, channel_axis=-1),
    "noise=known": fastrestore.bm3d(noisy, noise=known, channel_axis=-1),
}
titles = []
for name, image in results.items():
    titles.append(f"{name}, {fastrestore.metrics.psnr(clean, image, data_range=255):.1f} dB")
    print(titles[-1])
removed = [128 + 2 * (image - clean) for image in results.values()]
show([list(results.values()), removed], titles, "drawn.png", np.s_[60:160, 40:140])
