"""Calls of a plan that are repeated by one launch of a CUDA graph."""

import numpy as np
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
