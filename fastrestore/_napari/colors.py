"""Layers of colors, which napari shows in 8 bits or from 0 to 1, and may have alpha."""

from __future__ import annotations

from typing import Any

import numpy as np

COLORS = 3  # red, green and blue


def without_alpha(image: Any, rgb: bool) -> Any:
    """Return the values to restore."""
    return image[..., :COLORS] if rgb and image.shape[-1] > COLORS else image


def as_shown(restored: Any, dtype: Any) -> Any:
    """Return restored colors in the type of the layer, because napari clips floats to 0 to 1."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "iu":
        return restored
    limits = np.iinfo(dtype)
    return np.clip(np.rint(restored), limits.min, limits.max).astype(dtype)


def complete(restored: Any, image: Any, rgb: bool) -> Any:
    """Return the values of a layer like `image`, from those that were restored."""
    if not rgb:
        return restored
    colors = as_shown(restored, image.dtype)
    if image.shape[-1] == COLORS:
        return colors
    return np.concatenate([colors, np.asarray(image[..., COLORS:])], -1)


def script_lines(image: Any, rgb: bool) -> tuple[list[str], list[str]]:
    """Return the lines of a script before and after the call that do the same."""
    if not rgb:
        return [], []
    before, after = [], []
    if image.shape[-1] > COLORS:
        before = ["alpha, image = image[..., 3:], image[..., :3]"]
    if np.dtype(image.dtype).kind in "iu":
        limits = np.iinfo(image.dtype)
        after = [f"restored = np.clip(np.rint(restored), {limits.min}, {limits.max})",
                 f"restored = restored.astype(np.{np.dtype(image.dtype).name})"]  # fmt: skip
    if before:
        after.append("restored = np.concatenate([restored, alpha], -1)")
    return before, after
