"""Streams and memory of calls with tensors of PyTorch; on the shim only streams order work."""

import gc

import numpy as np
import pytest
from support import faketorch
from support.clips import video
from support.images import noisy, scene
from support.volumes import VOLUME, cells

from fastrestore import BM3DPlan, Profile, bm3d, bm4d, denoise, vbm3d

SMALL = Profile(
    radius_basic=3, radius_final=3, group_basic=4, group_final=4, step_basic=4, step_final=4
)
FILM = Profile.named("video").replace(
    radius_basic=3, radius_final=3, predict_basic=2, predict_final=2
)
SAME = {"profile": SMALL, "deterministic": True}


def integer(height=20, width=23, seed=0):
    return np.round(np.clip(noisy(scene(height, width, seed), 20), 0, 255)).astype(np.float32)


@pytest.fixture
def torch(fake, monkeypatch):
    return faketorch.install(monkeypatch, fake)


CALLS = {
    "bm3d": (integer, lambda image: bm3d(image, 20, **SAME)),
    "bm4d": (lambda: cells(6, 9, 10), lambda volume: bm4d(volume, 10, profile=VOLUME)),
    "vbm3d": (
        lambda: video(3, 20, 22)[1],
        lambda frames: vbm3d(frames, 20, profile=FILM, radius=1),
    ),
    "denoise": (integer, lambda image: denoise(image, 20, profile=SMALL)),
}


@pytest.mark.parametrize("name", CALLS)
def test_results_are_ready_on_the_stream_of_torch(fake, torch, name):
    make, restore = CALLS[name]
    expected = restore(fake.asarray(make())).get()
    result = restore(torch.tensor(make()))
    assert isinstance(result, torch.Tensor)
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-2)


def test_frames_are_restored_on_the_stream_of_torch(fake, torch):
    options = {"profile": FILM, "radius": 1}
    expected = vbm3d(fake.asarray(video(3, 20, 22)[1]), 20, **options).get()
    frames = (torch.tensor(frame) for frame in video(3, 20, 22)[1])
    before = fake.cuda.get_current_stream()
    for result, right in zip(vbm3d(frames, 20, **options), expected, strict=True):
        np.testing.assert_allclose(result.numpy(), right, atol=1e-2)
        assert fake.cuda.get_current_stream() == before  # while the caller uses a frame


def test_nothing_is_waited_for(fake, torch):
    image = torch.tensor(integer())
    bm3d(image, 20, profile=SMALL)
    fake.log.clear()
    bm3d(image, 20, profile=SMALL)
    for kind in ("wait", "h2d", "d2h", "sync"):
        assert fake.count(kind) == 0, kind


@pytest.mark.parametrize("kinds", ["tt", "tc", "ct", "cc"])
def test_out_is_ready_on_the_stream_of_its_owner(fake, torch, kinds):
    make = {"t": torch.tensor, "c": fake.asarray}
    expected = bm3d(fake.asarray(integer()), 20, **SAME).get()
    plan = BM3DPlan((20, 23), sigma=20, backend="cupy", **SAME)
    for _ in range(2):  # the first call waits for its tables
        image, out = make[kinds[0]](integer()), make[kinds[1]](0 * integer())
        fake.log.clear()
        assert plan(image, out=out) is out
        result = out.numpy() if kinds[1] == "t" else out.get()
        np.testing.assert_array_equal(result, expected)
    assert (fake.count("wait") > 0) == (kinds in ("tc", "ct"))


def test_other_arrays_are_waited_for(fake, torch):
    expected = bm3d(fake.asarray(integer()), 20, pilot=fake.asarray(integer(seed=1)), **SAME)
    pilot = fake.asarray(integer(seed=1)) + 0  # on the stream of CuPy
    result = bm3d(torch.tensor(integer()), 20, pilot=pilot, **SAME)
    np.testing.assert_array_equal(result.numpy(), expected.get())


def test_a_plan_can_be_captured_in_a_graph_of_torch(fake, torch):
    plan = BM3DPlan((20, 23), sigma=20, backend="cupy", **SAME)
    image, out = torch.tensor(integer()), torch.tensor(0 * integer())
    plan(image)
    expected = bm3d(fake.asarray(integer(seed=3)), 20, **SAME).get()
    torch.current.begin_capture()
    plan(image, out=out)
    graph = torch.current.end_capture()
    with torch.current:
        image.array[...] = fake.asarray(integer(seed=3))
    graph.launch(torch.current)
    np.testing.assert_array_equal(out.numpy(), expected)


def test_memory_comes_from_torch(fake, torch):
    image = torch.tensor(integer())
    result = bm3d(image, 20, profile=SMALL)
    sizes, devices, streams, _ = zip(*torch.taken.values(), strict=True)
    assert set(devices) == {0}
    assert set(streams) == {torch.current.ptr}
    assert image.array.nbytes in sizes
    del result
    gc.collect()
    assert len(torch.freed) >= 3


def test_memory_of_torch_runs_out(fake, torch):
    image = torch.tensor(integer())
    bm3d(image, 20, profile=SMALL)
    torch.out_of_memory = True
    with pytest.raises(MemoryError, match=r"CUDA out of memory|free memory"):
        bm3d(image, 20, profile=SMALL)


def test_the_gpu_of_a_tensor_is_used(fake, monkeypatch):
    with fake.cuda.Device(1):
        torch = faketorch.install(monkeypatch, fake)
        image = torch.tensor(integer())
    assert bm3d(image, 20, profile=SMALL).device.index == 1
    assert {device for _, device, _, _ in torch.taken.values()} == {1}
    assert fake.device == 0


def test_tensors_without_cupy(fake, monkeypatch):
    torch = faketorch.install(monkeypatch, fake)
    image = torch.tensor(integer())

    def missing():
        raise ModuleNotFoundError("No module named 'cupy'")

    monkeypatch.setattr("fastrestore._arrays.interop.load_cupy", missing)
    with pytest.raises(TypeError, match=r"image is on device 'cuda:0', which needs CuPy"):
        bm3d(image, 20)
