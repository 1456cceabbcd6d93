"""The GPU: kernels of CUDA, compiled by CuPy when they are first needed, on the current stream."""

from __future__ import annotations

import functools
import os
from typing import Any

from fastrestore._arrays import interop
from fastrestore.backends.cupy._device import Memory as memory  # noqa: N813
from fastrestore.backends.cupy._image import empty, load, luminance, robust_range, store
from fastrestore.backends.cupy.bm3d import bm3d_basic, bm3d_final, bm3d_match, bm3d_memory, warm
from fastrestore.backends.cupy.bm4d import bm4d_basic, bm4d_final, bm4d_match
from fastrestore.backends.cupy.vbm3d import VideoStage as video_stage  # noqa: N813

__all__ = [
    "NAME",
    "bm3d_basic",
    "bm3d_final",
    "bm3d_match",
    "bm3d_memory",
    "bm4d_basic",
    "bm4d_final",
    "bm4d_match",
    "bring",
    "empty",
    "fetch",
    "load",
    "luminance",
    "memory",
    "put",
    "robust_range",
    "store",
    "video_stage",
    "warm",
    "why_unavailable",
]

NAME = "cupy"
OLDEST = 75  # compute capability: what NVRTC of CUDA 13 compiles for, and the kernels are tried on


def why_unavailable() -> str | None:
    """Say why nothing can run on a GPU, if so."""
    return _why_unavailable(os.getpid())  # a driver does not outlive a fork


@functools.cache
def _why_unavailable(process: int) -> str | None:
    del process
    try:
        cupy = interop.load_cupy()
    except ModuleNotFoundError:
        return f"CuPy is not installed: {interop.CUPY_CURE}"
    except Exception as error:
        return f"importing cupy failed ({error}); reinstall it: {interop.CUPY_CURE}"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
        cupy.cuda.nvrtc.getVersion()
    except Exception as error:
        return _explained(error)
    if count == 0 or not cupy.cuda.is_available():
        return "CuPy finds no GPU; nvidia-smi shows whether the driver does"
    return _too_old(cupy)


def _explained(error: Exception) -> str:
    """Say what an error of the driver or the compiler means."""
    text = str(error)
    if "InsufficientDriver" in text:
        return (
            f"there is no CUDA driver, or it is too old for this CuPy ({text}); install or update "
            "NVIDIA's driver, nvidia-smi shows it"
        )
    if "NoDevice" in text:
        return f"there is no GPU ({text}); nvidia-smi shows what the driver sees"
    if "nvrtc" in text.lower():
        first = text.splitlines()[0]
        return f"CuPy does not find NVRTC, the compiler of CUDA ({first}): {interop.CUPY_CURE}"
    return f"the CUDA driver does not work here ({text})"


def _too_old(cupy: Any) -> str | None:
    """Refuse a current GPU that the kernels are not made for."""
    capability = cupy.cuda.Device().compute_capability
    if int(capability) >= OLDEST:
        return None
    return (
        f"the GPU has compute capability {capability[:-1]}.{capability[-1]}; "
        f"{OLDEST // 10}.{OLDEST % 10} (Turing, 2018) or newer is needed"
    )


def bring(array: Any) -> Any:
    """See `fastrestore.backends.protocol.Backend`."""
    return array


def fetch(channels: Any) -> Any:
    """See `fastrestore.backends.protocol.Backend`."""
    return channels.get()


def put(channels: Any) -> Any:
    """See `fastrestore.backends.protocol.Backend`."""
    return interop.load_cupy().asarray(channels)
