"""
An unrolled iteration, trained end to end
=========================================

*I train a network for my measurements with PyTorch, and want BM3D to be a layer of it.*

Plug-and-play restoration alternates between a step that reduces the difference to the data and a
denoiser. If the number of iterations is fixed, the whole iteration is a network.
`fastrestore.nets.BM3D` passes gradients, so its parameters can be trained: here the size of each
step, and the noise level of each call of the denoiser.

The blur is an object of `DeepInverse <https://deepinv.github.io>`__, whose networks and iterations
call ``nets.BM3D`` as a denoiser, too. Without DeepInverse, a class with the same methods takes its
place.
"""

import matplotlib.pyplot as plt
import numpy as np
import skimage.data
import torch

import fastrestore
from fastrestore.nets import BM3D

SIGMA, ITERATIONS, STEPS = 0.01, 4, 40
torch.manual_seed(0)
profile = torch.exp(-(torch.arange(-5.0, 6) ** 2) / (2 * 1.2**2))
kernel = torch.outer(profile, profile)[None, None]
kernel /= kernel.sum()


class CircularBlur:
    """Stands in for `deepinv.physics.Blur`, with the methods used here."""

    def A(self, image):  # noqa: N802
        """Blur an image."""
        padded = torch.zeros(image.shape[-2:])
        padded[:11, :11] = kernel[0, 0]
        spectrum = torch.fft.fft2(padded.roll((-5, -5), (0, 1)))
        return torch.fft.ifft2(spectrum * torch.fft.fft2(image)).real

    A_adjoint = A  # the kernel is symmetric

    def __call__(self, image):
        """Blur an image and add noise."""
        return self.A(image) + SIGMA * torch.randn(image.shape)


try:
    from deepinv.physics import Blur, GaussianNoise

    physics = Blur(kernel, padding="circular", noise_model=GaussianNoise(SIGMA))
except ImportError:
    physics = CircularBlur()
print("physics:", "of this script" if isinstance(physics, CircularBlur) else "of DeepInverse")

# %%
# Two parts of a photograph are trained on, another is tested on:

photograph = torch.from_numpy(skimage.data.camera().astype(np.float32)) / 255
train = torch.stack([photograph[60:124, 200:264], photograph[330:394, 130:194]])[:, None]
test = photograph[None, None, 80:208, 180:308]


class Unrolled(torch.nn.Module):
    """Gradient steps on the data, and BM3D in between; steps and noise levels are learned."""

    def __init__(self):
        super().__init__()
        self.denoiser = BM3D(profile="fast", data_range=1)
        self.steps = torch.nn.Parameter(torch.ones(ITERATIONS))
        self.levels = torch.nn.Parameter(torch.full((ITERATIONS,), 0.05).log())

    def forward(self, data):
        """Return the restored image."""
        image = physics.A_adjoint(data)
        for step, level in zip(self.steps, self.levels.exp(), strict=True):
            image = image + step * physics.A_adjoint(data - physics.A(image))
            image = self.denoiser(image, level)
        return image


def psnr(image):
    """PSNR of a result in decibels."""
    return -10 * (image - test).square().mean().log10().item()


# %%
# Training lowers the error of both parts of the photograph:

data, blurred = physics(train), physics(test)
network = Unrolled()
with torch.no_grad():
    before = network(blurred)
optimizer = torch.optim.Adam(network.parameters(), lr=0.15)
losses = []
for _ in range(STEPS):
    loss = (network(data) - train).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
with torch.no_grad():
    after = network(blurred)
print("steps ", " ".join(f"{step:.2f}" for step in network.steps.tolist()))
print("levels", " ".join(f"{level:.3f}" for level in network.levels.exp().tolist()))
print(f"training loss {losses[0]:.2e}, after {STEPS} steps {losses[-1]:.2e}")

for name, image in {"blurred": blurred, "before": before, "after": after}.items():
    print(f"{name}: {psnr(image):.2f} dB")

figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
axes.plot(losses)
axes.set(xlabel="step of the optimizer", ylabel="mean squared error")

# %%
# The part that was not trained on. What was changed is what the blur had removed:

figure = fastrestore.plot.compare(
    *(image[0, 0].numpy() for image in (blurred, before, after)),
    truth=test[0, 0].numpy(),
    names=["blurred", "before training", "after training", "truth"],
    data_range=1,
    rows=2,
)
