"""The real CuPy on the CUDA shim of `cuda/shim`, which needs no GPU.

CuPy finds the shim as its driver, `libcuda.so.1`. Calls of the CUDA runtime inside CuPy are
redirected to it, too. NVRTC compiles each kernel for the GPU as usual; when CuPy loads the result,
the shim runs the same source compiled for the CPU engine.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import os
import re
import threading
from pathlib import Path

from support import cudasim, redirect
from support.gpu import cuda_headers

SHIM = Path(__file__).parents[1] / "cuda" / "shim"
# GPU 0 and 1 have the capability that the tests run with; others are for tests of one capability
CAPABILITY = int(os.environ.get("FASTRESTORE_SHIM_CAPABILITY", "90"))
DEVICES = (CAPABILITY, CAPABILITY, 75, 86, 120)
SEED = int(os.environ.get("FASTRESTORE_SHIM_SEED", "0"))  # order of threads; see cuda/engine.hpp
FLAGS = ("-std=c++20", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra",
         "-Werror", "-Wl,-soname,libcuda.so.1")  # fmt: skip
KERNEL = re.compile(r'extern "C" __global__\s+void\s+(\w+)')
BOUNDS = re.compile(r"__launch_bounds__\([^()]*\)")
API = re.compile("cuda[A-Z]")  # names of functions of the runtime

_loading = threading.local()  # source and options of the kernels that CuPy is about to load
_names = []  # buffers that redirected functions point to


@functools.cache
def start():
    """Load the shim and CuPy; return the shim's library."""
    shim = ctypes.CDLL(str(build()))
    shim.shim_log.restype = shim.shim_reset.restype = ctypes.c_char_p
    for capability in DEVICES:
        if not shim.shim_add_device(capability):
            raise ValueError(f"the shim has no compute capability {capability}")
    _redirect_runtime(shim)
    _run_on_the_engine(shim)
    return shim


def build():
    """Compile the shim, unless that is already done; return its path."""
    parts = ("shim", "devices", "streams", "graphs", "memory", "cubin", "driver")
    text = "\n".join(
        f'#line 1 "{name}.hpp"\n' + (SHIM / f"{name}.hpp").read_text() for name in parts
    )
    unit = text.replace("#pragma once", "").replace('#include "', '// #include "')
    return cudasim.built("libcuda.so.1", unit, (*FLAGS, f"-isystem{cuda_headers()}"))


def _redirect_runtime(shim):
    """Send CuPy's calls of the CUDA runtime to the shim."""
    from cupy_backends.cuda.api import runtime

    codes = {}
    names = [name for name in redirect.functions(runtime.__file__) if API.match(name)]
    if "cudaMalloc" not in names:
        raise LookupError(f"the CUDA runtime has no symbols in {runtime.__file__}")
    for name in names:
        if hasattr(shim, name):
            codes[name] = redirect.jump(_address(getattr(shim, name)))
        else:
            _names.append(ctypes.create_string_buffer(name.encode()))
            codes[name] = redirect.jump(
                _address(shim.shim_unsupported), ctypes.addressof(_names[-1])
            )
    redirect.redirect(runtime.__file__, codes)


def _address(function):
    return ctypes.cast(function, ctypes.c_void_p).value


def _run_on_the_engine(shim):
    """Give the shim the library for the CPU of each kernel that CuPy loads."""
    import cupy
    from cupy.cuda import compiler

    # CUB's kernels are compiled inside CuPy and cannot run on a CPU. Without them CuPy uses others;
    # with them its reductions leave the result as it is in new memory, NaN
    cupy._core.set_reduction_accelerators([])
    cupy._core.set_routine_accelerators([])
    compile_and_load = compiler._compile_with_cache_cuda

    @functools.wraps(compile_and_load)
    def noted(source, options, *rest, **others):
        _loading.text, _loading.options = source, options
        kernel = KERNEL.search(BOUNDS.sub("", source))
        shim.shim_note(f"compile {kernel[1] if kernel else '?'}".encode())
        return compile_and_load(source, options, *rest, **others)

    @ctypes.CFUNCTYPE(ctypes.c_void_p)
    def find():
        defines = dict(o[2:].split("=", 1) for o in _loading.options if o.startswith("-D"))
        try:
            answer = str(cudasim.library(_loading.text, defines))
        except cudasim.LaunchError as error:
            answer = str(error)
        _loading.answer = ctypes.create_string_buffer(answer.encode())
        return ctypes.addressof(_loading.answer)

    compiler._compile_with_cache_cuda = noted
    shim.shim_library_finder(find)
    _names.append(find)


def reset():
    """Finish the work on all GPUs, and set the settings as they are at first.

    Return the failures that were not reported yet, such as a write outside an allocation.
    """
    failure = start().shim_reset().decode()
    start().shim_set(b"seed", ctypes.c_longlong(SEED))
    return failure


class Log:
    """What the shim was asked to do, as tuples of a kind and its details.

    launch (name, grid, block, shared bytes); h2d, d2h, d2d, memset, alloc, malloc and pin (bytes);
    sync (what is waited for); wait (of a stream for an event); compile (name of a kernel that NVRTC
    compiles or CuPy has on disk), load (of kernels) and graph.
    """

    def __init__(self, shim):
        self._shim = shim

    def clear(self):
        self._shim.shim_clear_log()

    def __iter__(self):
        entry = 0
        while (line := self._shim.shim_log(entry)) is not None:
            yield _entry(line.decode())
            entry += 1


def _entry(line):
    kind, *rest = line.split(" ")
    if kind == "launch":
        name, grid, block, shared = rest
        sizes = (tuple(map(int, size.split(","))) for size in (grid, block))
        return (kind, name, *sizes, int(shared))
    if kind == "memcpy":
        return (rest[0], int(rest[1]))
    return (kind, *(int(each) if each.isdigit() else each for each in rest))


class Simulation:
    """CuPy on the shim, with the shim's log and settings."""

    def __init__(self):
        self._shim = start()
        self._cupy = importlib.import_module("cupy")
        self.pool = self._cupy.cuda.MemoryPool()
        self.log = Log(self._shim)
        self.limit = None
        self.peak = 0
        self.log.clear()

    def __getattr__(self, name):
        return getattr(self._cupy, name)

    def set(self, name, value):
        """Change a setting of the shim: seed, deferred, empty or memory."""
        if not self._shim.shim_set(name.encode(), ctypes.c_longlong(value)):
            raise ValueError(f"the shim has no setting {name!r}")

    @contextlib.contextmanager
    def watched(self):
        """Use a pool of its own, log allocations from it, and measure its peak."""
        cupy, own = self._cupy, self

        class Hook(cupy.cuda.MemoryHook):
            def malloc_preprocess(self, size, **_):
                own._shim.shim_note(f"alloc {size}".encode())

            def malloc_postprocess(self, **_):
                own.peak = max(own.peak, own.live)

        # A pool of its own: in one that earlier tests used, a small array that is still kept may
        # lie in a large block, whose rest a call could use beyond the limit
        cupy.cuda.set_allocator(self.pool.malloc)
        try:
            with Hook():
                yield
        finally:
            cupy.cuda.set_allocator(cupy.get_default_memory_pool().malloc)

    def count(self, kind):
        return sum(entry[0] == kind for entry in self.log)

    def launches(self):
        """Names of the kernels that were launched, CuPy's own without its prefix."""
        return [entry[1] for entry in self.log if entry[0] == "launch"]

    seed = property(None, lambda self, value: self.set("seed", value))
    live = property(lambda self: self.pool.used_bytes())
    device = property(lambda self: self._cupy.cuda.runtime.getDevice())

    @property
    def limit(self):
        """Bytes of the memory pool, or None."""
        return self.pool.get_limit() or None

    @limit.setter
    def limit(self, value):
        self.pool.free_all_blocks()  # those kept for reuse do not count as used
        self.pool.set_limit(size=value or 0)
