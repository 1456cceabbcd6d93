"""The kernels with the address and undefined-behaviour sanitizers, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.cudasim import needs
from support.gpu import REQUIRED, WHY_NO_GPU

HERE = Path(__file__).parent
FLAGS = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined"


def sanitized(*words):
    """Run Python where kernels are built with the sanitizers."""
    needs("g++")
    libraries = [
        subprocess.run(
            ["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    return subprocess.run(
        [sys.executable, *words],
        cwd=HERE,
        env=os.environ
        | {
            "CUDASIM_FLAGS": FLAGS,
            "FASTRESTORE_TEST_REQUIRE": "compiler",  # not a GPU
            "FASTRESTORE_TEST_GPU": "shim",
            "LD_PRELOAD": " ".join(libraries),
            "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def on_shim(*values):
    """A row whose tests use CuPy."""
    missing = pytest.mark.skipif(
        WHY_NO_GPU is not None and "cupy" not in REQUIRED, reason=str(WHY_NO_GPU)
    )
    return pytest.param(*values, marks=[pytest.mark.gpu, missing])


@pytest.mark.parametrize(
    ("file", "which"),
    [
        ("test_cuda_match.py", "bands and (5-3 or 2-1) or small_images or bias"),
        ("test_cuda_filter.py", "test_order and (0-basic or 0-final) or channels or maps"),
        ("test_cuda_range.py", "numpy and 0"),
        on_shim(
            "test_cuda_vbm3d.py", "changes1 or changes7 or small or bands or (correlated and noise)"
        ),
        on_shim("test_cuda_bm3d.py", "layouts or (types and f8) or shape2"),
        on_shim("test_cuda_noise.py", "borders or beside or large_images"),
        on_shim(
            "test_cuda_bm4d.py",
            "other_shapes or bands or biases or (threads and 1) or spectra",
        ),
    ],
)
def test_kernels_stay_in_bounds(file, which):
    run = sanitized("-m", "pytest", "-q", "-p", "no:cacheprovider", file, "-k", which)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    assert " passed" in run.stdout


TOY = """
import numpy as np
from support.cudasim import module
text = 'extern "C" __global__ void toy(float* out, int n) {{ {body} }}'
module("toy", text=text).launch("toy", (1,), (8,), (np.zeros(8, np.float32), np.int32(3)), 32)
"""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("DYNAMIC_SHARED(float, s); s[threadIdx.x + 1] = 1;", "heap-buffer-overflow"),
        ("out[threadIdx.x * 900] = 1;", "AddressSanitizer"),
        ("float local[4]; local[n + threadIdx.x] = 1; out[0] = local[n];", "out of bounds"),
        ("out[0] = 1 << (n + 40 + threadIdx.x);", "shift exponent"),
        ("out[0] = *reinterpret_cast<double*>(out + 1);", "misaligned address"),
    ],
)
def test_sanitizers_detect_faults(body, message):
    run = sanitized("-c", TOY.format(body=body))
    assert run.returncode != 0
    assert message in run.stderr
