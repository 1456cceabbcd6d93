"""Images from what is blurred, incomplete or small, with any denoiser inside.

>>> from fastrestore import inverse
>>> forward = inverse.Blur(psf)  # doctest: +SKIP
>>> restored = inverse.pnp(image, forward, sigma=2)  # doctest: +SKIP

`fastrestore.deblur`, `fastrestore.inpaint` and `fastrestore.demosaic` are made of these parts.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__all__ = ["Blur", "Decimation", "DivergenceError", "Forward", "Mask", "Result", "pnp"]

if TYPE_CHECKING:
    from fastrestore.inverse.iterations import DivergenceError, Result
    from fastrestore.inverse.operators import Blur, Decimation, Forward, Mask
    from fastrestore.inverse.plug_and_play import pnp

_HOME = {
    "Blur": "operators",
    "Decimation": "operators",
    "DivergenceError": "iterations",
    "Forward": "operators",
    "Mask": "operators",
    "Result": "iterations",
    "pnp": "plug_and_play",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'fastrestore.inverse' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"fastrestore.inverse.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
