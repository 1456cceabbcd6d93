"""The engine that runs kernels on the CPU: defined behavior works, undefined behavior raises."""

import numpy as np
import pytest
from support.cudasim import LaunchError, OnGPU, module

from fastrestore._cuda.module import source

HEAD = 'extern "C" __global__ void toy(float* out, int n) {\n'


def toy(body, threads=64, blocks=1, shared=0, seed=0, arguments=None):
    out = np.zeros(256, np.float32)
    common = source("bm3d_range").split('#line 1 "bm3d_range.cu"')[0]
    text = f'{common}\n#line 1 "toy.cu"\n{HEAD}{body}\n}}\n'
    kernel = module("toy", text=text)
    values = (out, np.int32(7)) if arguments is None else arguments
    kernel.launch("toy", (blocks,), (threads,), values, shared, seed)
    return out


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_barriers_shuffles_and_votes(seed):
    reverse = toy(
        "DYNAMIC_SHARED(float, s); s[threadIdx.x] = threadIdx.x; __syncthreads();"
        "out[threadIdx.x] = s[63 - threadIdx.x];",
        shared=256,
        seed=seed,
    )
    np.testing.assert_array_equal(reverse[:64], np.arange(63, -1, -1))
    lanes = np.arange(64) % 32
    sums = toy("out[threadIdx.x] = warp_sum(threadIdx.x);", seed=seed)
    assert set(sums[:32]) == {496.0}
    assert set(sums[32:64]) == {1520.0}
    up = toy("out[threadIdx.x] = __shfl_up_sync(ALL_LANES, (int)threadIdx.x % 32, 3);", seed=seed)
    np.testing.assert_array_equal(up[:64], np.where(lanes < 3, lanes, lanes - 3))
    votes = toy("out[threadIdx.x] = __popc(__ballot_sync(ALL_LANES, threadIdx.x % 3 == 0));")
    assert list(votes[[0, 63]]) == [11, 11]
    half = toy(
        "if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0xffffu, (int)threadIdx.x, 5);"
        "else out[threadIdx.x] = 1;",
        seed=seed,
    )
    assert set(half[:16]) == {5.0}
    count = toy("out[threadIdx.x] = __syncthreads_count(threadIdx.x < 10);", seed=seed)
    assert set(count[:64]) == {10.0}
    added = toy("atomicAdd(out, 1.0f); atomicAdd(out + 1 + blockIdx.x, 2.0f);", blocks=3, seed=seed)
    assert list(added[:4]) == [192, 128, 128, 128]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("if (threadIdx.x < 7) __syncthreads();", r"line 2: has ended while others wait"),
        (
            "if (threadIdx.x == 9) return;\n__syncthreads();",
            r"thread \(9, 0, 0\), line 3: has ended",
        ),
        ("if (threadIdx.x < 9)\n__syncthreads();\nelse\n__syncthreads();", r"meets that of line"),
        (
            "if (threadIdx.x < 9)\nout[0] = __shfl_sync(ALL_LANES, 1.0f, 0);",
            r"has ended, but is in",
        ),
        ("out[0] = __shfl_sync(1u, 1.0f, 0);", r"is not in the mask it gives"),
        ("if (threadIdx.x < 5) __syncwarp(ALL_LANES); else __syncthreads();", r"waits for ever"),
    ],
)
def test_undefined_behavior_raises(body, message, seed):
    with pytest.raises(LaunchError, match=message):
        toy(body, seed=seed)


def test_shared_memory_starts_as_nan_and_absent_lanes_give_nan():
    assert np.isnan(toy("DYNAMIC_SHARED(float, s); out[0] = s[3];", shared=64)[0])
    absent = toy("if (threadIdx.x < 2) out[threadIdx.x] = __shfl_sync(3u, 1.0f, 9);")
    assert np.isnan(absent[:2]).all()


def test_subnormal_numbers_are_zero():
    assert toy("out[0] = 1e-30f * 1e-9f * n;")[0] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arguments": (np.zeros(256, np.float32),)}, "takes 2 arguments, got 1"),
        ({"arguments": (np.zeros(256, np.float32), 7)}, "'i' of argument, got int"),
        ({"arguments": (np.zeros(256, np.float32), np.float32(7))}, "'i' of argument, got float32"),
        ({"arguments": ([0.0], np.int32(7))}, "a contiguous array, got list"),
        ({"arguments": (np.zeros((9, 9))[:, 1], np.int32(7))}, "a contiguous array, got ndarray"),
        (
            {"arguments": (np.zeros(9), np.int32(7))},
            "a pointer to float32, got an array of float64",
        ),
        ({"threads": 1025}, "1 to 1024 threads"),
        ({"blocks": 0}, "the grid is empty"),
        ({"shared": 300000}, "at most 227 KiB"),
    ],
)
def test_wrong_launches(options, message):
    with pytest.raises(LaunchError, match=message):
        toy("out[0] = n;", **options)


def test_missing_kernel_raises():
    with pytest.raises(LaunchError, match="there is no kernel other"):
        module("bm3d_range").launch("other", (1,), (1,), ())


@pytest.mark.usefixtures("fake")
def test_launch_on_a_gpu():
    image, out = np.arange(101, dtype=np.float32), np.zeros(1, np.float32)
    OnGPU("bm3d_range", {}).launch("bm3d_range", (1,), (1024,), (image, np.int32(101), out), 4128)
    assert out[0] == 98
