"""Functions of CuPy for arrays on the CUDA shim, which can run neither cuFFT nor Thrust."""

import ctypes

import numpy as np
import scipy.fft

from fastrestore._arrays import interop


def use(monkeypatch):
    """Replace the transforms of CuPy, whose arrays are in the memory of the host on the shim."""
    module = interop.load_cupy().fft
    for name in ("fft2", "ifft2"):
        monkeypatch.setattr(module, name, transform(getattr(scipy.fft, name)))
    monkeypatch.setattr(interop, "has_gpu_transforms", lambda: True)


def use_median(monkeypatch):
    """Replace the median of CuPy."""
    monkeypatch.setattr(interop.load_cupy(), "median", transform(np.median))


def use_unique(monkeypatch):
    """Replace the function of CuPy that sorts values and drops equal ones."""
    monkeypatch.setattr(interop.load_cupy(), "unique", transform(np.unique))


def transform(function):
    def transformed(array, *option):
        cupy = interop.load_cupy()
        values = np.asarray(function(seen(cupy.ascontiguousarray(array)), *option))
        out = cupy.empty(values.shape, values.dtype)
        seen(out)[...] = values
        return out

    return transformed


def seen(array):
    """View an array after the work of its stream is done."""
    interop.load_cupy().cuda.get_current_stream().synchronize()
    memory = (ctypes.c_char * array.nbytes).from_address(array.data.ptr)
    return np.frombuffer(memory, array.dtype).reshape(array.shape)
