"""The public functions that take Dask arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastrestore._chunked.collaborative import bm3d, bm4d
from fastrestore._chunked.simple import estimate_noise, remove_streaks
from fastrestore._chunked.videos import vbm3d


def denoise(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Denoise an image lazily by a network; PyTorch is imported here."""
    from fastrestore._chunked import networks

    return networks.denoise(function, arguments)


# By name; each takes the public function, all its arguments, and what the caller adds
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "bm3d": bm3d,
    "bm4d": bm4d,
    "denoise": denoise,
    "estimate_noise": estimate_noise,
    "remove_streaks": remove_streaks,
    "vbm3d": vbm3d,
}
