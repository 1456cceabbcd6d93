"""Four kinds of noise, each restored with its own argument and as white noise of the same level."""

import matplotlib.pyplot as plt
import numpy as np
import pywt
import scipy.ndimage

import fastrestore

clean = pywt.data.camera()[60:188, 190:318].astype(float)
rng = np.random.default_rng(0)
white = rng.normal(0, 1, clean.shape)
ramp = np.linspace(3, 40, 128)
streak = np.full((1, 9), 5.0)

cases = {
    "level from left to right": (clean + ramp * white, {"sigma": ramp}),
    "streaks": (clean + scipy.ndimage.convolve(white, streak), {"noise_kernel": streak}),
    "photons": (
        rng.poisson(clean / 20) * 20.0,
        {"noise": fastrestore.PoissonGaussian(gain=20)},
    ),
    "magnitude": (
        np.hypot(clean + 25 * white, rng.normal(0, 25, clean.shape)),
        {"noise": fastrestore.Rician(25)},
    ),
}

figure, axes = plt.subplots(len(cases), 3, figsize=(9, 12.4), layout="constrained")
for row, (name, (noisy, argument)) in zip(axes, cases.items(), strict=True):
    restored = fastrestore.bm3d(noisy, **argument)
    as_white = fastrestore.bm3d(noisy, sigma=float(np.std(noisy - clean)))
    titles = (name, f"{next(iter(argument))}=", "as white noise")
    levels = []
    for place, image, title in zip(row, (noisy, restored, as_white), titles, strict=True):
        levels.append(fastrestore.metrics.psnr(clean, image, data_range=255))
        place.imshow(image, cmap="gray", vmin=0, vmax=255)
        place.set_title(f"{title}: {levels[-1]:.1f} dB")
        place.set_axis_off()
    print(f"{name}: {levels[1]:.1f} dB, as white noise {levels[2]:.1f} dB")
    assert levels[1] > levels[2]
figure.savefig("which-method.png", dpi=90)
