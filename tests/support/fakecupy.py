"""A strict stand-in for CuPy: memory is the host's, kernels run on the engine for the CPU.

It has what fastrestore calls, refuses what CuPy refuses, and writes down every launch, transfer,
allocation and wait in `log`. New memory is full of NaN.
"""

from __future__ import annotations

import contextlib
import types
import weakref

import numpy as np

from support import cudasim


class OutOfMemoryError(MemoryError):
    """As in `cupy.cuda.memory`."""


class Cupy:
    """One instance stands for the module, with devices of its own."""

    def __init__(self, devices=1, capability="90", limit=None, seed=0):
        self.log, self.seed, self.limit = [], seed, limit
        self.live = self.peak = 0
        self.capturing = False
        self.device, self.devices, self.capability = 0, devices, capability
        self.options = []
        self.__version__ = "14.2.0"
        self.ndarray = type("ndarray", (Array,), {"module": self})
        self.cuda = types.SimpleNamespace(
            is_available=lambda: self.devices > 0,
            Device=lambda number=None: Device(self, self.device if number is None else number),
            get_current_stream=lambda: Stream(self),
            runtime=types.SimpleNamespace(
                getDevice=lambda: self.device, getDeviceCount=lambda: self.devices
            ),
            nvrtc=types.SimpleNamespace(getVersion=lambda: (13, 0)),
            memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        )

    def note(self, kind, *details):
        if self.capturing and kind in ("alloc", "h2d", "d2h", "sync", "compile"):
            raise RuntimeError(f"cudaErrorStreamCaptureUnsupported: {kind} while capturing")
        self.log.append((kind, *details))

    def count(self, kind):
        return sum(entry[0] == kind for entry in self.log)

    def launches(self):
        return [entry[1] for entry in self.log if entry[0] == "launch"]

    # What fastrestore calls -----------------------------------------------------------------

    def empty(self, shape, dtype=float):
        return self.ndarray(shape, dtype)

    def asarray(self, values):
        if isinstance(values, Array):
            return values
        if not isinstance(values, np.ndarray):
            raise TypeError(f"Unsupported type {type(values)}")
        out = self.empty(values.shape, values.dtype)
        self.note("h2d", values.nbytes)
        out.values[...] = values
        return out

    def from_dlpack(self, tensor):
        kind, number = tensor.__dlpack_device__()
        if kind != 2:
            raise TypeError("CPU arrays cannot be directly imported to CuPy")
        return self.ndarray._of(tensor.memory, tensor.memory, number)

    def may_share_memory(self, a, b):
        return np.may_share_memory(a.values, b.values)

    def where(self, condition, a, b):
        return self._new(np.where(condition.values, _plain(a), _plain(b)))

    def ascontiguousarray(self, a):
        return a if a.values.flags.c_contiguous else self._new(np.ascontiguousarray(a.values))

    def interp(self, x, xp, fp):
        return self._new(np.interp(x.values, xp.values, fp.values))

    def _new(self, values):
        out = self.empty(values.shape, values.dtype)
        self.note("launch", "elementwise")
        out.values[...] = values
        return out

    def RawModule(self, *, code, options=(), backend="nvrtc"):  # noqa: N802
        assert backend == "nvrtc"
        assert "-std=c++17" in options
        self.options.append(options)
        self.note("compile", options)
        defines = dict(o[2:].split("=", 1) for o in options if o.startswith("-D"))
        built = cudasim.module("raw", text=code, **defines)
        return types.SimpleNamespace(get_function=lambda name: Function(self, built, name))


def _plain(value):
    return value.values if isinstance(value, Array) else value


class Device:
    """A GPU, and a context in which it is the current one."""

    def __init__(self, module, number):
        if not 0 <= number < module.devices:
            raise RuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        self._module, self.id, self._before = module, number, []
        self.compute_capability = module.capability

    def __enter__(self):
        self._before.append(self._module.device)
        self._module.device = self.id
        return self

    def __exit__(self, *_):
        self._module.device = self._before.pop()


class Stream:
    """The current stream."""

    def __init__(self, module):
        self._module = module

    def synchronize(self):
        self._module.note("sync")


class Pointer:
    """Memory of a GPU: a buffer of bytes."""

    def __init__(self, module, values, device):
        self._module, self.values, self.device = module, values, device

    def memset_async(self, value, size):
        assert self._module.device == self.device
        self._module.note("memset", size)
        self.values.reshape(-1).view(np.uint8)[:size] = value


class Function:
    """A compiled kernel."""

    def __init__(self, module, built, name):
        self._module, self._built, self._name = module, built, name
        self.max_dynamic_shared_size_bytes = 48 * 1024

    def __call__(self, grid, block, args, *, shared_mem=0):
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise RuntimeError("CUDA_ERROR_INVALID_VALUE: shared memory")
        if any(n > 65535 for n in grid[1:]):
            raise RuntimeError("CUDA_ERROR_INVALID_VALUE: grid")
        self._module.note("launch", self._name, grid, block, shared_mem)
        given = tuple(self._argument(value) for value in args)
        self._built.launch(self._name, grid, block, given, shared_mem, self._module.seed)

    def _argument(self, value):
        if isinstance(value, Array):
            if value.device.id != self._module.device:
                raise RuntimeError(f"an array of GPU {value.device.id} on another")
            if value.values.flags.c_contiguous:
                return value.values
            # The kernel gets no more than where the first pixel is
            return np.lib.stride_tricks.as_strided(value.values, (1,), (value.dtype.itemsize,))
        if isinstance(value, np.uintp) and value == 0:
            return None
        if not isinstance(value, (np.int32, np.int64, np.float32)):
            raise TypeError(f"{self._name}: unsupported argument {type(value).__name__}")
        return value


class Array(np.lib.mixins.NDArrayOperatorsMixin):
    """An array on a GPU. It wraps a NumPy array but is not one."""

    module: Cupy

    def __init__(self, shape, dtype=float, memptr=None):
        dtype = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if memptr is None:
            memptr = self._allocated(size)
        assert memptr.device == self.module.device
        flat = memptr.values.reshape(-1).view(np.uint8)[:size]
        self.values, self._memory = flat.view(dtype).reshape(shape), memptr

    @classmethod
    def _of(cls, values, memory, device):
        out = cls.__new__(cls)
        out.values = values
        out._memory = memory if isinstance(memory, Pointer) else Pointer(cls.module, memory, device)
        return out

    def _allocated(self, size):
        module = self.module
        module.note("alloc", size)
        if module.limit is not None and module.live + size > module.limit:
            raise OutOfMemoryError(f"Out of memory allocating {size} bytes")
        pointer = Pointer(module, np.full(size, 0xFF, np.uint8), module.device)
        module.live += size
        module.peak = max(module.peak, module.live)

        def freed():
            module.live -= size

        weakref.finalize(pointer, freed)
        return pointer

    def _view(self, values):
        return type(self)._of(values, self._memory, None)

    shape = property(lambda self: self.values.shape)
    dtype = property(lambda self: self.values.dtype)
    ndim = property(lambda self: self.values.ndim)
    size = property(lambda self: self.values.size)
    nbytes = property(lambda self: self.values.nbytes)
    strides = property(lambda self: self.values.strides)
    flags = property(lambda self: self.values.flags)
    device = property(lambda self: Device(self.module, self._memory.device))

    @property
    def data(self):
        return Pointer(self.module, self.values, self._memory.device)

    def __len__(self):
        return len(self.values)

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Use `.get()`")

    def __float__(self):
        self.module.note("d2h", self.nbytes)
        return float(self.values)

    __int__ = __float__

    def __bool__(self):
        return float(self) != 0

    def get(self):
        self.module.note("d2h", self.nbytes)
        self.module.note("sync")
        return self.values.copy()

    def transpose(self, *axes):
        return self._view(self.values.transpose(*axes))

    def reshape(self, *shape):
        out = self.values.reshape(*shape)
        assert np.shares_memory(out, self.values)
        return self._view(out)

    def mean(self, axis, dtype=None):
        return self.module._new(np.asarray(self.values.mean(axis, dtype=dtype)))

    def all(self):
        return self.module._new(np.asarray(self.values.all()))

    def astype(self, dtype):
        return self.module._new(self.values.astype(dtype))

    def copy(self, order="C"):
        return self.module._new(self.values.copy(order))

    def __getitem__(self, key):
        keys = key if isinstance(key, tuple) else (key,)
        if any(isinstance(k, Array) for k in keys):
            return self.module._new(self.values[tuple(_plain(k) for k in keys)])
        if not all(k is None or k is Ellipsis or isinstance(k, (slice, int)) for k in keys):
            raise TypeError(f"Unsupported index {key!r}")
        return self._view(self.values[(*keys, ...)])

    def __setitem__(self, key, value):
        if isinstance(value, np.ndarray):
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        self.module.note("launch", "copy")
        self.values[key] = _plain(value)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        if method != "__call__" or any(
            isinstance(each, np.ndarray) and each.ndim for each in inputs
        ):
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        result = ufunc(*(_plain(each) for each in inputs), **options)
        if out is None:
            return self.module._new(result)
        self.module.note("launch", "elementwise")
        out[0].values[...] = result
        return out[0]


@contextlib.contextmanager
def capturing(module):
    """Record a CUDA graph: nothing may be allocated, copied, compiled or waited for."""
    module.capturing = True
    try:
        yield
    finally:
        module.capturing = False
