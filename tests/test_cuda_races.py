"""The kernels with ThreadSanitizer, several blocks at once, in processes of their own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.cudasim import needs

from fastrestore._cuda.module import HEADERS, source

HERE = Path(__file__).parent
RACE, GAVE_UP = 66, 70
# Those of bm3d come last: a change of a header that both have is tried in them
KERNELS = ("bm3d_basic_backward", "bm3d_final_backward")  # with what they share with others
KERNELS += ("vbm3d_match", "bm4d_match", "bm4d_basic", "bm4d_final")  # with bm4d_divide
KERNELS += ("bm3d_range", "bm3d_match", "bm3d_basic", "bm3d_final")  # with bm3d_divide
KERNELS += ("bm3d_basic_rows", "bm3d_final_rows")  # with bm3d_rows and bm3d_divide_rows

KERNELS += ("noise_products", "noise_scale")


def raced(*words):
    """Run a program of Python where kernels are built with ThreadSanitizer."""
    needs("g++")
    library = subprocess.run(
        ["g++", "-print-file-name=libtsan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    # Its map of memory has no place for addresses as random as some systems make them
    still = ["setarch", "-R"]
    if shutil.which("setarch") is None or subprocess.run([*still, "true"], check=False).returncode:
        still = []  # some containers do not allow it
    return subprocess.run(
        [*still, sys.executable, *words],
        cwd=HERE,
        env=os.environ
        | {
            "CUDASIM_ENGINE": "threads",
            "CUDASIM_FLAGS": "-O1 -g -fsanitize=thread",
            "LD_PRELOAD": library,
            "TSAN_OPTIONS": f"exitcode={RACE}",
            "FASTRESTORE_TEST_REQUIRE": "compiler",  # not "cupy", which launches on a GPU
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_have_no_races(name):
    run = raced("-m", "support.race", name)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]


def plain_additions(name):
    """Each `atomicAdd(&place, value);` of a kernel as (start, end, 'place += value;')."""
    text = source(name)
    for found in re.finditer(r"atomicAdd\(&", text):
        depth, comma, end = 1, 0, found.end()
        while depth:
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(text[end], 0)
            if text[end] == "," and depth == 1:
                comma = end
            end += 1
        yield found.start(), end, f"{text[found.end() : comma]} += {text[comma + 1 : end - 1]}"


# Once each, also where kernels share a header
ADDITIONS = {change[2]: (name, change) for name in KERNELS for change in plain_additions(name)}


def test_every_atomic_addition_is_tested():
    for name in HEADERS:
        changes = [change[2] for change in plain_additions(name)]
        assert len(changes) == source(name).count("atomicAdd(")
        assert ADDITIONS.keys() >= set(changes)


@pytest.mark.parametrize(("name", "change"), ADDITIONS.values())
def test_a_plain_addition_races(name, change):
    run = raced("-m", "support.race", name, *map(str, change))
    assert run.returncode == RACE, run.stdout[-2000:] + run.stderr[-2000:]
    assert "data race" in run.stderr


MISSING = [
    ("bm3d_match", "__syncthreads();  // all distances are there, and the window is free", 0),
    ("bm3d_match", "__syncwarp(ALL_LANES);", 2),  # the first of "nearest.cuh"
    ("bm3d_range", "__syncwarp(ALL_LANES);  // all have read the rank", 0),
    ("bm4d_match", "__syncwarp(ALL_LANES);", 0),
    ("bm4d_match", "__syncthreads();  // all have done with the window before", 0),
]
# Votes and shuffles hide in test_cuda_mutations that they order no memory
MISSING += [("bm3d_basic_rows", "__syncwarp(ALL_LANES);", k) for k in range(3)]
MISSING += [("noise_products", "__syncthreads();", k) for k in (2, 3, 4)]
OF_VIDEOS = source("vbm3d_match").split('#line 1 "vbm3d_match.cu"')
MISSING += [
    ("vbm3d_match", "__syncwarp(ALL_LANES);", k + OF_VIDEOS[0].count("__syncwarp(ALL_LANES);"))
    for k in range(OF_VIDEOS[1].count("__syncwarp(ALL_LANES);"))
]


@pytest.mark.parametrize(("name", "line", "number"), MISSING)
def test_a_missing_barrier_races(name, line, number):
    places = [found.start() for found in re.finditer(re.escape(line), source(name))]
    start = places[number]
    run = raced("-m", "support.race", name, str(start), str(start + len(line)), ";")
    seen = run.returncode == GAVE_UP and "data race" in run.stderr  # before threads waited for ever
    assert run.returncode == RACE or seen, run.stdout[-2000:] + run.stderr[-2000:]


TOY = """
import numpy as np
from support.cudasim import module
text = 'extern "C" __global__ void toy(float* out, int n) {{ {body} }}'
out = np.zeros(8, np.float32)
module("toy", text=text).launch("toy", (6,), (4,), (out, np.int32(3)), 32)
assert out[0] == {result}, out
"""


@pytest.mark.parametrize(
    ("body", "result", "code"),
    [
        ("atomicAdd(out, 1.0f);", 24, 0),
        ("if (threadIdx.x == 0) out[1] += n;", 0, RACE),  # one thread of each block
        ("DYNAMIC_SHARED(float, s); s[0] = n;", 0, RACE),
        ("DYNAMIC_SHARED(float, s); s[threadIdx.x] = n; __syncthreads(); s[4] = 0;", 0, RACE),
        ("DYNAMIC_SHARED(float, s); s[threadIdx.x] = n; __syncthreads(); n = s[1];", 0, 0),
        # A shuffle orders no memory
        (
            "DYNAMIC_SHARED(float, s); s[threadIdx.x] = n;"
            "n = __shfl_sync(0xffffffffu, n, 0); if (s[1] > 5) out[0] = n;",
            0,
            RACE,
        ),
        ("n = __shfl_sync(0xffu, n, 0);", 0, GAVE_UP),  # a mask of a part of a warp
    ],
)
def test_detector_on_small_kernels(body, result, code):
    run = raced("-c", TOY.format(body=body, result=result))
    assert run.returncode == code, run.stderr[-2000:]
