"""Launches, transfers, memory and synchronization of the cupy backend, on the CUDA shim."""

import copy
import functools
import gc
from types import SimpleNamespace

import numpy as np
import pytest
from support.images import assert_close, noisy, scene
from support.volumes import VOLUME

from fastrestore import BackendUnavailableError, BM3DPlan, Profile, bm3d, bm4d, use_backend
from fastrestore._arrays import interop
from fastrestore._cuda import module as _module
from fastrestore.backends.select import select, why_unavailable

SMALL = Profile(radius_basic=5, radius_final=5, group_basic=4, group_final=4)
STAGES = [
    "bm3d_match", "bm3d_rows", "bm3d_basic_rows", "bm3d_divide_rows",
    "bm3d_match", "bm3d_rows", "bm3d_rows", "bm3d_final_rows", "bm3d_divide_rows",
]  # fmt: skip


def integer(height=30, width=34, seed=0):
    return np.round(np.clip(noisy(scene(height, width, seed), 20), 0, 255)).astype(np.float32)


def own(launches):
    """Launches of our kernels, without those of CuPy."""
    return [name for name in launches if not name.startswith("cupy_")]


def logged(fake, call):
    """Run a call twice; keep the log of the second run."""
    call()
    fake.log.clear()
    call()


def test_image_on_the_gpu_needs_no_transfer(fake):
    image = fake.asarray(integer())
    logged(fake, lambda: bm3d(image, 20, profile=SMALL))
    assert own(fake.launches()) == ["bm3d_mix", "bm3d_range", "bm3d_mix", *STAGES, "bm3d_mix"]
    for kind in ("h2d", "d2h", "sync", "compile"):
        assert fake.count(kind) == 0, kind
    fake.log.clear()
    bm3d(image, 21, profile=SMALL)  # another sigma is one small table for each stage
    assert fake.count("h2d") <= 2
    assert sum(entry[1] for entry in fake.log if entry[0] == "h2d") <= 8


def test_given_data_range_is_not_measured(fake):
    image = fake.asarray(integer())
    logged(fake, lambda: bm3d(image, 20, data_range=255, profile=SMALL))
    assert own(fake.launches()) == ["bm3d_mix", *STAGES, "bm3d_mix"]


def test_numpy_image_is_transferred_once_each_way(fake):
    image = integer()
    logged(fake, lambda: bm3d(image, 20, profile=SMALL, backend="cupy"))
    sizes = [entry[1] for entry in fake.log if entry[0] in ("h2d", "d2h")]
    assert sizes == [image.nbytes] * len(sizes)
    assert fake.count("d2h") == fake.count("sync") == 1
    assert fake.count("h2d") <= 2  # a sample of it is measured first


@pytest.mark.parametrize("options", [
    {"sigma": 20},
    {"sigma": np.linspace(5, 25, 34)},
    {"noise_kernel": np.full((1, 5), 8.0)},
    {"sigma": [20, 10, 0], "channel_axis": -1},
    {"sigma": 20, "channel_axis": 0, "colorspace": None},
    {"sigma": 20, "dtype": "u1"},
])  # fmt: skip
def test_a_plan_allocates_its_result_and_can_be_captured(fake, options):
    image = integer()
    if "channel_axis" in options:
        image = np.stack([image] * 3, axis=options["channel_axis"])
    image = fake.asarray(image.astype(options.get("dtype", "f4")))
    plan = BM3DPlan(image.shape, **{"dtype": "f4", **options}, profile=SMALL, backend="cupy")
    compiled = _module.kernel.cache_info().currsize
    assert compiled > 0
    first = plan(image).get()
    assert _module.kernel.cache_info().currsize == compiled
    fake.log.clear()
    plan(image)
    assert fake.count("alloc") == 1
    result = fake.asarray(np.zeros(image.shape, np.float32))
    stream = fake.cuda.Stream(non_blocking=True)
    fake.cuda.Device().synchronize()
    with stream:
        plan(image)  # each stream has a pool of its own
        fake.log.clear()
        stream.begin_capture(fake.cuda.runtime.streamCaptureModeGlobal)
        assert plan(image, out=result) is result
        graph = stream.end_capture()
        for kind in ("malloc", "h2d", "d2h", "sync", "load"):
            assert fake.count(kind) == 0, kind
        assert not result.get(stream=stream).any()
        graph.launch()
    assert_close(result.get(stream=stream), first, 255)


def test_memory_equals_the_estimate(fake):
    profile = SMALL.replace(step_basic=3, step_final=2)
    for channels, deterministic, sigma in (
        (None, False, 20),
        (-1, True, 20),
        (None, False, np.maximum(0, np.linspace(-5, 20, 200))),
    ):
        image = integer(150, 200)
        image = image if channels is None else np.stack([image, image + 1], axis=-1)
        there = fake.asarray(image)
        options = {"channel_axis": channels, "deterministic": deterministic}
        plan = BM3DPlan(image.shape, sigma=sigma, profile=profile, backend="cupy", **options)
        tables, fake.peak = fake.live, fake.live
        result = plan(there)
        used = fake.peak - tables - result.nbytes
        assert used < 1.1 * plan.nbytes
        assert used > 0.7 * plan.nbytes
        del plan, result


def test_memory_limit_is_respected(fake):
    profile = SMALL.replace(radius_basic=2, radius_final=2)
    image = fake.asarray(integer(120, 130))
    options = {"profile": profile, "deterministic": True}
    whole = bm3d(image, 20, **options)
    tables, fake.peak = fake.live, fake.live
    tiled = bm3d(image, 20, max_memory=1_200_000, **options)
    assert fake.peak - tables - tiled.nbytes < 1.1 * 1_200_000
    np.testing.assert_array_equal(tiled.get(), whole.get())
    with pytest.raises(MemoryError, match=r"max_memory=1000 bytes .* restoring a tile of \d+x"):
        bm3d(image, 20, max_memory=1000, **options)


def test_a_gpu_without_memory_gets_smaller_tiles(fake):
    profile = SMALL.replace(radius_basic=2, radius_final=2)
    image = fake.asarray(integer(120, 130))
    options = {"profile": profile, "deterministic": True}
    whole = bm3d(image, 20, **options).get()
    gc.collect()  # what earlier tests left must not be freed after the limit is set
    fake.limit = fake.live + 1_300_000
    np.testing.assert_array_equal(bm3d(image, 20, **options).get(), whole)
    fake.limit = fake.live + image.nbytes + 50_000
    with pytest.raises(MemoryError, match=r"free memory .* restoring a tile of .* takes \d+ "):
        bm3d(image, 20, **options)
    refilter = profile.replace(residual=1.0)
    with pytest.raises(MemoryError, match="the residual again, without tiles"):
        bm3d(image, 20, profile=refilter)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_deterministic_sums_do_not_depend_on_the_order(fake, order):
    image = fake.asarray(integer())
    expected = bm3d(image, 20, profile=SMALL, deterministic=True).get()
    fake.seed = order
    result = bm3d(image, 20, profile=SMALL, deterministic=True).get()
    np.testing.assert_array_equal(result, expected)


def test_device_of_the_image_is_used_and_others_raise(fake):
    here = fake.asarray(integer())
    with fake.cuda.Device(1):
        there = fake.asarray(integer())
    result = bm3d(there, 20, profile=SMALL)
    assert result.device.id == 1
    assert fake.device == 0
    np.testing.assert_allclose(result.get(), bm3d(here, 20, profile=SMALL).get(), atol=1e-2)
    for pilot, words in ((here, "GPU 0"), (integer(), "the host")):
        with pytest.raises(ValueError, match=f"pilot is on {words} and image on GPU 1; move one"):
            bm3d(there, 20, pilot=pilot)
    with pytest.raises(ValueError, match="pilot is on GPU 1 and image on the host; move one"):
        bm3d(integer(), 20, pilot=there)


def test_gpu_array_with_a_host_backend(fake):
    image = fake.asarray(integer())
    result = bm3d(image, 20, profile=SMALL, backend="numpy")
    assert isinstance(result, fake.ndarray)
    np.testing.assert_array_equal(result.get(), bm3d(integer(), 20, profile=SMALL, backend="numpy"))
    with use_backend("numba"):
        assert isinstance(bm3d(image, 20, profile=SMALL), fake.ndarray)
    assert "bm3d_match" not in fake.launches()


def test_plans_reject_other_images(fake):
    image = fake.asarray(integer())
    plan = BM3DPlan((30, 34), sigma=20, profile=SMALL, backend="cupy")
    wrong = fake.asarray(integer().astype("f8"))
    for given, out, message in (
        (fake.asarray(integer(20, 20)), None, r"image has shape \(20, 20\) and type float32, the"),
        (wrong, None, r"type float64, the plan \(30, 34\) and float32"),
        (image, wrong, r"out has shape \(30, 34\) and type float64; it must be .* float32"),
        (image, integer(), "out is on the host and image on GPU 0"),
        (image, image, "out shares memory with image"),
        (image, fake.broadcast_to(fake.zeros(34, "f4"), (30, 34)), "out is a broadcast array"),
    ):
        with pytest.raises(ValueError, match=message):
            plan(given, out=out)
    spectrum = BM3DPlan((30, 34), psd=np.full((30, 34), 4e5), backend="cupy", profile=SMALL)
    with pytest.raises(
        ValueError, match="sigma cannot replace the psd, noise_kernel or noise of this plan"
    ):
        spectrum(image, sigma=3)
    with pytest.raises(TypeError, match="shape must be 2 whole numbers above 0, got 30"):
        BM3DPlan(30)
    with pytest.raises(ValueError, match=r"image must have 2 axes .* got shape \(3, 4, 5\)"):
        BM3DPlan((3, 4, 5), sigma=1)


def test_packed_fields_are_refused(fake):
    records = fake.zeros(30 * 34 * 5, "u1")
    for pixels in (
        fake.ndarray((30, 34), "f4", records.data, (34 * 5, 5)),
        fake.ndarray((30, 34), "f4", records.data + 1),
    ):
        with pytest.raises(ValueError, match=r"image is not aligned: .* the 4 bytes of a value"):
            bm3d(pixels, 20, profile=SMALL)
    row = fake.ndarray((1, 34), "f4", records.data, (5, 4))  # has no second row
    np.testing.assert_array_equal(bm3d(row, 20, profile=SMALL).get(), 0)


def test_invalid_arguments_on_the_gpu(fake):
    image = fake.asarray(integer())
    for arguments, options, error, message in (
        ((fake.asarray(np.zeros((0, 9), "f4")), 1), {}, ValueError, "image is empty"),
        ((fake.asarray(np.zeros((9, 9), "c8")), 1), {}, TypeError, "image is complex"),
        ((image, -1), {}, ValueError, "got -1"),
        ((image, 1), {"deterministic": 2}, TypeError, "deterministic must be True or False, got 2"),
        ((image, 1), {"max_memory": -5}, ValueError, "max_memory must be a number above 0"),
        ((fake.asarray(np.zeros((3, 9, 9), "f4")), 1), {}, ValueError, "must have 2 axes"),
    ):
        with pytest.raises(error, match=message):
            bm3d(*arguments, **options)


def test_noise_specified_by_gpu_arrays(fake):
    image = fake.asarray(integer())
    level = np.linspace(5, 25, 34)
    expected = bm3d(image, level, profile=SMALL).get()
    result = bm3d(image, fake.asarray(level), profile=SMALL).get()
    np.testing.assert_array_equal(result, expected)


def fails(text):
    def call():
        raise RuntimeError(text)

    return call


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("cuda.runtime.getDeviceCount", lambda: 0, "CuPy finds no GPU"),
        ("cuda.Device", lambda: SimpleNamespace(compute_capability="70"),
         r"compute capability 7\.0; 7\.5 \(Turing"),
        ("cuda.runtime.getDeviceCount", fails("cudaErrorInsufficientDriver: old"),
         "there is no CUDA driver, or it is too old for this CuPy"),
        ("cuda.runtime.getDeviceCount", fails("cudaErrorNoDevice"), "there is no GPU"),
        ("cuda.nvrtc.getVersion", fails('Failure finding "nvrtc"'),
         r"does not find NVRTC.*pip install '.\[cuda13\]'"),
    ],
)  # fmt: skip
def test_why_unavailable(fake, monkeypatch, name, value, message):
    image = fake.asarray(integer())
    assert select().NAME == "cupy"
    why_unavailable.cache_clear()
    *path, last = name.split(".")
    monkeypatch.setattr(functools.reduce(getattr, path, fake), last, value)
    assert select().NAME == "numba"  # without a word
    assert isinstance(bm3d(integer(), 20, profile=SMALL), np.ndarray)
    with pytest.raises(
        BackendUnavailableError, match=f"backend='cupy' cannot run here: .*{message}"
    ):
        bm3d(integer(), 20, backend="cupy")
    with pytest.raises(BackendUnavailableError, match=f"an image on a GPU cannot .*{message}"):
        bm3d(image, 20)


def test_cupy_is_missing(monkeypatch):
    def load():
        raise ModuleNotFoundError("No module named 'cupy'")

    monkeypatch.setattr("fastrestore._arrays.interop.load_cupy", load)
    why_unavailable.cache_clear()
    with pytest.raises(BackendUnavailableError, match=r"CuPy is not installed: pip install '."):
        bm3d(integer(), 20, backend="cupy")
    why_unavailable.cache_clear()


def test_kernels_are_compiled_with_their_constants(fake, monkeypatch):
    compile_module, seen = fake.RawModule, []

    def noted(**given):
        seen.append(given["options"])
        return compile_module(**given)

    monkeypatch.setattr(interop.load_cupy(), "RawModule", noted)
    image = fake.asarray(integer().astype("u1"))
    bm3d(image, 20, profile=SMALL)
    options = {option for each in seen for option in each}
    assert {"-std=c++17", "-DBLOCK=8", "-DGROUP=4", "-DFIXED=0", "-DFROM=unsigned char"} <= options
    count = len(seen)
    bm3d(image, 20, profile=SMALL)
    assert len(seen) == count
    assert _module.kernel.cache_info().currsize == count


def test_volumes_compile_no_kernels_of_blocks_of_images(fake):
    volume = np.stack([integer()[:12, :12]] * 6).astype(np.float32)
    small = {"group_basic": 4, "radius_basic": 3, "group_final": 4, "radius_final": 3}
    fake.clear_memo()  # CuPy keeps modules that tests before this one have loaded
    fake.log.clear()
    bm4d(fake.asarray(volume), 20, profile=VOLUME.replace(**small))
    compiled = {entry[1] for entry in fake.log if entry[0] == "compile"}
    assert {"bm4d_match", "bm4d_basic", "bm4d_final", "bm4d_divide"} <= compiled
    # Volumes are converted, and their range is measured, as images are
    assert {name for name in compiled if name.startswith("bm3d")} <= {"bm3d_mix", "bm3d_range"}
    fake.log.clear()
    bm3d(fake.asarray(volume[0]), 20, profile=SMALL)
    assert {"bm3d_match", "bm3d_basic_rows"} <= {e[1] for e in fake.log if e[0] == "compile"}


def test_repr_copy_and_pickle_of_plans(fake):
    plan = BM3DPlan(np.array([30, 34]), ">f4", sigma=20, profile=SMALL, backend="cupy")
    assert repr(plan) == "BM3DPlan((30, 34), 'float32', ..., backend='cupy')"
    other = copy.deepcopy(plan)
    image = fake.asarray(integer())
    np.testing.assert_allclose(other(image).get(), plan(image).get(), atol=1e-2)
    for name, value in (("shape", (1, 1)), ("backend", "numpy"), ("nbytes", 3)):
        with pytest.raises(AttributeError):
            setattr(plan, name, value)
    assert BM3DPlan((9, 9), "torch.float16", sigma=1, backend="numpy").dtype == np.float16
    large = {"shape": (2000, 3000), "sigma": 1, "backend": "cupy"}
    assert BM3DPlan(**large, max_memory=5e6).nbytes <= 5e6 < BM3DPlan(**large).nbytes
    assert BM3DPlan(**large, max_memory=np.inf).nbytes == BM3DPlan(**large).nbytes
    with pytest.raises(MemoryError, match="max_memory=1000 bytes"):
        BM3DPlan(**large, max_memory=1000)
    for dtype in (bool, "c8", "nonsense"):
        with pytest.raises(TypeError, match="dtype must be a type of real numbers, got"):
            BM3DPlan((9, 9), dtype)
    with pytest.raises(ValueError, match=r"shape must be 2 .* got an array of shape \(30, 34\)"):
        BM3DPlan(integer())


@pytest.mark.parametrize("sigma", [20, np.linspace(5, 20, 34)])
def test_a_plan_measures_every_image_on_its_own_gpu(fake, sigma):
    plan = BM3DPlan((30, 34), sigma=sigma, profile=SMALL, backend="cupy", deterministic=True)

    def check(image, number):
        with fake.cuda.Device(number):
            there = fake.asarray(image)
        expected = bm3d(there, sigma, profile=SMALL, deterministic=True).get()
        np.testing.assert_array_equal(plan(there).get(), expected)

    check(integer(), 0)
    check(integer() / 8, 0)
    check(integer() * 4, 0)  # blocks match only by the range of this image
    check(integer(), 1)
    plan._request.execution.memory.clear()  # as when memory runs out
    check(integer() / 8, 0)
    check(integer(), 0)


def test_a_plan_without_sigma_estimates_that_of_every_image(fake):
    plan = BM3DPlan((30, 34), profile=SMALL, backend="cupy", deterministic=True)
    for image in (integer(), np.round(integer() / 8), integer(seed=3)):
        there = fake.asarray(image)
        expected = bm3d(there, profile=SMALL, deterministic=True).get()
        np.testing.assert_array_equal(plan(there).get(), expected)
