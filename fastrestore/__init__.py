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
    from fastrestore._algorithms.bm3d import Info, bm3d
    from fastrestore._algorithms.bm3d_plan import BM3DPlan
    from fastrestore._algorithms.bm4d import bm4d
    from fastrestore._algorithms.burst import denoise_burst
    from fastrestore._algorithms.deblur import deblur
    from fastrestore._algorithms.demosaic import demosaic
    from fastrestore._algorithms.denoise import denoise, dncnn, unet_denoise
    from fastrestore._algorithms.inpaint import inpaint
    from fastrestore._algorithms.sharpen import sharpen
    from fastrestore._algorithms.streaks import remove_streaks
    from fastrestore._algorithms.upscale import restore, super_resolve
    from fastrestore._algorithms.upscale_video import super_resolve_video
    from fastrestore._algorithms.vbm3d import vbm3d
    from fastrestore._collaborative.profile import Profile
    from fastrestore._noise.estimate import estimate_sigma
    from fastrestore._noise.psd import estimate_psd, psd_from_flat_field, psd_from_kernel
    from fastrestore._noise.vst import PoissonGaussian, Rician, estimate_poisson_gaussian
    from fastrestore.backends.select import show_backends, use_backend
    from fastrestore.errors import BackendUnavailableError

_HOME = {
    "BM3DPlan": "fastrestore._algorithms.bm3d_plan",
    "BackendUnavailableError": "fastrestore.errors",
    "Info": "fastrestore._algorithms.bm3d",
    "PoissonGaussian": "fastrestore._noise.vst",
    "Profile": "fastrestore._collaborative.profile",
    "Rician": "fastrestore._noise.vst",
    "bm3d": "fastrestore._algorithms.bm3d",
    "bm4d": "fastrestore._algorithms.bm4d",
    "deblur": "fastrestore._algorithms.deblur",
    "demosaic": "fastrestore._algorithms.demosaic",
    "denoise": "fastrestore._algorithms.denoise",
    "denoise_burst": "fastrestore._algorithms.burst",
    "dncnn": "fastrestore._algorithms.denoise",
    "estimate_poisson_gaussian": "fastrestore._noise.vst",
    "psd_from_kernel": "fastrestore._noise.psd",
    "estimate_psd": "fastrestore._noise.psd",
    "estimate_sigma": "fastrestore._noise.estimate",
    "inpaint": "fastrestore._algorithms.inpaint",
    "psd_from_flat_field": "fastrestore._noise.psd",
    "remove_streaks": "fastrestore._algorithms.streaks",
    "sharpen": "fastrestore._algorithms.sharpen",
    "restore": "fastrestore._algorithms.upscale",
    "show_backends": "fastrestore.backends.select",
    "super_resolve": "fastrestore._algorithms.upscale",
    "super_resolve_video": "fastrestore._algorithms.upscale_video",
    "unet_denoise": "fastrestore._algorithms.denoise",
    "use_backend": "fastrestore.backends.select",
    "vbm3d": "fastrestore._algorithms.vbm3d",
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
