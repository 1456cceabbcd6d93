"""Photographs as one array on the device, and random patches of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

KNOWN = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


def photographs(folder: Path, channels: int, only: Path | None = None) -> list[np.ndarray]:
    """Read all photographs of a folder and its subfolders, as (C, M, N) of 8 bits.

    `only` is a text file with one path relative to the folder in each line.
    """
    if only is not None:
        try:
            lines = only.read_text(encoding="utf-8").split("\n")
        except ValueError as error:
            raise ValueError(f"{only} is not a text file: {error}") from None
        paths = [folder / line.strip() for line in lines if line.strip()]
    else:
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in KNOWN)
    if not paths:
        raise ValueError(f"{folder} holds no photographs ({', '.join(KNOWN)})")
    images = []
    for path in paths:
        values = _read(path, "L" if channels == 1 else "RGB")
        images.append(values[None] if channels == 1 else values.transpose(2, 0, 1))
    return images


def _read(path: Path, mode: str) -> np.ndarray:
    """Read a photograph in a mode of Pillow."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about oddities of files
            with Image.open(path) as image:
                return np.asarray(image.convert(mode))
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{path} is too large for training: {error}; cut it into smaller photographs"
        ) from None
    except Exception as error:  # damaged files raise exceptions of many kinds
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ValueError(f"{path} cannot be read: {reason}") from None


def split(
    images: Sequence[np.ndarray], every: int = 36
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Separate every 36th image for validation, or the last one if there are fewer."""
    kept = list(images[every - 1 :: every]) or [images[-1]]
    rest = [image for k, image in enumerate(images) if k % every != every - 1]
    return (rest[:-1] or list(images) if len(images) < every else rest), kept


class Sampling(NamedTuple):
    """How to draw patches; see `Recipe` for the fields of the same names."""

    patch: int
    shrink: Sequence[float] = (1.0,)
    turned: bool = True
    scale: int = 1  # factor between a patch and its reduced version


class Patches:
    """Random patches of photographs, drawn on the device, and pairs with reduced patches.

    All pixels are in one array (C, pixels). A patch is read by the indices of its pixels, which
    include the random rotation and reflection. Photographs are reduced by the bicubic filter of
    Pillow.
    """

    def __init__(self, images: Sequence[np.ndarray], sampling: Sampling, device: str) -> None:
        patch, shrink, self._turned, scale = sampling
        scaled = [_cropped(shrunk(image, share), scale) for share in shrink for image in images]
        large = [image for image in scaled if min(image.shape[1:]) >= patch]
        if not large:
            raise ValueError(f"no photograph has {patch} x {patch} pixels, the size of a patch")
        self._pixels = _flat(large).to(device)
        sizes = np.array([image.shape[1:] for image in large])
        areas = sizes.prod(1)
        table = np.column_stack([np.cumsum(areas) - areas, sizes])
        self._table = torch.from_numpy(table).to(device)
        self._shares = torch.from_numpy(areas / areas.sum()).to(device)
        self._patch, self._scale = patch, scale
        if scale > 1:
            self._small = _flat([smaller(image, scale) for image in large]).to(device)

    def draw(self, count: int, random: torch.Generator) -> Tensor:
        """Return patches (count, C, patch, patch) from 0 to 1."""
        return self._patches(self._drawn(count, random), 1)

    def draw_pairs(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return patches, and the same patches of the reduced photographs."""
        drawn = self._drawn(count, random)
        return self._patches(drawn, 1), self._patches(drawn, self._scale)

    def _drawn(self, count: int, random: torch.Generator) -> tuple[Tensor, ...]:
        """Draw photographs, corners of patches, and symmetries."""
        device, size, scale = self._pixels.device, self._patch, self._scale
        which = torch.multinomial(self._shares, count, replacement=True, generator=random)
        _, height, width = self._table[which].T
        shares = torch.rand(3, count, generator=random, device=device, dtype=torch.float64)
        top = (shares[0] * ((height - size) // scale + 1)).long() * scale
        left = (shares[1] * ((width - size) // scale + 1)).long() * scale
        return which, top, left, (shares[2] * 8).long()[:, None, None]

    def _patches(self, drawn: tuple[Tensor, ...], scale: int) -> Tensor:
        """Read patches of the photographs, or of the reduced ones."""
        which, top, left, symmetry = drawn
        begin, _, width = self._table[which].T
        begin, width = begin // scale**2, width // scale
        top, left, size = top // scale, left // scale, self._patch // scale
        shape = (len(which), size, size)
        grid = torch.arange(size, device=which.device)
        down, across = grid[None, :, None], grid[None, None, :]
        down = torch.where(symmetry % 2 == 1, size - 1 - down, down).expand(shape)
        across = torch.where(symmetry // 2 % 2 == 1, size - 1 - across, across).expand(shape)
        swap = symmetry >= 4  # transposition, if rotations are allowed
        other = (across, down) if self._turned else (across.mT, down.mT)
        rows, columns = torch.where(swap, other[0], down), torch.where(swap, other[1], across)
        places = (begin + top * width + left)[:, None, None] + rows * width[:, None, None] + columns
        pixels = self._pixels if scale == 1 else self._small
        return pixels[:, places].transpose(0, 1).float() / 255


def _flat(images: Sequence[np.ndarray]) -> Tensor:
    """Return all pixels, one photograph after the other."""
    flat = [image.reshape(len(image), -1) for image in images]
    return torch.from_numpy(np.concatenate(flat, axis=1))


def _cropped(image: np.ndarray, scale: int) -> np.ndarray:
    """Crop an image to multiples of `scale`."""
    height, width = (n - n % scale for n in image.shape[1:])
    return image[:, :height, :width]


def smaller(image: np.ndarray, scale: int) -> np.ndarray:
    """Reduce an image by a factor with the bicubic filter of Pillow."""
    height, width = (n // scale for n in image.shape[1:])
    return _resized(image, (height, width), "BICUBIC")


def shrunk(image: np.ndarray, scale: float) -> np.ndarray:
    """Resize an image by a factor of 1 or less."""
    height, width = (max(1, round(n * scale)) for n in image.shape[1:])
    return image if scale == 1 else _resized(image, (height, width), "LANCZOS")


def _resized(image: np.ndarray, size: tuple[int, int], how: str) -> np.ndarray:
    """Resize an image with a filter of Pillow."""
    from PIL import Image

    planes = [Image.fromarray(each).resize(size[::-1], Image.Resampling[how]) for each in image]
    return np.stack([np.asarray(plane) for plane in planes])
