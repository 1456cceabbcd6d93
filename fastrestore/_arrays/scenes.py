"""Detection of scene cuts in a video."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop

# At a cut, the mean difference between the thumbnails of consecutive frames exceeds CUT times the
# range, and LEAP times the previous difference. At the beginning of a scene the previous difference
# is assumed to be MOVING times the range, as for a moving camera.
CUT, LEAP, MOVING = 0.08, 3.0, 0.05
BLOCK = 8  # side of the pixels of a thumbnail, in pixels of the frame


class SceneCuts:
    """Detector of the frames at which scenes begin."""

    def __init__(self) -> None:
        self._before: NDArray[np.float64] | None = None
        self._usual = MOVING  # difference between frames in this scene, relative to the range

    def begins(self, planes: Any) -> bool:
        """Return whether the next frame (C, M, N) begins a new scene; False for the first one."""
        before, now = self._before, _thumbnail(planes)
        self._before = now
        if before is None:
            return False
        extent = float(max(np.ptp(now), np.ptp(before)))
        change = float(np.abs(now - before).mean())
        cut = change > max(CUT, LEAP * self._usual) * extent
        self._usual = MOVING if cut or not extent else change / extent
        return cut


def _thumbnail(planes: Any) -> NDArray[np.float64]:
    """Return the means over square blocks of pixels and over the channels, on the host."""
    gray = planes.mean(0, dtype=np.float64)
    rows, columns = (max(1, size // BLOCK) for size in gray.shape)
    tall, wide = (min(BLOCK, size) for size in gray.shape)
    cropped = interop.namespace(gray).ascontiguousarray(gray[: rows * tall, : columns * wide])
    blocks = cropped.reshape(rows, tall, columns, wide)
    thumbnail: NDArray[np.float64] = interop.to_host(blocks.mean((1, 3)))
    return thumbnail
