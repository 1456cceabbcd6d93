"""The public functions that restore Dask arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastrestore._chunked.images import bm3d

FUNCTIONS: dict[str, Callable[[Callable[..., Any], dict[str, Any]], Any]] = {"bm3d": bm3d}
