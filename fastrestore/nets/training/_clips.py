"""Films to train on: made from photographs by moving over them, and real ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fastrestore.nets.training._data import KNOWN, photographs

PAN = 6.0  # pixels from frame to frame, at most, over whole pixels
DRIFT, TURN, ZOOM = 4.0, 0.01, 0.012  # pixels, radians and log of the scale from frame to frame
WHOLE, LAYERED = 0.5, 0.5  # shares: moved by whole pixels; of the others, with something in front
REAL = 0.5  # share of real films, where there are some
SOFT = 2.0  # pixels of the edge of what is in front


class Clips:
    """Films (B, T, C, patch, patch), drawn on the device."""

    def __init__(
        self,
        images: Sequence[np.ndarray],
        patch: int,
        frames: int,
        device: str,
        films: Sequence[np.ndarray] = (),
    ) -> None:
        large = [image for image in images if min(image.shape[1:]) >= patch]
        if not large:
            raise ValueError(f"no photograph has {patch} x {patch} pixels, the size of a patch")
        self._images = [torch.from_numpy(np.ascontiguousarray(each)).to(device) for each in large]
        self._films = [torch.from_numpy(each).to(device) for each in films]
        for film in self._films:
            if len(film) < frames or min(film.shape[-2:]) < patch:
                raise ValueError(
                    f"a film of {len(film)} frames of {film.shape[-1]} x {film.shape[-2]} pixels "
                    f"has no part of {frames} frames of {patch} x {patch}"
                )
        self._patch, self._frames, self._device = patch, frames, device

    def draw(self, count: int, random: torch.Generator) -> Tensor:
        """Return (count, T, C, patch, patch) from 0 to 1."""
        return torch.stack([self._one(random) for _ in range(count)])

    def _one(self, random: torch.Generator) -> Tensor:
        """Draw one film."""
        share = torch.rand(16, generator=random, device=self._device).tolist()
        if self._films and share[0] < REAL:
            film = self._films[int(share[1] * len(self._films))]
            begin = int(share[2] * (len(film) - self._frames + 1))
            part = film[begin : begin + self._frames]
            spare = [n - self._patch + 1 for n in part.shape[-2:]]
            top, left = (int(u * n) for u, n in zip(share[3:5], spare, strict=True))
            return part[..., top : top + self._patch, left : left + self._patch].float() / 255
        image = self._images[int(share[1] * len(self._images))]
        film = self._panned(image, share) if share[5] < WHOLE else self._turned(image, share)
        if share[5] >= WHOLE and share[6] < LAYERED:
            other = self._images[int(share[7] * len(self._images))]
            front = torch.rand(16, generator=random, device=self._device).tolist()
            film = self._layered(film, self._turned(other, front), front)
        return film.flip(-1) if share[15] < 0.5 else film

    def _panned(self, image: Tensor, share: list[float]) -> Tensor:
        """Move over a photograph by whole pixels, which keeps it sharp."""
        paths = []
        for u, speed, size in zip(share[8:10], share[10:12], image.shape[1:], strict=True):
            spare = size - self._patch
            steps = PAN * (2 * speed - 1) * np.arange(self._frames)
            paths.append(np.clip(np.rint(u * spare + steps), 0, spare).astype(int))
        cuts = [
            image[:, y : y + self._patch, x : x + self._patch] for y, x in zip(*paths, strict=True)
        ]
        return torch.stack(cuts).float() / 255

    def _turned(self, image: Tensor, share: list[float]) -> Tensor:
        """Move, turn and zoom."""
        height, width = image.shape[1:]
        line = torch.arange(self._patch, device=self._device) - (self._patch - 1) / 2
        y, x = torch.meshgrid(line, line, indexing="ij")
        middle = [
            self._patch / 2 + u * (n - self._patch)
            for u, n in zip(share[8:10], (height, width), strict=True)
        ]
        places = []
        for t in range(self._frames):
            angle = TURN * (2 * share[12] - 1) * t
            scale = math.exp(ZOOM * (2 * share[13] - 1) * t)
            cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
            down = middle[0] + DRIFT * (2 * share[10] - 1) * t + cosine * y - sine * x
            across = middle[1] + DRIFT * (2 * share[11] - 1) * t + sine * y + cosine * x
            places.append(torch.stack([2 * across / width - 1, 2 * down / height - 1], -1))
        source = (image[None].float() / 255).expand(self._frames, -1, -1, -1)
        return nn.functional.grid_sample(
            source, torch.stack(places), mode="bicubic", padding_mode="reflection",
            align_corners=False,
        ).clamp(0, 1)  # fmt: skip

    def _layered(self, behind: Tensor, front: Tensor, share: list[float]) -> Tensor:
        """Put something in front, within an ellipse that moves with it."""
        line = torch.arange(self._patch, device=self._device)
        y, x = torch.meshgrid(line, line, indexing="ij")
        radii = [self._patch * (0.15 + 0.3 * u) for u in share[2:4]]
        masks = []
        for t in range(self._frames):
            # As what it shows: a view that moves right shows what is there moving left
            down = self._patch * share[6] - DRIFT * (2 * share[10] - 1) * t
            across = self._patch * share[7] - DRIFT * (2 * share[11] - 1) * t
            apart = (((y - down) / radii[0]) ** 2 + ((x - across) / radii[1]) ** 2).sqrt()
            masks.append(torch.sigmoid((1 - apart) * min(radii) / SOFT))
        mask = torch.stack(masks)[:, None]
        return mask * front + (1 - mask) * behind


def films(folder: Path, channels: int) -> list[np.ndarray]:
    """Read films: every folder in a folder that holds pictures, as (T, C, M, N) of 8 bits.

    Raises
    ------
    ValueError
        If there is none, or pictures of one folder differ in size.
    """
    found = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        if not any(path.suffix.lower() in KNOWN for path in place.iterdir()):
            continue
        frames = photographs(place, channels)
        if len({frame.shape for frame in frames}) > 1:
            raise ValueError(f"{place}: pictures of a film must be of one size")
        found.append(np.stack(frames))
    if not found:
        raise ValueError(f"{folder} holds no folders of pictures")
    return found
