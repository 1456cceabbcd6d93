"""Which GPU the tests run on: one of this machine, the CUDA shim, or none."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import shutil
import sys
from pathlib import Path

REQUIRED = os.environ.get("FASTRESTORE_TEST_REQUIRE", "").split(",")


def real_gpu():
    """Whether this machine has a driver and a GPU, and the shim is not asked for."""
    if os.environ.get("FASTRESTORE_TEST_GPU") == "shim":
        return False
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int()
    return driver.cuInit(0) == driver.cuDeviceGetCount(ctypes.byref(count)) == 0 < count.value


def cuda_headers():
    """Folder of the headers of CUDA 13 in the package of the run-time library, or None."""
    found = importlib.util.find_spec("nvidia")
    places = found.submodule_search_locations or () if found else ()
    folders = [Path(each) / "cu13" / "include" for each in places]
    wanted = ("cuda.h", "crt/host_defines.h")
    return next((f for f in folders if all((f / name).is_file() for name in wanted)), None)


def why_no_shim():
    """Why the shim cannot run here, or None."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "the CUDA shim is for Linux on x86-64"
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed: pip install -r tests/cuda/requirements.txt"
    if cuda_headers() is None:
        return "the headers of CUDA are missing: pip install -r tests/cuda/requirements.txt"
    return None if shutil.which("g++") else "g++ is not installed"


REAL_GPU = real_gpu()
WHY_NO_GPU = None if REAL_GPU else why_no_shim()
