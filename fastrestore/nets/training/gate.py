"""Training of a `Gate` on photographs restored by both methods.

    python -m fastrestore.nets.training.gate --images DIR --only FILE --out hybrid-gate.safetensors

The center of each photograph, with noise at one of several levels, is restored by `bm3d` and by
the built-in U-Net. The gate minimizes the mean logarithm of the squared error, which maximizes the
mean PSNR.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fastrestore import bm3d
from fastrestore.nets.call import apply
from fastrestore.nets.files import load, save
from fastrestore.nets.gate import Gate, evidence, mixed
from fastrestore.nets.training.data import photographs
from fastrestore.nets.training.noise import smooth
from fastrestore.nets.training.validation import center

LEVELS = (10.0, 15.0, 25.0, 35.0, 50.0, 70.0)  # of 0..255
SIDE, PART = 256, 128  # sides of the restored images and of the crops in a step, in pixels
STEPS, BATCH, RATE = 4000, 16, 3e-3
WORSE = 4.0  # weight of the loss relative to the better estimate
Sample = tuple[Tensor, Tensor, Tensor, Tensor]  # evidence, first, second, clean


def samples(images: list[np.ndarray], weights: str) -> Iterator[Sample]:
    """Yield the features and both estimates of each image, at one noise level each."""
    net = load(weights)
    for number, image in enumerate(images):
        level = LEVELS[number % len(LEVELS)]
        clean = center(image, SIDE)[0].astype(np.float32)
        if number % 2:
            clean = clean + stripes(np.random.default_rng([1, number]))
        noise = np.random.default_rng(number).standard_normal(clean.shape, np.float32)
        noisy = clean + level * noise
        arrays = (noisy, bm3d(noisy, level), apply(net, noisy, level), clean)
        seen, first, second, target = (torch.from_numpy(each)[None, None] / 255 for each in arrays)
        yield evidence(seen, first, second, level / 255), first, second, target


def stripes(rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw slightly bent stripes in a part of the image.

    Networks tend to remove such textures, and photographs have too few of them for the training.
    """
    angle, wave = rng.uniform(0, np.pi), rng.uniform(0.12, 0.45)
    bend, part = (smooth(rng, (SIDE, SIDE), width) for width in (30, 25))
    y, x = np.mgrid[:SIDE, :SIDE]
    phase = wave * (x * np.cos(angle) + y * np.sin(angle)) + rng.uniform(0, 2) * bend
    waves = rng.uniform(10, 45) * np.sin(2 * np.pi * phase)
    drawn: NDArray[np.float32] = (waves * np.clip(part, 0, 1)).astype(np.float32)
    return drawn


def fitted(data: list[Sample], steps: int = STEPS) -> Gate:
    """Train a gate."""
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(0)
    gate = Gate()
    adam = torch.optim.Adam(gate.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        chosen = torch.randint(len(data), (BATCH,), generator=random).tolist()
        loss = torch.stack([error(gate, part(data[k], random)) for k in chosen]).mean()
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        schedule.step()
    return gate.eval()


def part(sample: Sample, random: torch.Generator) -> Sample:
    """Crop a random square."""
    limits = [n - PART + 1 for n in sample[1].shape[-2:]]
    top, left = (int(torch.randint(max(1, n), (1,), generator=random)) for n in limits)
    one, two, three, four = (each[..., top : top + PART, left : left + PART] for each in sample)
    return one, two, three, four


def error(gate: Gate, sample: Sample) -> Tensor:
    """Return the log of the mean squared error, with a penalty if the better estimate has less."""
    seen, first, second, clean = sample
    parts = (first, second, mixed(first, second, gate.weight(seen)))
    one, other, both = ((part - clean).square().mean().log() for part in parts)
    return both + WORSE * torch.relu(both - torch.minimum(one, other))


def main() -> None:
    """Restore the photographs, train the gate and write its weights."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--only", type=Path)
    parser.add_argument("--weights", default="unet-gray")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    images = photographs(options.images, 1, options.only)
    large = [image for image in images if min(image.shape[1:]) >= SIDE]
    data = list(samples(large, options.weights))
    gate = fitted(data)
    save(gate, options.out, sigmas=(0.0, 75.0), weights=options.weights)
    with torch.no_grad():
        ways = [(s[1], s[2], mixed(s[1], s[2], gate.weight(s[0]))) for s in data]
        for name, k in (("bm3d", 0), ("unet", 1), ("mixed", 2)):
            errors = [(w[k] - s[3]).square().mean() for w, s in zip(ways, data, strict=True)]
            print(f"{name}: {-10 * torch.stack(errors).log10().mean():.3f} dB")  # noqa: T201


if __name__ == "__main__":
    main()
