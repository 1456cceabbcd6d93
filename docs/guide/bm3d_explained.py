"""BM3D step by step, with the functions of the numpy backend."""

import matplotlib.pyplot as plt
import numpy as np
import pywt

import fastrestore
from fastrestore._collaborative.covariance import inverse_matrix, transform_matrix
from fastrestore.backends.numpy.bm3d import haar_matrix, transform_group

SIGMA, SIDE = 25, 8
clean = pywt.data.camera()[60:188, 190:318].astype(float)
noisy = clean + np.random.default_rng(0).normal(0, SIGMA, clean.shape)
basic = fastrestore.bm3d(noisy, SIGMA, stage="basic", backend="numba")
final, info = fastrestore.bm3d(noisy, SIGMA, matches=True, return_info=True, backend="numba")

# Grouping: the blocks that are similar to a reference block, the reference first
matches = info.matches.basic
row = np.argmin(np.abs(matches.rows - 36))
column = np.argmin(np.abs(matches.columns - 72))
reference = np.array([matches.rows[row], matches.columns[column]])
corners = reference + matches.offsets[row, column][: matches.sizes[row, column]]
group = np.array([noisy[y : y + SIDE, x : x + SIDE] for y, x in corners])

# Hard thresholding of the coefficients of the group
haar = haar_matrix(len(group))
forward = (transform_matrix("bior1.5", SIDE),) * 2
back = (inverse_matrix("bior1.5", SIDE),) * 2
coefficients = transform_group(group, forward, haar)
shrunk = np.where(np.abs(coefficients) > 2.7 * SIGMA, coefficients, 0)
shrunk.flat[0] = coefficients.flat[0]
estimates = transform_group(shrunk, back, haar.T)
print(f"blocks in the group: {len(group)}")
print(f"coefficients kept: {np.count_nonzero(shrunk)} of {shrunk.size}")

figure, place = plt.subplots(figsize=(5, 5), layout="constrained")
place.imshow(noisy, cmap="gray", vmin=0, vmax=255)
for number, (y, x) in reversed(list(enumerate(corners))):  # the reference last, on top
    color, width = ("red", 2.5) if number == 0 else ("yellow", 1)
    box = plt.Rectangle((x - 0.5, y - 0.5), SIDE, SIDE, fill=False, color=color, linewidth=width)
    place.add_patch(box)
place.set_axis_off()
figure.savefig("explained-matches.png", dpi=90)

rows = {
    "noisy group": np.hstack(group),
    "coefficients": np.hstack(np.abs(coefficients)),
    "kept": np.hstack(np.abs(shrunk)),
    "estimates": np.hstack(estimates),
    "clean": np.hstack([clean[y : y + SIDE, x : x + SIDE] for y, x in corners]),
}
figure, axes = plt.subplots(len(rows), 1, figsize=(9, 4.6), layout="constrained")
for place, (title, strip) in zip(axes, rows.items(), strict=True):
    top = 200 if title in ("coefficients", "kept") else 255
    place.imshow(strip, cmap="gray", vmin=0, vmax=top)
    place.set_title(title, fontsize=9)
    place.set_axis_off()
figure.savefig("explained-group.png", dpi=90)

figure, axes = plt.subplots(1, 3, figsize=(10, 3.7), layout="constrained")
pictures = {"noisy": noisy, "basic estimate": basic, "final estimate": final}
for place, (title, image) in zip(axes, pictures.items(), strict=True):
    level = fastrestore.metrics.psnr(clean, image, data_range=255)
    place.imshow(image, cmap="gray", vmin=0, vmax=255)
    place.set_title(f"{title}: {level:.1f} dB")
    place.set_axis_off()
figure.savefig("explained-stages.png", dpi=90)
