"""When a call uses the GPU without being asked to, and what it does if the GPU cannot."""

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.clips import video
from support.images import noisy, scene
from support.volumes import VOLUME, cells

from fastrestore import (
    BackendUnavailableError,
    BM3DPlan,
    Profile,
    bm3d,
    bm4d,
    denoise,
    super_resolve,
    use_backend,
    vbm3d,
)
from fastrestore._collaborative.tape import recording
from fastrestore._cuda import module
from fastrestore.backends import cupy as package
from fastrestore.backends.select import select, why_unavailable

SMALL = Profile(radius_basic=5, radius_final=5, group_basic=4, group_final=4)
FILM = Profile.named("video").replace(
    radius_basic=3, radius_final=3, predict_basic=2, predict_final=2
)
WARNING = r"the GPU cannot restore this \(.*\); it was restored by backend 'numba', which is slower"


def integer(height=30, width=34):
    return np.round(np.clip(noisy(scene(height, width), 20), 0, 255)).astype(np.float32)


def used(image, **options):
    return bm3d(image, 20, profile=SMALL, return_info=True, **options)[1].backend


@pytest.fixture
def large(fake, monkeypatch):
    """Every image of the tests is large enough for the GPU."""
    monkeypatch.setattr(package, "least_size", {})
    return fake


def test_small_images_on_the_host_stay_there(fake, monkeypatch):
    assert used(integer()) == "numba"
    monkeypatch.setattr(package, "least_size", {"image": 30 * 34})
    assert used(integer()) == "cupy"
    assert used(integer(30, 33)) == "numba"
    assert used(integer(30, 33), backend="auto") == "numba"
    assert used(integer(30, 33), backend="cupy") == "cupy"
    assert used(fake.asarray(integer(30, 33))) == "cupy"
    with use_backend("cupy"):
        assert used(integer(30, 33)) == "cupy"
    plan = BM3DPlan((30, 33), sigma=20, profile=SMALL)  # its images may be on the GPU
    assert plan.backend == "cupy"
    assert select().NAME == "cupy"  # of an image of any size


def test_an_image_whose_gradient_is_needed_is_restored_like_others(fake, monkeypatch):
    """The kernels of the GPU have gradients, too."""
    monkeypatch.setattr(package, "least_size", {"image": 1})
    assert used(integer()) == "cupy"
    with recording():
        assert used(integer()) == "cupy"


def test_sizes_by_capability(fake):
    for capability in ("image", "sharpen", "volume", "video"):
        assert select(capability=capability, size=2**14).NAME == "cupy"
        assert select(capability=capability, size=2**14 - 1).NAME == "numba"


CALLS = {
    "bm3d": (integer, lambda image, **options: bm3d(image, 20, profile=SMALL, **options)),
    "bm4d": (
        lambda: cells(6, 9, 10),
        lambda volume, **options: bm4d(volume, 10, profile=VOLUME, **options),
    ),
    "vbm3d": (
        lambda: video(4, 20, 22)[1],
        lambda frames, **options: vbm3d(frames, 20, profile=FILM, radius=1, **options),
    ),
    "plan": (
        integer,
        lambda image, **options: BM3DPlan(image.shape, sigma=20, profile=SMALL, **options)(image),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_gpu_without_memory_is_replaced_by_the_cpu(large, name):
    make, restore = CALLS[name]
    image = make()
    expected = restore(image, backend="numba")
    large.limit = large.live + 12_000
    with pytest.warns(UserWarning, match=WARNING):
        result = restore(image)
    np.testing.assert_array_equal(result, expected)
    with pytest.raises(MemoryError):
        restore(image, backend="cupy")
    with use_backend("cupy"), pytest.raises(MemoryError):
        restore(image)
    large.limit = None
    there = large.asarray(image)
    large.limit = large.live + 12_000
    with pytest.raises(MemoryError):
        restore(there)


def test_a_batch_on_a_gpu_without_memory_is_restored_by_the_cpu(large):
    images = np.stack([integer()] * 3)
    large.limit = large.live + 3000
    with pytest.warns(UserWarning, match=WARNING):
        result = bm3d(images, 20, batch_axis=0, profile=SMALL)
    np.testing.assert_array_equal(result[0], bm3d(images[0], 20, profile=SMALL, backend="numba"))


def test_the_backend_that_was_used_is_reported(large):
    large.limit = large.live + 3000
    with pytest.warns(UserWarning, match="Out of memory|free memory"):
        assert used(integer()) == "numba"


def test_a_limit_that_was_given_raises(large):
    with pytest.raises(MemoryError, match="max_memory=1000 bytes"):
        bm3d(integer(), 20, profile=SMALL, max_memory=1000)


def test_memory_of_the_gpu_is_free_before_the_cpu_starts(large):
    large.limit = large.live + 6 * integer().nbytes
    with pytest.warns(UserWarning, match=WARNING):
        bm3d(integer(), 20, profile=SMALL)
    assert large.live < 3000  # small tables only


def test_a_kernel_that_does_not_fit_is_replaced_by_the_cpu(large):
    profile = VOLUME.replace(
        slices_basic=8, block_basic=8, step_slices_basic=8, step_basic=8, radius_basic=127,
        group_basic=2, transform_basic="dct",
    )  # fmt: skip
    volume = cells(8, 8, 9)
    message = r"a search radius of 127 .* was restored by backend"
    with large.cuda.Device(2), pytest.warns(UserWarning, match=message):
        result = bm4d(volume, 10, profile=profile)
    np.testing.assert_array_equal(result, bm4d(volume, 10, profile=profile, backend="numba"))


@pytest.mark.parametrize("name", CALLS)
def test_the_gpu_of_arrays_on_the_host(fake, name):
    make, restore = CALLS[name]
    image = make()
    expected = restore(image, backend="numba")
    with watched_devices(fake) as used:
        result = restore(image, backend="cupy:1")
    assert used == {1}
    assert fake.device == 0
    assert isinstance(result, np.ndarray)
    np.testing.assert_allclose(result, expected, atol=0.1)
    with watched_devices(fake) as used, use_backend("cupy:1"):
        restore(image)
    assert used == {1}


@contextlib.contextmanager
def watched_devices(fake):
    """The GPUs on which memory is allocated."""
    used = set()

    class Hook(fake.cuda.MemoryHook):
        name = "devices"

        def malloc_preprocess(self, **_):
            used.add(fake.device)

    with Hook():
        yield used


def test_batches_on_another_gpu(fake):
    images = np.stack([integer()] * 3)
    with watched_devices(fake) as used:
        bm3d(images, 20, batch_axis=0, profile=SMALL, backend="cupy:1")
    assert used == {1}
    assert fake.launches().count("bm3d_match") == 2


def test_arrays_on_another_gpu_than_the_one_requested(fake):
    there = fake.asarray(integer())
    message = r"backend='cupy:1' is for GPU 1, but the array is on GPU 0; move it there, or write"
    with pytest.raises(ValueError, match=message):
        bm3d(there, 20, profile=SMALL, backend="cupy:1")
    with pytest.raises(ValueError, match=message):
        BM3DPlan((30, 34), sigma=20, profile=SMALL, backend="cupy:1")(there)
    with fake.cuda.Device(1):
        there = fake.asarray(integer())
    assert bm3d(there, 20, profile=SMALL, backend="cupy:1").device.id == 1


def test_gpus_that_do_not_exist(fake, monkeypatch):
    with pytest.raises(
        BackendUnavailableError,
        match=r"backend='cupy:9' cannot run here: there is no GPU 9; CuPy finds GPU 0 to 4",
    ):
        bm3d(integer(), 20, backend="cupy:9")
    monkeypatch.setattr(package, "OLDEST", 80)
    with pytest.raises(BackendUnavailableError, match=r"'cupy:2' .* compute capability 7\.5; 8"):
        bm3d(integer(), 20, backend="cupy:2")


def test_device_of_denoise(fake):
    with watched_devices(fake) as used:
        denoise(integer(), 20, profile=SMALL, device="cuda:1")
    assert used == {1}
    with watched_devices(fake) as used:
        result, info = denoise(integer(), 20, profile=SMALL, device="cpu", return_info=True)
    assert used == set()
    assert info.backend == "numba"
    np.testing.assert_array_equal(
        denoise(fake.asarray(integer()), 20, profile=SMALL, device="cpu").get(), result
    )


def test_arrays_of_other_arguments_on_another_gpu(fake):
    here = fake.asarray(integer())
    with fake.cuda.Device(1):
        level = fake.asarray(np.linspace(5, 25, 34))
        out = fake.asarray(integer())
    expected = bm3d(here, level.get(), profile=SMALL).get()
    np.testing.assert_array_equal(bm3d(here, level, profile=SMALL).get(), expected)  # a small table
    plan = BM3DPlan((30, 34), sigma=20, profile=SMALL, backend="cupy")
    with pytest.raises(ValueError, match="out is on GPU 1 and image on GPU 0; move one"):
        plan(here, out=out)


def test_one_thread_loads_the_compiler(fake, monkeypatch):
    loading, loaded = [], threading.Event()
    load = fake.cuda.nvrtc.getVersion

    def version():
        if not loaded.is_set():
            loading.append(load())
            time.sleep(0.05)  # for the others to begin, too
            loaded.set()
        return load()

    monkeypatch.setattr(fake.cuda.nvrtc, "getVersion", version)
    image = fake.asarray(integer())
    why_unavailable.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: bm3d(image, 0), range(4)))
    assert len(loading) == 1
    module.kernel.cache_clear()
    with monkeypatch.context() as patch:  # as of an estimator, which chooses no backend
        patch.setattr(module, "load_compiler", lambda: loading.append(None))
        module.kernel(0, "bm3d_range", ())
    assert None in loading


@pytest.mark.parametrize("device", ["cpu", None])
def test_networks_and_arrays_on_a_gpu_that_torch_lacks(fake, monkeypatch, device):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with fake.cuda.Device(1):
        image = fake.asarray(integer(16, 18))
    if device is None:
        with pytest.raises(BackendUnavailableError, match=r"on GPU 1, but PyTorch .* finds 0 GPUs"):
            super_resolve(image, 2)
        return
    result = super_resolve(image, 2, device=device)
    assert result.device.id == 1
    expected = super_resolve(integer(16, 18), 2, device=device)
    np.testing.assert_allclose(result.get(), expected, atol=1e-3)
