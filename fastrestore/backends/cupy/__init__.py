"""CuPy backend: CUDA kernels, compiled on first use and launched on the current stream."""

from __future__ import annotations

from typing import Any

from fastrestore._arrays import interop
from fastrestore._cuda import module

NAME = "cupy"
capabilities = frozenset({"image", "sharpen", "volume", "video", "batch", "gradients", "factors"})
# Values of an image, volume or frame on the host. Smaller ones take longer on a GPU, where a call
# takes about a millisecond at least, than on the CPU. This is predicted, not measured.
least_size = {
    "image": 2**14, "sharpen": 2**14, "volume": 2**14, "video": 2**14, "factors": 2**14,
}  # fmt: skip
OLDEST = 75  # compute capability: oldest that NVRTC of CUDA 13 supports


def why_unavailable() -> str | None:
    """Return None if a GPU can be used, else the reason and the cure in one line."""
    try:
        cupy = interop.load_cupy()
    except ModuleNotFoundError:
        return f"CuPy is not installed: {interop.CUPY_CURE}"
    except Exception as error:
        return f"importing cupy failed ({error}); reinstall it: {interop.CUPY_CURE}"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
        module.load_compiler()
    except Exception as error:
        return _explained(error)
    if count == 0 or not cupy.cuda.is_available():
        return "CuPy finds no GPU; nvidia-smi shows whether the driver finds one"
    return _too_old(cupy.cuda.Device())


def why_no_device(number: int) -> str | None:
    """Return None if a GPU can be used, else the reason."""
    cuda = interop.load_cupy().cuda
    count = cuda.runtime.getDeviceCount()
    if number >= count:
        known = "GPU 0 only" if count == 1 else f"GPU 0 to {count - 1}"
        return f"there is no GPU {number}; CuPy finds {known}"
    return _too_old(cuda.Device(number))


def _explained(error: Exception) -> str:
    """Explain an error of the driver or the compiler."""
    text = str(error)
    if "InsufficientDriver" in text:
        return (
            f"there is no CUDA driver, or it is too old for this CuPy ({text}); install or update "
            "the NVIDIA driver, nvidia-smi shows its version"
        )
    if "NoDevice" in text:
        return f"there is no GPU ({text}); nvidia-smi lists the GPUs of the driver"
    if "nvrtc" in text.lower():
        first = text.splitlines()[0]
        return f"CuPy does not find NVRTC, the CUDA compiler ({first}): {interop.CUPY_CURE}"
    return f"the CUDA driver does not work here ({text})"


def _too_old(device: Any) -> str | None:
    """Return the reason if the kernels do not support a GPU."""
    capability = device.compute_capability
    if int(capability) >= OLDEST:
        return None
    return (
        f"the GPU has compute capability {capability[:-1]}.{capability[-1]}; "
        f"{OLDEST // 10}.{OLDEST % 10} (Turing, 2018) or newer is needed"
    )
