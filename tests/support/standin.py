"""A stand-in for CuPy in what the CUDA shim cannot do: runs of the backend under ThreadSanitizer,
where threads are real ones, and of many changed kernels, which NVRTC would compile for minutes.

It has the few names that launches need. Arrays are NumPy's, with `get`.
"""

from __future__ import annotations

import contextlib
import types

import numpy as np

from support import cudasim


class Memory(np.ndarray):
    """The bytes of an array."""

    def memset_async(self, value, size):
        self[:size] = value


class Array(np.ndarray):
    """An array of the host in place of one on a GPU."""

    data = property(lambda self: np.asarray(self).reshape(-1).view(np.uint8).view(Memory))

    device = property(lambda self: Device())

    def get(self):
        return np.array(self)


class StandIn:
    """Takes the place of the module `cupy`."""

    ndarray = Array

    def __init__(self):
        self.seed = 0  # order of threads; see cuda/engine.hpp
        self.shared = 227 * 1024  # bytes that a thread block can have
        self.options = []  # of the kernels that were compiled
        self.cuda = types.SimpleNamespace(
            is_available=lambda: True,
            Device=Device,
            get_current_stream=lambda: types.SimpleNamespace(synchronize=lambda: None),
            runtime=types.SimpleNamespace(
                getDevice=lambda: 0,
                getDeviceCount=lambda: 1,
                deviceGetAttribute=lambda number, device: self.shared,
            ),
            nvrtc=types.SimpleNamespace(getVersion=lambda: (13, 0)),
        )

    def empty(self, shape, dtype=float):
        out = np.empty(shape, dtype)
        out.reshape(-1).view(np.uint8)[...] = 0xFF  # NaN as floating-point numbers
        return out.view(Array)

    def zeros(self, shape, dtype=float):
        return np.zeros(shape, dtype).view(Array)

    def asarray(self, values, dtype=None):
        return values if isinstance(values, Array) else np.array(values, dtype).view(Array)

    def ascontiguousarray(self, values):
        return np.ascontiguousarray(values).view(Array)

    def RawModule(self, *, code, options, backend):  # noqa: N802
        del backend
        self.options.append(options)
        defines = dict(o[2:].split("=", 1) for o in options if o.startswith("-D"))
        built = cudasim.module("raw", text=code, **defines)
        return types.SimpleNamespace(get_function=lambda name: Function(self, built, name))


class Device(contextlib.nullcontext):
    """The only GPU."""

    compute_capability = "90"

    def synchronize(self):
        """Return at once: launches have ended."""


class Function:
    """A compiled kernel."""

    max_dynamic_shared_size_bytes = 48 * 1024

    def __init__(self, module, built, name):
        self._module, self._built, self._name = module, built, name

    def __call__(self, grid, block, args, *, shared_mem=0):
        assert shared_mem <= min(self.max_dynamic_shared_size_bytes, self._module.shared)
        given = tuple(None if isinstance(value, np.uintp) else value for value in args)
        self._built.launch(self._name, grid, block, given, shared_mem, self._module.seed)
