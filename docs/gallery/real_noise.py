"""A photograph with real noise, and a drawing whose noise is known."""

import matplotlib.pyplot as plt
import numpy as np
import skimage.data
from skimage.transform import resize

import fastrestore

# A portrait by NASA, scanned from film: its grain is correlated, and depends on the brightness
photograph = skimage.data.astronaut()
restored, info = fastrestore.bm3d(photograph, channel_axis=-1, return_info=True)
insisted, camera = fastrestore.bm3d(photograph, noise="camera", channel_axis=-1, return_info=True)
for each in (info, camera):
    print(each.noise)
    print(f"  reason       {each.reason}\n")
camera.noise.plot().savefig("spec.png", dpi=90)


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


removed = [128 + 6 * (photograph - result) for result in (restored, insisted)]
show(
    [[photograph, restored, insisted], [photograph, *removed]],
    ["photograph", f"no argument: {info.noise.model}", 'noise="camera"'],
    "photograph.png",
    np.s_[50:170, 190:310],
)

# The same with a known truth: a photograph at half its size, which has little noise left, with
# noise drawn as a camera makes it
clean = 255 * resize(skimage.data.rocket()[:, 100:527], (214, 214), anti_aliasing=True)
square = np.fft.fftfreq(16) ** 2
power = np.exp(-25 * np.add.outer(square, square))
power = 0.25 + 0.75 * power / power.mean()  # mostly at low frequencies
mix = np.array([[1, 0.6, 0.4], [0.6, 1, 0.6], [0.4, 0.6, 1]])
known = fastrestore.NoiseSpec(
    sigma=[5, 4, 6],
    brightness=[[0, 64, 128, 255]] * 3,
    levels=np.outer([5, 4, 6], [0.6, 0.9, 1.1, 1.3]),
    spectrum=mix[:, :, None, None] * power,
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
removed = [128 + 6 * (image - clean) for image in results.values()]
show([list(results.values()), removed], titles, "drawn.png", np.s_[20:140, 50:170])
