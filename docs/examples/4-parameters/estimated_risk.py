"""
The strength by gradient descent
================================

*I want to fit parameters of the denoiser to my noisy image, and have no clean one.*

Stein's unbiased risk estimate (SURE) estimates the mean squared error of a result from the noisy
image alone. It has a derivative with respect to the level that the denoiser assumes, so the best
level is found by gradient descent. This also works for more parameters than one, such as a map of
the level.
"""

import matplotlib.pyplot as plt
import numpy as np
import skimage.data
import torch

import fastrestore
from fastrestore.nets import BM3D

SIGMA = 25 / 255
torch.manual_seed(0)

clean = torch.from_numpy(skimage.data.camera()[100:228, 180:308].astype(np.float32) / 255)
clean = clean[None, None]
noisy = clean + SIGMA * torch.randn(clean.shape)
denoiser, probe = BM3D(data_range=1), torch.randn(clean.shape)

# %%
# The derivative of the estimate contains the divergence of the denoiser, here a difference along
# one random direction. `fastrestore.metrics.sure` computes the same estimate for any function.


def risk(strength):
    """Stein's estimate of the mean squared error, and the error itself."""
    step, level = 0.1 * SIGMA, strength * SIGMA
    restored = denoiser(noisy, level)
    divergence = (probe * (denoiser(noisy + step * probe, level) - restored)).mean() / step
    estimate = (restored - noisy).square().mean() - SIGMA**2 + 2 * SIGMA**2 * divergence
    return estimate, (restored - clean).square().mean().item()


# %%
# The descent starts at twice the noise level.

logarithm = torch.tensor(2.0).log().requires_grad_(True)
optimizer = torch.optim.Adam([logarithm], lr=0.15)
path = []
for _ in range(15):
    estimate, _ = risk(logarithm.exp())
    path.append((logarithm.exp().item(), estimate.item()))
    optimizer.zero_grad()
    estimate.backward()
    optimizer.step()
print(f"strength {logarithm.exp().item():.2f} after {len(path)} steps, from {path[0][0]:.2f}")

strengths = np.linspace(0.5, 2, 16)
with torch.no_grad():
    estimates, errors = zip(*(risk(torch.tensor(value)) for value in strengths), strict=True)
print(f"lowest error on the grid: {strengths[np.argmin(errors)]:.2f}")

# %%
# The estimate is lowest where the true error is nearly lowest:

figure, place = plt.subplots(figsize=(7, 4), layout="constrained")
place.plot(strengths, errors, label="mean squared error")
place.plot(strengths, estimates, "--", label="estimate without the clean image")
place.plot(*zip(*path, strict=True), "o-", markersize=4, linewidth=0.8, label="gradient descent")
place.set(xlabel="strength: level of the denoiser, relative to the noise", ylim=(0, None))
place.legend()

# %%
# The photograph at the strength that was found:

with torch.no_grad():
    restored = denoiser(noisy, logarithm.exp() * SIGMA)
figure = fastrestore.plot.compare(
    noisy[0, 0].numpy(),
    restored[0, 0].numpy(),
    truth=clean[0, 0].numpy(),
    names=["noisy", "restored", "truth"],
    data_range=1,
    rows=2,
)
