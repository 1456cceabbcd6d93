"""Calls of a plan that are repeated by one launch of a CUDA graph."""

import numpy as np
import pytest
from support import faketorch
from support.images import noisy, scene

from fastrestore import BM3DPlan, Profile
from fastrestore.backends.cupy import _device, _graphs

SMALL = Profile(radius_basic=4, radius_final=4, group_basic=4, group_final=4, step_basic=4)


def images(count=2):
    return [np.float32(noisy(scene(20, 23, seed=k), 20)) for k in range(count)]


def plan_of(image, **options):
    return BM3DPlan(image.shape, **{"sigma": 20, **options}, profile=SMALL, backend="cupy")


def repeated(plan, image, out, times=3):
    for _ in range(times):
        assert plan(image, out=out) is out


def test_repeated_calls_are_one_launch(fake):
    first, other = images()
    image, out = fake.asarray(first), fake.asarray(np.zeros_like(first))
    plan = plan_of(image)
    repeated(plan, image, out)
    fake.log.clear()
    for values in (other, first):
        expected = plan_of(image)(fake.asarray(values)).get()
        image[...] = fake.asarray(values)
        fake.log.clear()
        plan(image, out=out)
        assert fake.count("graph") == 1
        assert fake.launches() == []
        np.testing.assert_allclose(out.get(), expected, atol=1e-3)


def test_other_arrays_and_levels_are_not_repeated(fake):
    first, other = images()
    image, out = fake.asarray(first), fake.asarray(np.zeros_like(first))
    plan = plan_of(image)
    repeated(plan, image, out)
    there = fake.asarray(other)
    expected = plan_of(image)(there).get()
    np.testing.assert_allclose(plan(there, out=out).get(), expected, atol=1e-3)
    weaker = plan_of(image, sigma=7)(image).get()
    np.testing.assert_allclose(plan(image, sigma=7, out=out).get(), weaker, atol=1e-3)
    # A view at the same place in memory
    turned = image[:20, :20].T
    square = plan_of(turned)
    narrow = fake.asarray(np.zeros((20, 20), np.float32))
    expected = square(fake.ascontiguousarray(turned)).get()
    repeated(square, image[:20, :20], narrow)
    np.testing.assert_allclose(square(turned, out=narrow).get(), expected, atol=1e-3)


def test_a_graph_keeps_its_memory(fake):
    image, out = fake.asarray(images()[0]), fake.asarray(np.zeros((20, 23), np.float32))
    plan = plan_of(image, sigma=np.linspace(10, 20, 23))
    expected = plan(image).get()
    repeated(plan, image, out)
    plan._request.execution.memory.clear()
    _device._small.cache_clear()
    taken = [fake.asarray(np.full(size, np.nan, np.float32)) for size in (64, 1000, 5000) * 40]
    out[...] = 0
    plan(image, out=out)
    np.testing.assert_allclose(out.get(), expected, atol=1e-3)
    del taken


def test_streams_are_respected(fake):
    image, out = fake.asarray(images()[0]), fake.asarray(np.zeros((20, 23), np.float32))
    plan = plan_of(image)
    repeated(plan, image, out)
    other = fake.asarray(images()[1])
    expected = plan_of(image)(other).get()
    fake.cuda.Device().synchronize()
    stream = fake.cuda.Stream(non_blocking=True)
    with stream:
        image[...] = other
        plan(image, out=out)
        np.testing.assert_allclose(out.get(stream=stream), expected, atol=1e-3)
        # A graph of the caller gets the kernels
        stream.begin_capture(fake.cuda.runtime.streamCaptureModeGlobal)
        fake.log.clear()
        plan(image, out=out)
        graph = stream.end_capture()
        assert fake.count("graph") == 0
        out[...] = 0
        graph.launch()
        np.testing.assert_allclose(out.get(stream=stream), expected, atol=1e-3)


@pytest.mark.parametrize("recorded", [False, True])
def test_other_arrays_after_a_graph(fake, monkeypatch, recorded):
    torch = faketorch.install(monkeypatch, fake)
    first = images()[0]
    image, out = fake.asarray(first), fake.asarray(np.zeros_like(first))
    plan = plan_of(image)
    repeated(plan, image, out, 3 * recorded)
    expected = plan_of(image)(image).get()
    with pytest.raises(ValueError, match="out is on the host and image on GPU 0; move one"):
        plan(image, out=first.copy())
    with pytest.raises(TypeError, match=r"out must be an array, got list \[\]"):
        plan(image, out=[])
    tensor = torch.tensor(np.zeros_like(first))
    repeated(plan, image, tensor, 1)
    np.testing.assert_allclose(tensor.numpy(), expected, atol=1e-3)


def test_tensors_are_repeated_in_their_own_memory(fake, monkeypatch):
    torch = faketorch.install(monkeypatch, fake)
    first, other = images()
    image, out = torch.tensor(first.astype("f2")), torch.tensor(np.zeros_like(first, "f2"))
    plan = BM3DPlan(first.shape, "float16", sigma=20, profile=SMALL, backend="cupy")
    repeated(plan, image, out, 1)
    before = fake.live, len(torch.taken)
    repeated(plan, image, out, 1)
    assert fake.live == before[0]
    assert len(torch.taken) > before[1]
    image.array[...] = fake.asarray(other.astype("f2"))
    expected = plan_of(other)(other.astype("f4")).astype("f2")
    fake.cuda.Device().synchronize()
    fake.log.clear()
    repeated(plan, image, out)
    assert fake.count("graph") == 3
    assert fake.launches() == []
    np.testing.assert_allclose(out.numpy(), expected, atol=0.2)


def test_memory_of_a_graph_is_that_of_the_caller(fake):
    """Types that kernels do not support are converted, in new memory."""
    pool, streams = fake.cuda.MemoryPool(), []

    def allocated(size):
        streams.append(fake.cuda.get_current_stream().ptr)
        return pool.malloc(size)

    first = images()[0].astype("f2")
    image, out = fake.asarray(first), fake.asarray(np.zeros_like(first))
    plan = BM3DPlan(first.shape, "float16", sigma=20, profile=SMALL, backend="cupy")
    stream, before = fake.cuda.Stream(non_blocking=True), fake.live
    with fake.cuda.using_allocator(allocated), stream:
        repeated(plan, image, out)
        expected = plan(image).get(stream=stream)
        np.testing.assert_array_equal(out.get(stream=stream), expected)
    assert fake.live == before
    assert len(plan._replays._graphs) == 1
    assert set(streams) == {stream.ptr}


def test_a_call_on_another_gpu_is_repeated(fake):
    first, other = images()
    with fake.cuda.Device(1):
        image, out = fake.asarray(first), fake.asarray(np.zeros_like(first))
    plan = plan_of(image)
    repeated(plan, image, out)
    with fake.cuda.Device(1):
        image[...] = fake.asarray(other)
        expected = plan_of(image)(image).get()
    fake.log.clear()
    repeated(plan, image, out)
    assert fake.count("graph") == 3
    assert fake.launches() == []
    assert fake.device == 0
    with fake.cuda.Device(1):
        np.testing.assert_allclose(out.get(), expected, atol=1e-3)


def test_a_plan_keeps_few_graphs(fake, monkeypatch):
    monkeypatch.setattr(_graphs, "MOST_GRAPHS", 1)
    monkeypatch.setattr(_graphs, "MOST_KEYS", 2)
    first, other = images()
    out = [fake.asarray(np.zeros_like(first)) for _ in range(4)]
    image = fake.asarray(other)
    plan = plan_of(image)
    expected = plan(image).get()
    for each in out * 3:
        plan(image, out=each)
        np.testing.assert_allclose(each.get(), expected, atol=1e-3)
    assert len(plan._replays._graphs) <= 1


def test_calls_that_cannot_be_recorded_run(fake, monkeypatch):
    image, out = fake.asarray(images()[0]), fake.asarray(np.zeros((20, 23), np.float32))
    plan = plan_of(image)
    expected = plan(image).get()

    def failing(cupy, run):
        raise RuntimeError("not recorded")

    monkeypatch.setattr(_graphs, "_recorded", failing)
    repeated(plan, image, out, 4)
    np.testing.assert_allclose(out.get(), expected, atol=1e-3)
    assert not plan._replays._graphs


def test_masks_and_residuals_are_not_recorded(fake):
    image = fake.asarray(images()[0])
    mask = np.zeros(image.shape, bool)
    mask[3, 4] = True
    assert plan_of(image, mask=mask)._replays is None
    assert plan_of(np.zeros((20, 23), np.float32), sigma=None)._replays is None
