"""Compile kernels for the CPU and launch them on NumPy arrays.

`cuda/engine.hpp` runs them, or `cuda/threads.hpp` where CUDASIM_ENGINE is "threads".
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from fastrestore._arrays import interop
from fastrestore._cuda import module as _module
from fastrestore._cuda.module import source
from fastrestore.backends.cupy import _layout
from support.gpu import REAL_GPU

HEADERS = Path(__file__).parents[1] / "cuda"
KINDS = {"i": np.int32, "q": np.int64, "f": np.float32, "d": np.float64}
VALUES = {"i": ctypes.c_int32, "q": ctypes.c_int64, "f": ctypes.c_float, "d": ctypes.c_double}
FLAGS = ("-std=c++20", "-fPIC", "-fno-gnu-unique", "-ffp-contract=off")
WARNINGS = ("-Wall", "-Wno-unknown-pragmas", "-Werror")
LINK = ("-shared", "-Wl,-Bsymbolic")
HEADER = ("-x", "c++-header")
BARRIER = re.compile(r"__sync(threads|warp)\([A-Z_]*\);")


@functools.cache
def module(name, text=None, **defines):
    """Compile a kernel file, or a text in its place; -D constants as keywords."""
    if text is None and REAL_GPU:
        return OnGPU(name, defines)
    return Module(library(source(name) if text is None else text, defines))


def library(text, defines):
    """Compile CUDA kernels to a shared library for the CPU; return its path."""
    own = "#include <cupy/" not in text  # else a kernel of CuPy, with CuPy's headers
    extra = os.environ.get("CUDASIM_FLAGS", "-O1").split()
    names = re.findall(r"__global__ void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(", text)
    constants = "".join(f"#define {key} {value}\n" for key, value in defines.items())
    exports = "\n".join(f"EXPORT({each})" for each in names)
    engine = os.environ.get("CUDASIM_ENGINE", "engine") if own else "cupy_kernels"  # or "threads"
    flags = (*FLAGS, *WARNINGS) if own else (*FLAGS, "-w", f"-isystem{cupy_headers()}")
    unit = f'#include "{engine}.hpp"\n{constants}{text}\n{exports}\n'
    return built("kernel.so", unit, (*flags, *LINK, *extra), engine)


def cupy_headers():
    """Folder of CuPy's headers, without importing it."""
    package = importlib.util.find_spec("cupy").submodule_search_locations[0]
    return Path(package) / "_core" / "include"


def built(name, unit, flags, engine=None):
    """Compile a text with g++, unless that is already done; return the resulting file.

    The name of its folder is a hash of everything it depends on: text, headers and options.
    The engine's header is compiled first, once for all kernels, because compiling it takes longer
    than compiling a kernel. If g++ cannot use the compiled header, it reads the text instead.
    """
    headers = [path.read_text() for path in sorted(HEADERS.glob("*.h*"))]
    key = hashlib.sha256("\0".join((unit, *headers, *flags)).encode()).hexdigest()[:20]
    folder = Path(tempfile.gettempdir()) / f"fastrestore-cuda-{key}"
    result = folder / name
    if not result.exists():
        needs("g++")
        folder.mkdir(exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # other processes and threads wait
            if not result.exists():
                compile_to(result, unit, flags, engine)
    return result


def compile_to(result, unit, flags, engine):
    text, made = result.with_name("kernel.cpp"), result.with_name(f"new-{result.name}")
    text.write_text(unit)
    if engine:
        options = [flag for flag in flags if flag not in LINK]
        header = built(f"{engine}.hpp.gch", f'#include "{engine}.hpp"\n', [*options, *HEADER])
        flags = (*flags, f"-I{header.parent}")
    command = ["g++", *flags, f"-I{HEADERS}", "-o", made, text]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise LaunchError(f"g++ cannot compile {text}:\n{done.stderr[:2000]}")
    made.replace(result)


def barriers(name):
    """Where the barriers of a kernel file and its headers are."""
    return [found.span() for found in BARRIER.finditer(source(name))]


def needs(compiler):
    """Skip without a compiler, but fail where FASTRESTORE_TEST_REQUIRE names "compiler"."""
    if shutil.which(compiler) is None:
        required = "compiler" in os.environ.get("FASTRESTORE_TEST_REQUIRE", "")
        (pytest.fail if required else pytest.skip)(f"{compiler} is not there")


class OnGPU:
    """The same kernel on a GPU; arrays go there and back."""

    def __init__(self, name, defines):
        self._constants = (name, tuple(defines.items()))

    def launch(self, name, grid, threads, arguments, shared=0, seed=0):
        """Run a kernel; the order of threads is the GPU's."""
        cupy = interop.load_cupy()
        there = [cupy.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
        kernel = _module.kernel(cupy.cuda.runtime.getDevice(), *self._constants)
        kernel.max_dynamic_shared_size_bytes = max(shared, _layout.FREE_SHARED)
        given = tuple(np.uintp(0) if a is None else a for a in there)
        kernel(grid, threads, given, shared_mem=shared)
        for host, device in zip(arguments, there, strict=True):
            if isinstance(host, np.ndarray) and host.flags.writeable:
                host[...] = device.get()


class LaunchError(RuntimeError):
    """A kernel did what CUDA does not define."""


class Module:
    """Kernels of a compiled file."""

    def __init__(self, library):
        self._library = ctypes.CDLL(str(library))
        self._library.engine_kinds.restype = ctypes.c_char_p
        self._library.engine_launch.restype = ctypes.c_char_p

    def launch(self, name, grid, threads, arguments, shared=0, seed=0):
        """Run a kernel; every argument has to be of the type that it declares."""
        kinds = self._library.engine_kinds(name.encode())
        if kinds is None:
            raise LaunchError(f"there is no kernel {name}")
        kinds = kinds.decode().split()
        if len(kinds) != len(arguments):
            raise LaunchError(f"{name} takes {len(kinds)} arguments, got {len(arguments)}")
        held = [_argument(*pair) for pair in zip(kinds, arguments, strict=True)]
        pointers = (ctypes.c_void_p * len(held))(*(ctypes.addressof(each) for each in held))
        three = [(ctypes.c_uint * 3)(*size, *[1] * (3 - len(size))) for size in (grid, threads)]
        error = self._library.engine_launch(
            name.encode(), pointers, *three, ctypes.c_size_t(shared), seed
        )
        if error:
            raise LaunchError(error.decode())


def _argument(kind, value):
    """Return the C value of an argument."""
    if kind[0] == "*":
        if value is None:
            return ctypes.c_void_p(0)
        if not isinstance(value, np.ndarray) or not value.flags.c_contiguous:
            raise LaunchError(f"a pointer takes a contiguous array, got {type(value).__name__}")
        if value.dtype.newbyteorder("=") != np.dtype(kind[1]) or not value.dtype.isnative:
            raise LaunchError(f"a pointer to {np.dtype(kind[1])}, got an array of {value.dtype}")
        return ctypes.c_void_p(value.ctypes.data)
    if kind[0] == "#":  # a structure
        if not isinstance(value, np.ndarray) or value.size != 1 or value.nbytes != int(kind[1:]):
            raise LaunchError(f"a structure of {kind[1:]} bytes, got {value!r:.80}")
        return (ctypes.c_char * value.nbytes).from_buffer_copy(value.tobytes())
    if type(value) is not KINDS.get(kind):
        raise LaunchError(f"kind {kind!r} of argument, got {type(value).__name__}")
    return VALUES[kind](value)
