"""Detection of repeated frames and scene cuts in a video."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop

# At a cut, the mean difference between the thumbnails of consecutive frames exceeds CUT times the
# range, and LEAP times the previous difference. At the beginning of a scene the previous difference
# is assumed to be MOVING times the range, as for a moving camera.
CUT, LEAP, MOVING = 0.08, 3.0, 0.05
BLOCK = 8  # side of the pixels of a thumbnail, in pixels of the frame


class Change(enum.Enum):
    """What a frame of a video is, compared with the frame before."""

    NONE = "an equal frame"
    MOTION = "another frame of the scene, or the first frame"
    CUT = "the first frame of another scene"


class Changes:
    """Detector of repeated frames and scene cuts; it keeps a copy of the last frame.

    On a GPU, repeated frames are only recognized together with scene cuts, for which the host waits
    anyway: only frames with equal thumbnails are compared, for which it waits again.
    """

    def __init__(self, cuts: bool) -> None:
        self._cuts = cuts
        self._thumbnail: NDArray[np.float64] | None = None
        self._usual = MOVING  # difference between frames in this scene, relative to the range
        self.frame: Any = None

    def to(self, planes: Any) -> Change:
        """Compare the next frame (C, M, N) with the last that was no repetition.

        The frame is copied to `frame`, because callers may use its memory again.
        """
        waits = self._cuts and not interop.on_host(planes)
        now = thumbnail(planes) if waits else None
        if self._repeats(planes, now):
            return Change.NONE
        self.frame = planes.copy("K")
        if not self._cuts:
            return Change.MOTION
        now = thumbnail(planes) if now is None else now
        before, self._thumbnail = self._thumbnail, now
        return Change.CUT if before is not None and self.is_cut(before, now) else Change.MOTION

    def _repeats(self, planes: Any, thumbnail: NDArray[np.float64] | None) -> bool:
        """Whether a frame equals the last."""
        if self.frame is None:
            return False
        if interop.on_host(planes):
            return equal(planes, self.frame)
        alike = thumbnail is not None and (thumbnail == self._thumbnail).all()
        return bool(alike and (planes == self.frame).all())

    def is_cut(self, before: NDArray[np.float64], now: NDArray[np.float64]) -> bool:
        """Whether a scene begins between two frames."""
        extent = float(max(np.ptp(now), np.ptp(before)))
        change = float(np.abs(now - before).mean())
        cut = change > max(CUT, LEAP * self._usual) * extent
        self._usual = MOVING if cut or not extent else change / extent
        return cut


def scene_starts(thumbnails: Sequence[NDArray[np.float64]]) -> list[int]:
    """Return the numbers of the frames that begin a scene, of a video without repetitions."""
    changes = Changes(True)
    pairs = enumerate(itertools.pairwise(thumbnails), 1)
    return [0, *(k for k, (before, now) in pairs if changes.is_cut(before, now))]


def equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two images (C, M, N) are equal; for most that differ, the first row is enough."""
    return bool((one[:, 0] == other[:, 0]).all() and (one == other).all())


def distinct(images: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Leave out images (C, M, N) that equal an earlier one, whose noise they share.

    Constant images have no noise, and remain.
    """
    kept: list[NDArray[Any]] = []
    by_row: dict[
        bytes, list[NDArray[Any]]
    ] = {}  # only images with the same middle row are compared
    for image in images:
        alike = by_row.setdefault(image[:, image.shape[1] // 2].tobytes(), [])
        constant = alike and image.min() == image.max()
        if constant or not any(equal(image, other) for other in alike):
            kept.append(image)
            alike.append(image)
    return kept


def thumbnail(planes: Any) -> NDArray[np.float64]:
    """Return the means over square blocks of pixels and over the channels, on the host."""
    gray = planes[0].astype(np.float64)
    for channel in planes[1:]:  # `mean` takes ten times as long if the channels are the last axis
        gray += channel
    gray /= len(planes)
    rows, columns = (max(1, size // BLOCK) for size in gray.shape)
    tall, wide = (min(BLOCK, size) for size in gray.shape)
    cropped = interop.namespace(gray).ascontiguousarray(gray[: rows * tall, : columns * wide])
    blocks = cropped.reshape(rows, tall, columns, wide)
    means: NDArray[np.float64] = interop.to_host(blocks.mean((1, 3)))
    return means
