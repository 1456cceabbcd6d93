"""Image restoration for numeric Python.

>>> import fastrestore
>>> restored = fastrestore.bm3d(noisy, sigma=25)  # doctest: +SKIP

The names below are loaded on first use: importing the package brings in neither numba,
scipy, cupy, torch nor dask.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0.dev0"

__all__ = [
    "BM3DPlan",
    "BackendUnavailableError",
    "Info",
    "PoissonGaussian",
    "Profile",
    "Rician",
    "__version__",
    "bm3d",
    "bm4d",
    "deblur",
    "demosaic",
    "denoise",
    "denoise_burst",
    "dncnn",
    "estimate_poisson_gaussian",
    "estimate_psd",
    "estimate_sigma",
    "inpaint",
    "inverse",
    "metrics",
    "nets",
    "psd_from_flat_field",
    "psd_from_kernel",
    "remove_streaks",
    "restore",
    "sharpen",
    "show_backends",
    "super_resolve",
    "super_resolve_video",
    "unet_denoise",
    "use_backend",
    "vbm3d",
]

if TYPE_CHECKING:
    from fastrestore import inverse, metrics, nets
    from fastrestore._bm3d import Info, bm3d
    from fastrestore._bm3d_plan import BM3DPlan
    from fastrestore._bm4d import bm4d
    from fastrestore._burst import denoise_burst
    from fastrestore._deblur import deblur
    from fastrestore._demosaic import demosaic
    from fastrestore._denoise import denoise, dncnn, unet_denoise
    from fastrestore._inpaint import inpaint
    from fastrestore._noise import estimate_sigma
    from fastrestore._profile import Profile
    from fastrestore._psd import estimate_psd, psd_from_flat_field, psd_from_kernel
    from fastrestore._sharpen import sharpen
    from fastrestore._stabilise import PoissonGaussian, Rician, estimate_poisson_gaussian
    from fastrestore._streaks import remove_streaks
    from fastrestore._upscale import restore, super_resolve
    from fastrestore._upscale_video import super_resolve_video
    from fastrestore._vbm3d import vbm3d
    from fastrestore.backends import show_backends, use_backend
    from fastrestore.errors import BackendUnavailableError

_HOME = {
    "BM3DPlan": "fastrestore._bm3d_plan",
    "BackendUnavailableError": "fastrestore.errors",
    "Info": "fastrestore._bm3d",
    "PoissonGaussian": "fastrestore._stabilise",
    "Profile": "fastrestore._profile",
    "Rician": "fastrestore._stabilise",
    "bm3d": "fastrestore._bm3d",
    "bm4d": "fastrestore._bm4d",
    "deblur": "fastrestore._deblur",
    "demosaic": "fastrestore._demosaic",
    "denoise": "fastrestore._denoise",
    "denoise_burst": "fastrestore._burst",
    "dncnn": "fastrestore._denoise",
    "estimate_poisson_gaussian": "fastrestore._stabilise",
    "psd_from_kernel": "fastrestore._psd",
    "estimate_psd": "fastrestore._psd",
    "estimate_sigma": "fastrestore._noise",
    "inpaint": "fastrestore._inpaint",
    "psd_from_flat_field": "fastrestore._psd",
    "remove_streaks": "fastrestore._streaks",
    "sharpen": "fastrestore._sharpen",
    "restore": "fastrestore._upscale",
    "show_backends": "fastrestore.backends",
    "super_resolve": "fastrestore._upscale",
    "super_resolve_video": "fastrestore._upscale_video",
    "unet_denoise": "fastrestore._denoise",
    "use_backend": "fastrestore.backends",
    "vbm3d": "fastrestore._vbm3d",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module on first use (PEP 562)."""
    if name in ("inverse", "metrics", "nets"):
        return importlib.import_module(f"fastrestore.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'fastrestore' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
