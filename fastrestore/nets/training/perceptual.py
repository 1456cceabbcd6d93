"""A perceptual loss by the features of a network for image classification, SqueezeNet 1.1.

The weights are not part of the library; `Perceptual.read` reads a file in the layout of Keras. The
loss is for training only and not a standard measure of image quality.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fastrestore.nets.storage import damaged

MEAN = (103.939, 116.779, 123.68)  # blue, green, red, of the photographs it was trained on
FIRES = (16, 16, 32, 32, 48, 48, 64, 64)  # features of the squeeze layers
POOLED = (1, 3)  # modules followed by pooling, as is the first convolution
LARGEST = 2**26  # bytes of an array; a damaged file can claim any size
COMPARED = (1, 3, 5, 7)  # modules whose features are compared


class Fire(nn.Module):
    """A squeeze layer, and expand layers of 1 x 1 and 3 x 3."""

    def __init__(self, before: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze1x1 = nn.Conv2d(before, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, 4 * squeezed, 1)
        self.expand3x3 = nn.Conv2d(squeezed, 4 * squeezed, 3, padding=1)

    def forward(self, seen: Tensor) -> Tensor:
        """Return the features of both expand layers."""
        small = torch.relu(self.squeeze1x1(seen))
        return torch.relu(torch.cat([self.expand1x1(small), self.expand3x3(small)], 1))


class Perceptual(nn.Module):
    """Mean absolute difference of normalized features of images (B, C, H, W) from 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 64, 3, stride=2)
        widths = [64, *(8 * squeezed for squeezed in FIRES)]
        self.fires = nn.ModuleList(Fire(widths[k], squeezed) for k, squeezed in enumerate(FIRES))
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the normalized features of the compared modules."""
        bgr = image.expand(-1, 3, -1, -1).flip(1) * 255
        mean = torch.tensor(MEAN, device=image.device, dtype=image.dtype)[:, None, None]
        seen = self.pool(torch.relu(self.first(bgr - mean)))
        levels = []
        for k, fire in enumerate(self.fires):
            seen = fire(seen)
            if k in COMPARED:
                wide = seen.float()  # half precision is too coarse for the sum of squares
                levels.append(wide / (wide.square().mean(1, keepdim=True) + 1e-6).sqrt())
            if k in POOLED:
                seen = self.pool(seen)
        return levels

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """Return the loss."""
        pairs = zip(self.features(fake), self.features(real), strict=True)
        return torch.stack([(a - b).abs().mean() for a, b in pairs]).mean()

    @classmethod
    def read(cls, path: Path) -> Perceptual:
        """Read the weights of SqueezeNet 1.1 from an HDF5 file in the layout of Keras."""
        arrays = _arrays(path)
        net = cls()
        layers: dict[str, Any] = {"conv1": net.first}
        for k, fire in enumerate(net.fires, 2):
            layers |= {f"fire{k}/{name}": layer for name, layer in fire.named_children()}
        for name, layer in layers.items():
            own = {value.ndim: value for key, value in arrays.items() if key.startswith(f"{name}/")}
            if set(own) != {1, 4}:
                raise ValueError(
                    f"{path} does not contain weights of {name}; it has {list(arrays)[:6]!r:.200}"
                )
            _fill(layer.weight, own[4].transpose(3, 2, 0, 1), f"{path}: the weights of {name}")
            _fill(layer.bias, own[1], f"{path}: the biases of {name}")
        return net.eval().requires_grad_(False)


def _fill(parameter: nn.Parameter, values: np.ndarray, name: str) -> None:
    """Copy weights; raise unless they are finite numbers of the right shape."""
    if values.shape != tuple(parameter.shape) or values.dtype.kind != "f":
        wanted = tuple(parameter.shape)
        raise ValueError(f"{name} have shape {values.shape} and type {values.dtype}, not {wanted}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} have values that are NaN or infinite")
    parameter.data.copy_(torch.from_numpy(values.astype(np.float32)))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an HDF5 file by their paths."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"{path} is an HDF5 file, which needs h5py: pip install h5py") from error
    arrays: dict[str, np.ndarray] = {}

    def collect(name: str, item: Any) -> None:
        if hasattr(item, "shape") and item.nbytes <= LARGEST:
            arrays[name] = np.asarray(item)

    try:
        with h5py.File(path) as file:
            file.visititems(collect)
    except Exception as error:
        raise damaged(path, error) from None
    return arrays
