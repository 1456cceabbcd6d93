"""V-BM3D as CUDA kernels, executed on the CPU and, where there is one, on a GPU."""

from dataclasses import replace

import numpy as np
import pytest
from support.clips import SMALL, runaway, striped, video
from support.images import assert_close
from support.stages import image_stage
from support.video_kernels import SLOTS, white, windows

from fastrestore import NoiseSpec, PoissonGaussian, vbm3d
from fastrestore._noise.planes import PlaneNoise

BRIGHTNESS = np.linspace(0, 255, 9)[None]
CURVED = replace(NoiseSpec.white(20.0), brightness=BRIGHTNESS, levels=np.sqrt(4 + 3 * BRIGHTNESS))


def assert_same(cupy, frames, stage, centers=(0, 2, 4), slots=SLOTS):
    both = windows(cupy, frames, stage, slots)
    for center in centers:
        expected, found = (window.matches(slots, center) for window in both)
        np.testing.assert_array_equal(found.sizes.get(), expected.sizes)
        np.testing.assert_array_equal(found.offsets.get(), expected.offsets)
        np.testing.assert_array_equal(found.rows.get(), expected.rows)


@pytest.mark.parametrize(
    "changes",
    [
        {"group_basic": 8},
        {"trails_basic": 2, "predict_basic": 2, "group_basic": 32},
        {"trails_basic": 3, "predict_basic": 4, "static_basic": 0.0, "radius_basic": 7},
        {"static_basic": 300.0, "group_basic": 16},
        {"block_basic": 5, "step_basic": 5, "transform_basic": "dct", "predict_basic": 0},
        {"match_basic": 0.0, "match_noise_basic": 0.0},
        {"group_basic": 1},
        {"group_basic": 64, "match_basic": 1e5, "trails_basic": 8},
    ],
)
def test_match_lists_are_identical(cupy, changes):
    _, frames = video(5, 30, 37)
    assert_same(cupy, frames, white(changes))


@pytest.mark.parametrize("shape", [(8, 8), (8, 41), (33, 9)])
def test_small_and_flat_frames(cupy, shape):
    slots = [0, 1, 2]
    _, frames = video(3, *shape)
    assert_same(cupy, frames, white({"group_basic": 32}), (0, 1, 2), slots)
    for static in (0.0, 30.0):  # equal distances: order of frame, row and column
        flat, stage = np.full((3, *shape), 7, np.float32), white({"static_basic": static})
        assert_same(cupy, flat, stage, (0, 1, 2), slots)


def test_wide_windows_are_searched_in_bands(cupy):
    _, frames = video(3, 60, 64)
    changes = {"predict_basic": 25, "radius_basic": 30, "follow_basic": 20, "trails_basic": 2}
    stage = replace(white({**changes, "group_basic": 64}), step=25, steps=(25, 25))
    assert_same(cupy, frames, stage, (0, 1, 2), [2, 0, 1])


def test_motion_is_limited_to_the_range_of_a_key(cupy):
    assert_same(cupy, *runaway(), (0, 8), list(range(9)))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_order_of_threads_does_not_change_results(fake, seed):
    fake.seed = seed
    _, frames = video(5, 26, 29)
    assert_same(fake, frames, white({"trails_basic": 2, "group_basic": 32}))


def test_correlated_noise(cupy):
    clean, _ = video(5, 30, 37)
    frames, psd = striped(clean)
    power = psd / psd.mean()
    noise = PlaneNoise(np.array([20.0]), spectrum=power[None])
    stage = image_stage(SMALL, "basic", noise, 255.0, reach=16)
    stage.match_bias[:] = np.round(stage.match_bias)
    trails = stage.trails._replace(match_bias=round(stage.trails.match_bias))
    assert_same(cupy, np.round(frames).astype(np.float32), replace(stage, trails=trails))


CALLS = {
    "plain": {"sigma": 20},
    "basic": {"sigma": 20, "stage": "basic"},
    "range": {"sigma": 20, "data_range": 200.0},
    "alone": {"sigma": 20, "radius": 0},
    "unknown": {},
    "time last": {"sigma": 20, "time_axis": -1},
    "channels": {"sigma": (20, 20, 0), "channel_axis": 1},
    "colors": {"sigma": 20, "channel_axis": -1, "scene_cuts": False},
    "psd": {"psd": striped(video(5, 26, 29)[0])[1]},
    "no noise": {"sigma": 0},
}


@pytest.mark.parametrize("name", CALLS)
def test_whole_call(cupy, name):
    options = {"profile": SMALL, "radius": 2, **CALLS[name]}
    _, frames = video(6, 26, 29)
    if "channel_axis" in options:
        frames = np.stack([frames, frames[:, ::-1], 255 - frames], options["channel_axis"])
    if "time_axis" in options:
        frames = np.moveaxis(frames, 0, -1)
    expected = vbm3d(frames, backend="numpy", **options)
    host = vbm3d(frames, backend="cupy", **options)
    there = vbm3d(cupy.asarray(np.ascontiguousarray(frames)), **options)
    assert isinstance(host, np.ndarray)
    assert isinstance(there, cupy.ndarray)
    assert there.dtype == host.dtype == expected.dtype
    assert_close(host, expected, 255)
    assert_close(there.get(), expected, 255)
    if name == "channels":
        np.testing.assert_array_equal(there.get()[:, 2], frames[:, 2])


def test_streams_and_types(cupy):
    _, frames = video(7, 20, 22)
    small = np.clip(frames, 0, 255).astype(np.uint8)
    for kind in ("u1", "f2", "f8"):
        expected = vbm3d(small.astype(kind), 20, radius=1, profile=SMALL, backend="numpy")
        stream = vbm3d((cupy.asarray(f.astype(kind)) for f in small), 20, radius=1, profile=SMALL)
        found = list(stream)
        assert all(frame.dtype == expected.dtype for frame in found)
        found = np.array([frame.get() for frame in found], np.float64)
        assert_close(found, expected, 1000 if kind == "f2" else 255)


def test_cuts_are_found(cupy):
    _, first = video(5, 24, 26)
    both = np.concatenate([first[:3], 255 - first[:3, ::-1, ::-1]])
    loose = SMALL.replace(match_basic=1e5, match_final=1e5, group_basic=64)
    options = {"profile": loose, "radius": 2, "data_range": 255.0}
    expected = vbm3d(both, 20, backend="numpy", **options)
    assert_close(vbm3d(cupy.asarray(both), 20, **options).get(), expected, 255)


def test_explicit_host_backend(cupy):
    _, frames = video(4, 20, 22)
    expected = vbm3d(frames, 20, radius=1, profile=SMALL, backend="numba")
    there = vbm3d(cupy.asarray(frames), 20, radius=1, profile=SMALL, backend="numba")
    np.testing.assert_array_equal(there.get(), expected)


def test_only_thumbnails_are_transferred(fake):
    _, frames = video(1, 20, 22)
    there = fake.asarray(np.concatenate([frames + k for k in range(6)]))  # no cuts
    options = {"radius": 1, "profile": SMALL, "data_range": 255.0}
    for _ in range(2):
        fake.log.clear()
        vbm3d(there, 20, scene_cuts=False, **options)
    assert fake.count("d2h") == fake.count("load") == fake.count("sync") == 0
    launched = fake.launches()
    assert launched.count("vbm3d_match") == 12
    assert launched.count("bm3d_basic_rows") == launched.count("bm3d_final_rows") == 6
    fake.log.clear()
    vbm3d(there, 20, **options)
    assert fake.count("d2h") == 6


def test_repeated_frames_are_filtered_once_if_cuts_are_detected(fake):
    """Only frames with equal thumbnails are compared, which waits for the GPU once more."""
    _, frames = video(4, 20, 22)
    three = fake.asarray(np.repeat(frames, 3, 0))
    options = {"radius": 1, "profile": SMALL, "data_range": 255.0}
    expected = vbm3d(fake.asarray(frames), 20, **options).get()
    fake.log.clear()
    found = vbm3d(three, 20, **options)
    assert fake.launches().count("vbm3d_match") == 8
    assert fake.count("d2h") == 12 + 8
    np.testing.assert_array_equal(found.get(), np.repeat(expected, 3, 0))
    fake.log.clear()
    vbm3d(three, 20, scene_cuts=False, **options)
    assert fake.launches().count("vbm3d_match") == 24
    assert fake.count("d2h") == 0


def test_memory_does_not_grow_with_length(fake):
    def peak(count):
        fake.peak = fake.live
        _, frames = video(3, 16, 17)
        for _ in vbm3d((fake.asarray(frames[k % 3]) for k in range(count)), 20, radius=1):
            pass
        return fake.peak

    peak(8)
    assert peak(30) <= peak(10)


def test_frames_on_two_devices_raise(fake):
    _, frames = video(2, 16, 17)
    mixed = [fake.asarray(frames[0]), frames[1]]
    with pytest.raises(ValueError, match="frame 1 is on the host and the first on GPU 0; move one"):
        list(vbm3d(mixed, 20, profile=SMALL))


def test_too_many_pixels_raise(fake, monkeypatch):
    monkeypatch.setattr("fastrestore.backends.cupy.vbm3d.MOST_PIXELS", 1000)
    _, frames = video(3, 16, 17)
    with pytest.raises(MemoryError, match="9 frames of 16 x 17 pixels are too many"):
        vbm3d(fake.asarray(frames), 20)


def test_few_photons(cupy):
    counts = np.random.default_rng(0).poisson(video(3, 24, 28)[0] / 90).astype(np.float32)
    given = {"noise": PoissonGaussian(1.0), "radius": 1, "profile": SMALL}
    found = vbm3d(cupy.asarray(counts), scene_cuts=False, **given).get()
    assert_close(found, vbm3d(counts, scene_cuts=False, **given), 3)


@pytest.mark.parametrize("noise", [CURVED, PoissonGaussian(2.0, 3.0), "white", None])
def test_frames_are_stabilized_on_the_gpu(cupy, noise):
    _, frames = video(3, 26, 30)
    options = {"noise": noise, "radius": 1, "profile": SMALL, "data_range": 255.0}
    result = vbm3d(cupy.asarray(frames), **options)
    assert isinstance(result, cupy.ndarray)
    assert_close(result.get(), vbm3d(frames, **options), 255)
