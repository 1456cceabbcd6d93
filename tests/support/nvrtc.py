"""The run-time compiler of CUDA, which needs no GPU, by way of ctypes."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
from pathlib import Path

import pytest

# What CuPy passes, and what makes the compiler say how many registers it took
OPTIONS = (
    "-ftz=true",
    "--device-as-default-execution-space",
    "-std=c++17",
    "--ptxas-options=-v",
    "--ptxas-options=--warn-on-spills",
    "--ptxas-options=--warn-on-local-memory-usage",
)


@functools.cache
def library():
    """Load it from its package; without it skip, but fail where "compiler" is required."""
    found = importlib.util.find_spec("nvidia")
    places = (
        [Path(each) / "cu13" / "lib" for each in found.submodule_search_locations or ()]
        if found
        else []
    )
    folder = next((place for place in places if list(place.glob("libnvrtc.so*"))), None)
    if folder is None:
        required = "compiler" in os.environ.get("FASTRESTORE_TEST_REQUIRE", "")
        (pytest.fail if required else pytest.skip)(
            "NVRTC is not there: pip install nvidia-cuda-nvrtc==13.0.*"
        )
    ctypes.CDLL(str(next(folder.glob("libnvrtc-builtins.so*"))))  # else it is not found
    return ctypes.CDLL(str(next(folder.glob("libnvrtc.so*"))))


def compiled(text, architecture, **defines):
    """Compile for an architecture such as 90; return the compiler's log."""
    return cubin(text, architecture, **defines)[0]


def cubin(text, architecture, *more, **defines):
    """Compile, with more options; return the compiler's log and the machine code."""
    nvrtc = library()
    program = ctypes.c_void_p()
    made = nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None
    )
    assert made == 0
    options = [
        *OPTIONS,
        *more,
        f"-arch=sm_{architecture}",
        *(f"-D{k}={v}" for k, v in defines.items()),
    ]
    words = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    status = nvrtc.nvrtcCompileProgram(program, len(options), words)
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    code = ctypes.create_string_buffer(size.value)
    if status == 0:
        nvrtc.nvrtcGetCUBIN(program, code)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    assert status == 0, log.value.decode()
    return log.value.decode(), code.raw
