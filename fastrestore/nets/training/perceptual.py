"""A loss by features of a network that was trained to recognise things: SqueezeNet 1.1.

Its weights come with nobody's library; `Perceptual.read` takes the file of Keras' layout. They are
used in training alone, and what this loss says is no distance to be quoted.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

MEAN = (103.939, 116.779, 123.68)  # blue, green, red, of the photographs it was trained on
FIRES = (16, 16, 32, 32, 48, 48, 64, 64)  # squeezed features of each module
POOLED = (1, 3)  # after these of them, and after the first convolution
LOOKED_AT = (1, 3, 5, 7)  # modules whose features are compared


class Fire(nn.Module):
    """Squeeze, and expand by 1 x 1 and by 3 x 3."""

    def __init__(self, before: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(before, squeezed, 1)
        self.one = nn.Conv2d(squeezed, 4 * squeezed, 1)
        self.three = nn.Conv2d(squeezed, 4 * squeezed, 3, padding=1)

    def forward(self, seen: Tensor) -> Tensor:
        """Return both, one after the other."""
        small = torch.relu(self.squeeze(seen))
        return torch.cat([torch.relu(self.one(small)), torch.relu(self.three(small))], 1)


class Perceptual(nn.Module):
    """Mean of absolute differences of normalised features, of images (B, C, H, W) from 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 64, 3, stride=2)
        widths = [64, *(8 * squeezed for squeezed in FIRES)]
        self.fires = nn.ModuleList(Fire(widths[k], squeezed) for k, squeezed in enumerate(FIRES))
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)

    def features(self, image: Tensor) -> list[Tensor]:
        """Features of some of the modules."""
        colours = image.expand(-1, 3, -1, -1).flip(1) * 255  # blue first
        mean = torch.tensor(MEAN, device=image.device, dtype=image.dtype)[:, None, None]
        seen = self.pool(torch.relu(self.first(colours - mean)))
        found = []
        for k, fire in enumerate(self.fires):
            seen = fire(seen)
            if k in LOOKED_AT:
                wide = seen.float()  # sums of squares want more than half precision
                found.append(wide / (wide.square().mean(1, keepdim=True) + 1e-6).sqrt())
            if k in POOLED:
                seen = self.pool(seen)
        return found

    def forward(self, made: Tensor, true: Tensor) -> Tensor:
        """Compare images."""
        pairs = zip(self.features(made), self.features(true), strict=True)
        return torch.stack([(a - b).abs().mean() for a, b in pairs]).mean()

    @classmethod
    def read(cls, path: Path) -> Perceptual:
        """Read the weights of a file (HDF5) that Keras wrote.

        Raises
        ------
        ValueError
            If it does not hold them.
        """
        import numpy as np

        try:
            import h5py
        except ImportError as error:
            raise ImportError(
                f"{path} is a file of HDF5, which needs h5py: pip install h5py"
            ) from error

        net = cls()
        wanted = {"conv1": net.first}
        for k, fire in enumerate(net.fires):
            assert isinstance(fire, Fire)
            name = f"fire{k + 2}"
            wanted |= {f"{name}/squeeze1x1": fire.squeeze, f"{name}/expand1x1": fire.one}
            wanted |= {f"{name}/expand3x3": fire.three}
        found: dict[str, np.ndarray] = {}
        with h5py.File(path) as file:
            file.visititems(
                lambda name, each: (
                    found.update({name: np.asarray(each)}) if hasattr(each, "shape") else None
                )
            )
        for name, part in wanted.items():
            mine = {value.ndim: value for key, value in found.items() if key.startswith(f"{name}/")}
            if set(mine) != {1, 4} or part.bias is None:
                raise ValueError(f"{path} holds no weights of {name}; it has {list(found)[:6]}")
            part.weight.data.copy_(torch.from_numpy(mine[4]).permute(3, 2, 0, 1))
            part.bias.data.copy_(torch.from_numpy(mine[1]))
        return net.eval().requires_grad_(False)
