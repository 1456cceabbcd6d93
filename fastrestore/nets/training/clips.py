"""Films to train on: made from photographs by moving over them, and real ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from fastrestore.nets.training.data import KNOWN, photographs

PAN = 8.0  # pixels from frame to frame, at most, over whole pixels; a quarter mostly
DRIFT, TURN, ZOOM = 6.0, 0.01, 0.012  # pixels, radians and log of the scale from frame to frame
WHOLE, LAYERED = 0.5, 0.5  # shares: moved by whole pixels; of the others, with something in front
REAL = 0.5  # share of real films, where there are some
SOFT = 2.0  # pixels of the edge of what is in front


class Film(NamedTuple):
    """A film, and how it was made."""

    frames: Tensor  # (T, C, H, W) from 0 to 1
    motion: Tensor  # (T - 1, 2, H, W): right and down to where a pixel was before; NaN: not known
    middles: Tensor  # (T, 2): where on the photograph the middle of each frame is, down and across


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
        return self.draw_moving(count, random)[0]

    def draw_moving(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return films, and where each pixel was in the frame before (count, T - 1, 2, H, W).

        Right and down, in pixels; NaN where nobody knows, as in real films.
        """
        drawn = [self._one(random) for _ in range(count)]
        return torch.stack([f.frames for f in drawn]), torch.stack([f.motion for f in drawn])

    def _one(self, random: torch.Generator) -> Film:
        """Draw one film."""
        share = torch.rand(16, generator=random, device=self._device).tolist()
        if self._films and share[0] < REAL:
            whole = self._films[int(share[1] * len(self._films))]
            begin = int(share[2] * (len(whole) - self._frames + 1))
            part = whole[begin : begin + self._frames]
            spare = [n - self._patch + 1 for n in part.shape[-2:]]
            top, left = (int(u * n) for u, n in zip(share[3:5], spare, strict=True))
            cut = part[..., top : top + self._patch, left : left + self._patch].float() / 255
            unknown = cut.new_full((len(cut) - 1, 2, *cut.shape[-2:]), torch.nan)
            return Film(cut, unknown, cut.new_zeros(len(cut), 2))
        image = self._images[int(share[1] * len(self._images))]
        film = self._panned(image, share) if share[5] < WHOLE else self._turned(image, share)
        if share[5] >= WHOLE and share[6] < LAYERED:
            other = self._images[int(share[7] * len(self._images))]
            front = torch.rand(16, generator=random, device=self._device).tolist()
            film = self._layered(film, self._turned(other, front), front)
        return _mirrored(film) if share[15] < 0.5 else film

    def _panned(self, image: Tensor, share: list[float]) -> Film:
        """Move over a photograph by whole pixels, which keeps it sharp."""
        middles = self._path(image, share, PAN).round()
        corners = middles.long().tolist()
        cuts = [image[:, y : y + self._patch, x : x + self._patch] for y, x in corners]
        steps = middles.diff(dim=0).flip(1)[..., None, None]
        motion = steps.expand(-1, -1, self._patch, self._patch)
        return Film(torch.stack(cuts).float() / 255, motion, middles)

    def _path(self, image: Tensor, share: list[float], fastest: float) -> Tensor:
        """Upper left corners of the frames (T, 2), which stay on the photograph."""
        spare = torch.tensor(image.shape[1:], device=self._device) - self._patch
        begin = torch.tensor(share[8:10], device=self._device) * spare
        speed = torch.tensor([2 * u - 1 for u in share[10:12]], device=self._device)
        times = torch.arange(self._frames, device=self._device)[:, None]
        path = begin + fastest * speed * speed.abs() * times  # slow ones more often
        return path.clamp_min(0).minimum(spare)

    def _turned(self, image: Tensor, share: list[float]) -> Film:
        """Move, turn and zoom."""
        height, width = image.shape[1:]
        line = torch.arange(self._patch, device=self._device) - (self._patch - 1) / 2
        grid = torch.stack(torch.meshgrid(line, line, indexing="ij"))  # down and across
        middles = self._path(image, share, DRIFT) + self._patch / 2
        matrices = []
        for t in range(self._frames):
            angle = TURN * (2 * share[12] - 1) * t
            scale = math.exp(ZOOM * (2 * share[13] - 1) * t)
            cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
            matrices.append([[cosine, -sine], [sine, cosine]])
        matrix = torch.tensor(matrices, device=self._device)
        places = middles[:, :, None, None] + torch.einsum("tij,jhw->tihw", matrix, grid)
        # What a pixel shows, and where that was on the frame before
        away = places[1:] - middles[:-1, :, None, None]
        motion = torch.einsum("tij,tjhw->tihw", torch.linalg.inv(matrix[:-1]), away) - grid
        size = torch.tensor([height, width], device=self._device)[:, None, None]
        source = (image[None].float() / 255).expand(self._frames, -1, -1, -1)
        frames = nn.functional.grid_sample(
            source, (2 * places / size - 1).flip(1).permute(0, 2, 3, 1), mode="bicubic",
            padding_mode="reflection", align_corners=False,
        ).clamp(0, 1)  # fmt: skip
        return Film(frames, motion.flip(1), middles)

    def _layered(self, behind: Film, front: Film, share: list[float]) -> Film:
        """Put something in front, within an ellipse that moves with it."""
        line = torch.arange(self._patch, device=self._device)
        y, x = torch.meshgrid(line, line, indexing="ij")
        radii = [self._patch * (0.15 + 0.3 * u) for u in share[2:4]]
        # As what it shows: a view that moves right shows what is there moving left
        moved = (front.middles[0] - front.middles).tolist()
        masks = []
        for down, across in moved:
            below, beside = y - self._patch * share[6] - down, x - self._patch * share[7] - across
            apart = ((below / radii[0]) ** 2 + (beside / radii[1]) ** 2).sqrt()
            masks.append(torch.sigmoid((1 - apart) * min(radii) / SOFT))
        mask = torch.stack(masks)[:, None]
        frames = mask * front.frames + (1 - mask) * behind.frames
        motion = torch.where(mask[1:] > 0.5, front.motion, behind.motion)
        return Film(frames, motion, behind.middles)


def _mirrored(film: Film) -> Film:
    """What is left goes right."""
    motion = film.motion.flip(-1) * torch.tensor([-1.0, 1.0]).to(film.motion)[:, None, None]
    return film._replace(frames=film.frames.flip(-1), motion=motion)


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
