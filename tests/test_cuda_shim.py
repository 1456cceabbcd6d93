"""The CUDA shim refuses what CUDA refuses, and runs work in the order of its streams only."""

import os
import subprocess
import sys

import numpy as np
import pytest
from support import cudashim, redirect

ADD = """
extern "C" __global__ void __launch_bounds__(128) add(float* at, float value, int count) {
    extern __shared__ float room[];
    const int k = blockIdx.x * blockDim.x + threadIdx.x;
    if (k < count) at[k] += value;
    if (count < 0) room[0] = value;
}
extern "C" __global__ void fixed(float* at) {
    __shared__ float own[2048];
    own[threadIdx.x] = at[threadIdx.x];
    __syncthreads();
    at[threadIdx.x] = own[blockDim.x - 1 - threadIdx.x];
}
"""
SIZE = 100
ONE = np.float32(1)


@pytest.fixture
def add(fake):
    """Add 1 to an array on the current stream."""
    kernel = compiled(fake, "add")

    def launch(array, count=SIZE, **options):
        kernel((1,), (128,), (array, ONE, np.int32(count)), **options)

    return launch


def compiled(fake, name):
    # No extern array on the CPU: the engine has its own name for it
    code = ADD.replace("extern __shared__ float room[]", "DYNAMIC_SHARED(float, room)")
    macro = "#ifndef DYNAMIC_SHARED\n#define DYNAMIC_SHARED(T, n) extern __shared__ T n[]\n#endif\n"
    shared = "#ifndef __CUDACC__\n#define __shared__ static\n#endif\n"
    return fake.RawModule(code=macro + shared + code, backend="nvrtc").get_function(name)


def zeros(fake):
    out = fake.zeros(SIZE, np.float32)
    fake.cuda.Device().synchronize()
    return out


def test_work_is_deferred_until_something_waits(fake, add):
    array, host = zeros(fake), fake.cuda.alloc_pinned_memory(4 * SIZE)
    seen = np.frombuffer(host, np.float32, SIZE)
    seen[...] = 7
    add(array)
    array.get(out=seen, blocking=False)
    assert (seen == 7).all()
    fake.cuda.get_current_stream().synchronize()
    assert (seen == 1).all()


def test_streams_run_without_an_order(fake, add):
    array = zeros(fake)
    with fake.cuda.Stream(non_blocking=True):
        add(array)
    assert (array.get() == 0).all()  # the default stream does not wait for the other one
    fake.cuda.Device().synchronize()
    assert (array.get() == 1).all()


def test_default_stream_waits_for_blocking_streams(fake, add):
    array = zeros(fake)
    with fake.cuda.Stream():
        add(array)
    assert (array.get() == 1).all()


def test_events_order_streams(fake, add):
    array, event = zeros(fake), fake.cuda.Event()
    with fake.cuda.Stream(non_blocking=True) as first:
        add(array)
        event.record(first)
        add(array)
    with fake.cuda.Stream(non_blocking=True) as second:
        second.wait_event(event)
        assert (array.get() == 1).all()
    assert event.done


def test_asking_again_and_again_ends(fake, add):
    array = zeros(fake)
    with fake.cuda.Stream(non_blocking=True) as stream:
        add(array)
        add(array)
        asked = 0
        while not stream.done:
            asked += 1
    assert asked == 2


def test_a_graph_is_replayed(fake, add):
    array = zeros(fake)
    with fake.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        add(array)
        with fake.cuda.Stream(non_blocking=True) as other:  # joins the capture
            other.wait_event(stream.record())
            add(array)
            event = other.record()
        stream.wait_event(event)
        graph = stream.end_capture()
        assert (array.get() == 0).all()
        graph.launch()
        graph.launch()
        assert (array.get() == 4).all()


def test_calls_during_a_capture_are_refused(fake, add):
    array, runtime = zeros(fake), fake.cuda.runtime
    with fake.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture(runtime.streamCaptureModeGlobal)
        for call in (
            lambda: runtime.malloc(100),
            stream.synchronize,
            fake.cuda.Device().synchronize,
            stream.record().synchronize,
        ):
            with pytest.raises(runtime.CUDARuntimeError, match="StreamCaptureUnsupported"):
                call()
        stream.end_capture()
        stream.begin_capture()
        other = fake.cuda.Stream(non_blocking=True)
        other.wait_event(stream.record())
        with other:
            add(array)
        with pytest.raises(runtime.CUDARuntimeError, match="StreamCaptureUnjoined"):
            stream.end_capture()
        stream.begin_capture()
        with pytest.raises(runtime.CUDARuntimeError, match="StreamCaptureIsolation"):
            stream.wait_event(other.record())
        stream.end_capture()
    with pytest.raises(RuntimeError, match="default stream cannot be captured"):
        runtime.streamBeginCapture(0, 0)


def test_pageable_memory_is_copied_before_the_call_returns(fake):
    image = np.arange(SIZE, dtype=np.float32)
    array = fake.empty(SIZE, np.float32)
    array.data.copy_from_host_async(image.ctypes.data, image.nbytes)
    image[...] = 0
    np.testing.assert_array_equal(array.get(), np.arange(SIZE))


def test_new_memory_is_nan_and_writes_beyond_it_are_noticed(fake, add):
    runtime = fake.cuda.runtime
    pointer = runtime.malloc(4 * SIZE)
    memory = fake.cuda.UnownedMemory(pointer, 4 * SIZE, None)
    array = fake.ndarray(SIZE, np.float32, fake.cuda.MemoryPointer(memory, 0))
    assert np.isnan(array.get()).all()
    with pytest.raises(runtime.CUDARuntimeError, match="404 bytes goes beyond an allocation"):
        runtime.memcpy(pointer, np.zeros(101, np.float32).ctypes.data, 404, 1)
    add(array, 120)
    fake.cuda.Device().synchronize()
    runtime.free(pointer)
    with pytest.raises(RuntimeError, match="write outside an allocation of 400 bytes"):
        fake.cuda.Device().synchronize()
    with pytest.raises(RuntimeError, match="freed memory that was not allocated"):
        runtime.free(pointer)


def test_writes_outside_an_allocation_are_reported_at_the_end(fake, add):
    fake.cuda.set_allocator(None)  # without the pool, in which arrays lie side by side
    array = zeros(fake)
    fake.cuda.set_allocator(fake.pool.malloc)
    add(array, 101)
    assert cudashim.reset() == "a write outside an allocation of 400 bytes"
    assert cudashim.reset() == ""


def test_pointers_of_other_devices_and_of_the_host_are_refused(fake, add):
    with fake.cuda.Device(1):
        there = fake.zeros(SIZE, np.float32)
    with pytest.raises(RuntimeError, match=r"launch of add: argument 0 is in the memory of GPU 1"):
        add(there)
    host = np.uintp(np.zeros(SIZE, np.float32).ctypes.data)
    with pytest.raises(RuntimeError, match="argument 0 is not in the memory of a GPU"):
        add(host)
    stream = fake.cuda.Stream(non_blocking=True)
    with fake.cuda.Device(1), pytest.raises(RuntimeError, match="the stream is one of GPU 0"):
        compiled(fake, "add")((1,), (128,), (there, ONE, np.int32(SIZE)), stream=stream)


@pytest.mark.parametrize(
    ("grid", "block", "shared", "message"),
    [
        ((1, 65536), (1,), 0, "the grid is too large"),
        ((1,), (1, 1, 65), 0, "the block is too large"),
        ((1,), (129,), 0, "129 threads, the kernel's launch bounds allow 128"),
        ((1,), (1,), 49153, "49153 bytes of shared memory, at most 49152 are allowed"),
    ],
)
def test_launch_limits(fake, grid, block, shared, message):
    kernel, array = compiled(fake, "add"), zeros(fake)
    with pytest.raises(fake.cuda.driver.CUDADriverError, match=message):
        kernel(grid, block, (array, ONE, np.int32(0)), shared_mem=shared)


@pytest.mark.parametrize(
    ("device", "capability", "limit"), [(2, "75", 65536), (3, "86", 101376), (4, "120", 101376)]
)
def test_shared_memory_by_compute_capability(fake, device, capability, limit):
    with fake.cuda.Device(device) as current:
        assert current.compute_capability == capability
        kernel, array = compiled(fake, "add"), zeros(fake)
        kernel.max_dynamic_shared_size_bytes = limit
        kernel((1,), (128,), (array, ONE, np.int32(SIZE)), shared_mem=limit)
        assert (array.get() == 1).all()
        with pytest.raises(RuntimeError, match=f"add: {limit + 1} bytes .* the GPU has {limit}"):
            kernel.max_dynamic_shared_size_bytes = limit + 1


def test_needs_of_a_kernel_are_those_of_the_compiled_one(fake):
    add, fixed = compiled(fake, "add"), compiled(fake, "fixed")
    assert (add.max_threads_per_block, fixed.max_threads_per_block) == (128, 1024)
    assert (add.shared_size_bytes, fixed.shared_size_bytes) == (0, 8192)
    assert fixed.max_dynamic_shared_size_bytes == 48 * 1024 - 8192
    assert 4 <= add.num_regs <= 64
    array = fake.arange(SIZE, dtype=np.float32)
    fixed((1,), (SIZE,), (array,))
    np.testing.assert_array_equal(array.get(), np.arange(SIZE)[::-1])


def test_errors_of_deferred_work_are_raised_by_the_next_wait(fake):
    text = 'extern "C" __global__ void stuck(unsigned n) {if (threadIdx.x < n) __syncthreads();}'
    kernel = fake.RawModule(code=text, backend="nvrtc").get_function("stuck")
    kernel((1,), (32,), (np.uint32(3),))
    with pytest.raises(RuntimeError, match=r"stuck: block .* has ended while others wait"):
        fake.cuda.Device().synchronize()
    fake.cuda.Device().synchronize()


def test_cubins_of_another_capability_are_refused(fake):
    other = 2 if cudashim.CAPABILITY == 120 else 4
    with fake.cuda.Device(other) as device:
        cubin = fake.cuda.compiler._compile_using_nvrtc_no_warning(ADD)[0]
    with pytest.raises(RuntimeError, match=f"compiled for capability {device.compute_capability}"):
        fake.cuda.function.Module().load(cubin)


def test_kernels_that_the_engine_cannot_compile_are_refused(fake):
    text = 'extern "C" __global__ void clock(long long* at) { *at = clock64(); }'
    with pytest.raises(RuntimeError, match=r"g\+\+ cannot compile [\s\S]*clock64"):
        fake.RawModule(code=text, backend="nvrtc").get_function("clock")


def test_memory_of_a_gpu_is_limited(fake):
    fake.set("memory", 1 << 20)
    with pytest.raises(fake.cuda.memory.OutOfMemoryError):
        fake.zeros(1 << 20, np.float32)
    fake.set("memory", 1 << 32)
    assert fake.cuda.Device().mem_info[1] == 1 << 32


def test_the_log(fake, add):
    array = zeros(fake)
    fake.log.clear()
    add(array)
    array.get()
    assert list(fake.log) == [
        ("launch", "add", (1, 1, 1), (128, 1, 1), 0), ("d2h", 4 * SIZE), ("sync", "stream"),
    ]  # fmt: skip
    fake.log.clear()
    assert list(fake.log) == []


def test_kernels_of_cupy_itself(fake):
    values = np.array([3, -1, 4, 1, 5], np.float32)
    array = fake.asarray(values)
    for name in ("max", "min", "sum", "mean", "argmax"):
        np.testing.assert_allclose(getattr(array, name)().get(), getattr(values, name)())
    np.testing.assert_array_equal((array[::-1] * 2 + array).get(), values[::-1] * 2 + values)
    np.testing.assert_array_equal(array[array > 1].get(), values[values > 1])
    np.testing.assert_array_equal(array.astype(np.float16).get(), values.astype(np.float16))
    two = fake.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(two.max(axis=0).get(), [8, 9, 10, 11])
    complex_ = (array + 1j * array).get()
    np.testing.assert_array_equal(complex_, values + 1j * values)


def test_functions_that_the_shim_lacks_are_named(fake):
    with pytest.raises(RuntimeError, match="NotSupported: the CUDA shim lacks cudaMallocM"):
        fake.cuda.runtime.mallocManaged(10)
    with pytest.raises(ValueError, match="the shim has no setting 'nonsense'"):
        fake.set("nonsense", 1)


def test_launches_can_do_nothing(fake, add):
    array = zeros(fake)
    fake.set("empty", 1)
    add(array)
    assert (array.get() == 0).all()


def test_processes_build_it_at_once(fake, tmp_path):
    assert fake is not None
    code = "from support import cudashim; print(cudashim.build())"
    places = os.pathsep.join(sys.path)
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": places}
    running = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    paths = {each.communicate(timeout=100)[0] for each in running}
    assert [each.returncode for each in running] == [0, 0]
    assert len(paths) == 1


def test_jumps(fake):
    assert fake is not None
    assert len(redirect.jump(1)) == 12
    assert len(redirect.jump(1, 2)) == 22
    with pytest.raises(LookupError, match="is not loaded"):
        redirect.base_of("/nowhere/library.so")
    assert cudashim.start() is cudashim.start()
