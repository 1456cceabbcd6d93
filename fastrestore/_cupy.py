"""CuPy, where it is there: imported by nobody else, and never before it is needed."""

from __future__ import annotations

import sys
from typing import Any

HOW = "pip install 'fastrestore[cuda13]', or [cuda12] for a driver of CUDA 12"


def load() -> Any:
    """Import CuPy."""
    import cupy

    return cupy


def loaded() -> Any:
    """Return CuPy if somebody has imported it, else None: nobody can have an array of it then."""
    return sys.modules.get("cupy")


def is_array(value: object) -> bool:
    """Whether this is an array of CuPy."""
    cupy = loaded()
    return cupy is not None and isinstance(value, cupy.ndarray)
