"""Videos for training: simulated from photographs by a moving camera, and real ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from fastrestore.nets.training.data import KNOWN, photographs

PAN = 8.0  # largest speed of pure translations, in whole pixels per frame; slow ones prevail
DRIFT, TURN, ZOOM = 6.0, 0.01, 0.012  # other motions per frame: pixels, radians, log of the scale
WHOLE, LAYERED = 0.5, 0.5  # shares of pure translations, and of the others with a foreground
REAL = 0.5  # share of real videos, where there are some
SOFT = 2.0  # width of the edge of the foreground, in pixels


class Clip(NamedTuple):
    """A video, and its true motion."""

    frames: Tensor  # (T, C, H, W) from 0 to 1
    motion: Tensor  # (T - 1, 2, H, W): backward flow, x and y; NaN: unknown
    centers: Tensor  # (T, 2): center of each frame in the photograph, y and x


class Clips:
    """Random videos (B, T, C, patch, patch) of `size` (T, patch), drawn on the device."""

    def __init__(
        self,
        images: Sequence[np.ndarray],
        size: tuple[int, int],
        device: str,
        videos: Sequence[np.ndarray] = (),
    ) -> None:
        frames, patch = size
        large = [image for image in images if min(image.shape[1:]) >= patch]
        if not large:
            raise ValueError(f"no photograph has {patch} x {patch} pixels, the size of a patch")
        self._images = [torch.from_numpy(np.ascontiguousarray(each)).to(device) for each in large]
        self._videos = [torch.from_numpy(each).to(device) for each in videos]
        for video in self._videos:
            if len(video) < frames or min(video.shape[-2:]) < patch:
                raise ValueError(
                    f"a video of {len(video)} frames of {video.shape[-1]} x {video.shape[-2]} "
                    f"pixels is smaller than {frames} frames of {patch} x {patch}"
                )
        self._patch, self._frames, self._device = patch, frames, device

    def draw(self, count: int, random: torch.Generator) -> Tensor:
        """Return videos (count, T, C, patch, patch) from 0 to 1."""
        return self.draw_moving(count, random)[0]

    def draw_moving(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return videos, and their backward flow (count, T - 1, 2, patch, patch).

        The flow is x and y in pixels; NaN where it is unknown, as in real videos.
        """
        drawn = (self._one(random) for _ in range(count))
        frames, motion, _ = (torch.stack(each) for each in zip(*drawn, strict=True))
        return frames, motion

    def _one(self, random: torch.Generator) -> Clip:
        """Draw one video."""
        share = torch.rand(16, generator=random, device=self._device).tolist()
        if self._videos and share[0] < REAL:
            return self._real(share)
        image = self._images[int(share[1] * len(self._images))]
        clip = self._panned(image, share) if share[5] < WHOLE else self._moved(image, share)
        if share[5] >= WHOLE and share[6] < LAYERED:
            other = self._images[int(share[7] * len(self._images))]
            front = torch.rand(16, generator=random, device=self._device).tolist()
            clip = self._layered(clip, self._moved(other, front), front)
        return _mirrored(clip) if share[15] < 0.5 else clip

    def _real(self, share: list[float]) -> Clip:
        """Crop a real video, whose motion is unknown."""
        video = self._videos[int(share[1] * len(self._videos))]
        begin = int(share[2] * (len(video) - self._frames + 1))
        part = video[begin : begin + self._frames]
        spare = [n - self._patch + 1 for n in part.shape[-2:]]
        top, left = (int(u * n) for u, n in zip(share[3:5], spare, strict=True))
        crop = part[..., top : top + self._patch, left : left + self._patch].float() / 255
        unknown = crop.new_full((len(crop) - 1, 2, *crop.shape[-2:]), torch.nan)
        return Clip(crop, unknown, crop.new_zeros(len(crop), 2))

    def _panned(self, image: Tensor, share: list[float]) -> Clip:
        """Translate a photograph by whole pixels, which keeps it sharp."""
        corners = self._path(image, share, PAN).round()
        places = corners.long().tolist()
        crops = [image[:, y : y + self._patch, x : x + self._patch] for y, x in places]
        steps = corners.diff(dim=0).flip(1)[..., None, None]
        motion = steps.expand(-1, -1, self._patch, self._patch)
        return Clip(torch.stack(crops).float() / 255, motion, corners)

    def _path(self, image: Tensor, share: list[float], fastest: float) -> Tensor:
        """Return the upper left corners of the frames (T, 2), within the photograph."""
        spare = torch.tensor(image.shape[1:], device=self._device) - self._patch
        begin = torch.tensor(share[8:10], device=self._device) * spare
        speed = torch.tensor([2 * u - 1 for u in share[10:12]], device=self._device)
        times = torch.arange(self._frames, device=self._device)[:, None]
        path = begin + fastest * speed * speed.abs() * times  # small speeds are more frequent
        return path.clamp_min(0).minimum(spare)

    def _moved(self, image: Tensor, share: list[float]) -> Clip:
        """Translate, rotate and zoom a photograph."""
        height, width = image.shape[1:]
        line = torch.arange(self._patch, device=self._device) - (self._patch - 1) / 2
        grid = torch.stack(torch.meshgrid(line, line, indexing="ij"))  # y and x
        centers = self._path(image, share, DRIFT) + self._patch / 2
        matrices = []
        for t in range(self._frames):
            angle = TURN * (2 * share[12] - 1) * t
            scale = math.exp(ZOOM * (2 * share[13] - 1) * t)
            cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
            matrices.append([[cosine, -sine], [sine, cosine]])
        matrix = torch.tensor(matrices, device=self._device)
        places = centers[:, :, None, None] + torch.einsum("tij,jhw->tihw", matrix, grid)
        # Where the content of a pixel was in the frame before
        away = places[1:] - centers[:-1, :, None, None]
        motion = torch.einsum("tij,tjhw->tihw", torch.linalg.inv(matrix[:-1]), away) - grid
        size = torch.tensor([height, width], device=self._device)[:, None, None]
        source = (image[None].float() / 255).expand(self._frames, -1, -1, -1)
        frames = nn.functional.grid_sample(
            source, (2 * places / size - 1).flip(1).permute(0, 2, 3, 1), mode="bicubic",
            padding_mode="reflection", align_corners=False,
        ).clamp(0, 1)  # fmt: skip
        return Clip(frames, motion.flip(1), centers)

    def _layered(self, behind: Clip, front: Clip, share: list[float]) -> Clip:
        """Add a foreground within an ellipse that moves with it."""
        line = torch.arange(self._patch, device=self._device)
        y, x = torch.meshgrid(line, line, indexing="ij")
        radii = [self._patch * (0.15 + 0.3 * u) for u in share[2:4]]
        # Objects move against the camera
        moved = (front.centers[0] - front.centers).tolist()
        masks = []
        for down, across in moved:
            below, beside = y - self._patch * share[6] - down, x - self._patch * share[7] - across
            apart = ((below / radii[0]) ** 2 + (beside / radii[1]) ** 2).sqrt()
            masks.append(torch.sigmoid((1 - apart) * min(radii) / SOFT))
        mask = torch.stack(masks)[:, None]
        frames = mask * front.frames + (1 - mask) * behind.frames
        motion = torch.where(mask[1:] > 0.5, front.motion, behind.motion)
        return Clip(frames, motion, behind.centers)


def _mirrored(clip: Clip) -> Clip:
    """Reflect a video horizontally."""
    motion = clip.motion.flip(-1) * torch.tensor([-1.0, 1.0]).to(clip.motion)[:, None, None]
    return clip._replace(frames=clip.frames.flip(-1), motion=motion)


def films(folder: Path, channels: int) -> list[np.ndarray]:
    """Read videos (T, C, M, N) of 8 bits: each is a subfolder with images of one size."""
    videos = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        if not any(path.suffix.lower() in KNOWN for path in place.iterdir()):
            continue
        frames = photographs(place, channels)
        if len({frame.shape for frame in frames}) > 1:
            raise ValueError(f"{place}: images of a video must be of one size")
        videos.append(np.stack(frames))
    if not videos:
        raise ValueError(f"{folder} has no subfolders with images")
    return videos
