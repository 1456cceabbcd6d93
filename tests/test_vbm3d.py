"""V-BM3D: videos against the specification, as arrays and as streams."""

import numpy as np
import pytest
from support.clips import SMALL, runaway, striped, video
from support.images import assert_close, noisy, psnr, scene
from support.stages import image_stage

from fastrestore import bm3d, vbm3d
from fastrestore._arrays.scenes import thumbnail
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select

EXECUTION = Execution(2)


@pytest.mark.parametrize(
    "changes",
    [
        {"group_basic": 8},
        {"trails_basic": 2, "predict_basic": 2, "group_basic": 32},
        {"trails_basic": 3, "predict_basic": 4, "static_basic": 0.0, "radius_basic": 7},
        {"static_basic": 300.0, "group_basic": 16},
        {"block_basic": 5, "step_basic": 5, "transform_basic": "dct", "predict_basic": 0},
        {"match_basic": 0.0, "match_noise_basic": 0.0},
    ],
)
def test_match_lists_are_identical(engine, changes):
    _, frames = video(5, 30, 37)
    stage = image_stage(SMALL.replace(**changes), "basic", PlaneNoise.white(20.0), 255.0)
    shape, slots = (5, 1, 30, 37), [3, 4, 0, 1, 2]
    windows = [select(name).video_stage(shape, stage, EXECUTION) for name in ("numpy", engine)]
    for window in windows:
        for slot, frame in zip(slots, frames, strict=True):
            window.put(slot, frame, frame[None], None)
    for center in (0, 2, 4):
        expected, found = (window.matches(slots, center) for window in windows)
        np.testing.assert_array_equal(found.sizes, expected.sizes)
        np.testing.assert_array_equal(found.offsets, expected.offsets)
        np.testing.assert_array_equal(found.rows, expected.rows)


def test_motion_is_limited_to_the_range_of_a_code(engine):
    frames, stage = runaway()
    windows = [
        select(name).video_stage((9, 1, 8, 2400), stage, EXECUTION) for name in ("numpy", engine)
    ]
    for window in windows:
        for slot, frame in enumerate(frames):
            window.put(slot, frame, frame[None], None)
    expected, found = (window.matches(list(range(9)), 0) for window in windows)
    np.testing.assert_array_equal(found.offsets, expected.offsets)
    assert expected.offsets[0, 0, :, 1].max() == 63 * 7 * 8 // 2  # the last but one


def test_equal_frames_come_in_order_of_time(engine):
    stage = image_stage(SMALL.replace(static_basic=0.0), "basic", PlaneNoise.white(1.0), 1.0)
    for name in ("numpy", engine):
        window = select(name).video_stage((3, 1, 16, 16), stage, EXECUTION)
        for slot in range(3):
            window.put(slot, *(np.full((16, 16), 7, np.float32)[s] for s in (..., None)), None)
        offsets = window.matches([0, 1, 2], 1).offsets[0, 0]
        assert tuple(offsets[0]) == (0, 0)
        assert (offsets[1:, 0] < 0).all()  # the frame before


@pytest.mark.parametrize("options", [{}, {"channel_axis": -1}, {"channel_axis": 1}])
def test_the_specification_is_met(options):
    clean, frames = video(5)
    if options:
        turned = [frames, frames[:, ::-1], frames[:, :, ::-1]]
        frames = np.stack(turned, axis=options["channel_axis"])
    results = [
        vbm3d(frames, 20, radius=2, profile=SMALL, backend=name, **options)
        for name in ("numpy", "numba")
    ]
    assert results[1].shape == frames.shape
    assert_close(results[1], results[0], 255)
    if not options:
        single = np.array([bm3d(frame, 20, profile=SMALL) for frame in frames])
        assert psnr(clean, results[1]) > psnr(clean, single) + 1


@pytest.mark.parametrize("count", [1, 2, 5, 12])
@pytest.mark.parametrize("radius", [0, 1, 3])
def test_a_stream_equals_the_array(count, radius):
    _, frames = video(count)
    expected = vbm3d(frames, 20, radius=radius, profile=SMALL)
    assert expected.shape == frames.shape
    assert np.isfinite(expected).all()
    stream = vbm3d(iter(frames), 20, radius=radius, profile=SMALL)
    np.testing.assert_array_equal(np.array(list(stream)), expected)


def test_radius_0_equals_bm3d():
    _, frames = video(2)
    expected = np.array([bm3d(f, 20, profile=SMALL, data_range=200.0) for f in frames])
    result = vbm3d(frames, 20, radius=0, profile=SMALL, data_range=200.0)
    assert_close(result, expected, 255)


def test_streams_read_ahead_by_the_radius():
    _, frames = video(30, 20, 24)
    taken = []

    def camera():
        for number, frame in enumerate(frames):
            taken.append(number)
            yield frame

    stream = vbm3d(camera(), 20, radius=2, profile=SMALL)
    assert taken == []
    for number in range(10):
        next(stream)
        assert len(taken) <= number + 4 * 2 + 2
    stream.close()  # a consumer that stops early
    assert len(taken) < 20


def test_scene_cuts_separate_frames():
    _, first = video(5)
    second = 255 - first[:, ::-1, ::-1]
    loose = SMALL.replace(match_basic=1e5, match_final=1e5, group_basic=64)  # anything matches
    options = {"profile": loose, "radius": 2, "data_range": 255.0}
    both = vbm3d(np.concatenate([first, second]), 20, **options)
    apart = [vbm3d(part, 20, **options) for part in (first, second)]
    np.testing.assert_array_equal(both, np.concatenate(apart))
    mixed = vbm3d(np.concatenate([first, second]), 20, scene_cuts=False, **options)
    assert (mixed != both).any()


def test_equal_frames_have_the_largest_gain():
    clean = scene(40, 44)
    frames = noisy(np.array([clean] * 9), 25)
    result = vbm3d(frames, 25, profile=SMALL.replace(group_basic=16, group_final=16))
    single = bm3d(frames[4], 25)
    assert psnr(clean, result[4]) > psnr(clean, single) + 2.5


def test_motion_is_followed():
    """Motion of seven pixels per frame; only the first step has a large search window."""
    clean = np.array([scene(48, 140)[:, 7 * k : 7 * k + 60] for k in range(7)])
    frames = noisy(clean, 25)
    wide = SMALL.replace(predict_basic=8, predict_final=8, follow_basic=1, follow_final=1)
    near = wide.replace(predict_basic=1, predict_final=1)
    scores = [
        psnr(clean[3], vbm3d(frames, 25, radius=3, profile=p, data_range=255.0)[3])
        for p in (wide, near)
    ]
    assert scores[0] > scores[1] + 1


def test_kinds_axes_and_types():
    _, frames = video(4)
    expected = vbm3d(frames, 20, radius=1, profile=SMALL)
    small = np.clip(frames, 0, 255).astype(np.uint8)
    whole = vbm3d(small, 20, radius=1, profile=SMALL)
    assert whole.dtype == np.float32
    each = list(vbm3d(list(small), 20, radius=1, profile=SMALL))
    np.testing.assert_array_equal(np.array(each), whole)
    assert vbm3d(frames.astype("f8"), 20, radius=1, profile=SMALL).dtype == np.float64
    last = vbm3d(np.moveaxis(frames, 0, -1), 20, time_axis=-1, radius=1, profile=SMALL)
    np.testing.assert_array_equal(np.moveaxis(last, -1, 0), expected)
    color = np.stack([frames] * 3, axis=-1)
    first = vbm3d(np.moveaxis(color, -1, 0), 20, time_axis=1, channel_axis=0, radius=1,
                  profile=SMALL)  # fmt: skip
    by_frame = vbm3d(iter(color), 20, channel_axis=-1, radius=1, profile=SMALL)
    np.testing.assert_array_equal(np.moveaxis(first, 0, -1), np.array(list(by_frame)))
    np.testing.assert_array_equal(vbm3d(frames, 0), frames)
    levels = vbm3d(color, [20, 20, 0], channel_axis=-1, radius=1, profile=SMALL)
    np.testing.assert_array_equal(levels[..., 2], color[..., 2])
    assert np.isfinite(vbm3d(frames, radius=1, profile=SMALL)).all()  # sigma estimated
    assert np.isfinite(vbm3d(frames, 20, radius=1, profile=SMALL, stage="basic")).all()
    assert list(vbm3d([], 20)) == []


def test_workers_do_not_change_results():
    _, frames = video(5)
    results = [vbm3d(frames, 20, radius=2, profile=SMALL, workers=n) for n in (1, 2, 3)]
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


def test_frames_that_threads_complete_together(monkeypatch):
    """Sums of short videos are gathered and divided on one thread, those of large ones on more."""
    numba = pytest.importorskip("fastrestore.backends.numba.vbm3d")
    frames = np.random.default_rng(0).normal(0, 20, (3, 24, 150)).astype(np.float32)
    options = {"radius": 1, "profile": SMALL, "workers": 2, "backend": "numba"}
    expected = vbm3d(frames, 20, **options)
    monkeypatch.setattr(numba, "GATHERED", 1.0)
    monkeypatch.setattr(numba, "DIVIDED", 1.0)
    np.testing.assert_array_equal(vbm3d(frames, 20, **options), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_thumbnails_are_means_over_blocks_and_channels(channels):
    frame = np.random.default_rng(0).normal(100, 20, (24, 19, channels)).astype(np.float32)
    planes = np.moveaxis(frame, -1, 0)
    means = frame[:, :16].reshape(3, 8, 2, 8, channels).mean((1, 3, 4), dtype=np.float64)
    np.testing.assert_allclose(thumbnail(planes), means, rtol=1e-14)
    np.testing.assert_array_equal(thumbnail(planes), thumbnail(np.ascontiguousarray(planes)))


VIDEO = np.zeros((3, 9, 9), np.float32)


@pytest.mark.parametrize(
    ("error", "message", "arguments", "options"),
    [
        (TypeError, "frames must be an array or an iterable of arrays, got 7", (7, 1), {}),
        (TypeError, "frames must be an array .* got 'video.mp4'", ("video.mp4", 1), {}),
        (ValueError, r"frames must have 3 axes, got shape \(9, 9\)", (VIDEO[0], 1), {}),
        (ValueError, "frames is empty", (VIDEO[:0], 1), {}),
        (ValueError, "time_axis=3 is not an axis", (VIDEO, 1), {"time_axis": 3}),
        (ValueError, "are the same axis", (VIDEO[None], 1), {"channel_axis": 0}),
        (
            TypeError,
            "radius must be a whole number from 0 to 16, got 1.5",
            (VIDEO, 1),
            {"radius": 1.5},
        ),
        (
            ValueError,
            "radius must be a whole number from 0 to 16, got 17",
            (VIDEO, 1),
            {"radius": 17},
        ),
        (TypeError, "scene_cuts must be True or False, got 3", (VIDEO, 1), {"scene_cuts": 3}),
        (ValueError, "is not supported for videos", (VIDEO, 1), {"profile": "refilter"}),
        (ValueError, "sigma of a video must be .* not a map", (VIDEO, np.arange(9.0)), {}),
        (ValueError, "sigma must be a number of 0 or more", (VIDEO, -1), {}),
    ],
)
def test_bad_input(error, message, arguments, options):
    with pytest.raises(error, match=message):
        vbm3d(*arguments, **options)


def test_frames_that_change_are_named():
    good = noisy(scene(16, 20), 5)
    for bad, error, message in (
        (good[:, :-1], ValueError, r"frame 3 has shape \(16, 19\) and type float64, the first has"),
        (good.astype("f4"), ValueError, "frame 3 has .* type float32, the first has .* float64"),
        (good * np.where(good == good.max(), np.nan, 1), ValueError, "frame 3 has values that are"),
        ("image", TypeError, "frame 3 must be an array, got str 'image'"),
    ):
        with pytest.raises(error, match=message):
            list(vbm3d([good, good, good, bad], 5, radius=1, profile=SMALL))


def test_match_lists_of_correlated_noise(engine):
    clean, _ = video(5, 30, 37)
    frames, psd = striped(clean)
    frames = np.round(frames).astype(np.float32)
    power = psd / psd.mean()
    noise = PlaneNoise(np.array([20.0]), spectrum=power[None])
    stage = image_stage(SMALL, "basic", noise, 255.0, reach=16)
    shape, slots = (5, 1, 30, 37), [3, 4, 0, 1, 2]
    windows = [select(name).video_stage(shape, stage, EXECUTION) for name in ("numpy", engine)]
    for window in windows:
        for slot, frame in zip(slots, frames, strict=True):
            window.put(slot, frame, frame[None], None)
    expected, found = (window.matches(slots, 2) for window in windows)
    # Distances are no whole numbers: rounding may turn neighbors about
    assert (found.offsets == expected.offsets).mean() > 0.99
    same_frame = (np.abs(found.offsets[..., 0]) < 20) & (np.arange(8) > 0)
    near = same_frame & (np.abs(found.offsets[..., 1]) < 4) & (found.offsets[..., 0] == 0)
    plain = image_stage(SMALL, "basic", PlaneNoise.white(20.0), 255.0)
    white = select(engine).video_stage(shape, plain, EXECUTION)
    for slot, frame in zip(slots, frames, strict=True):
        white.put(slot, frame, frame[None], None)
    others = white.matches(slots, 2).offsets
    lined = (others[..., 0] == 0) & (np.abs(others[..., 1]) < 4) & (np.arange(8) > 0)
    assert near.sum() < lined.sum() / 2  # blocks are not matched for the noise they share


def test_correlated_noise(engine):
    clean, _ = video(5, 40, 44)
    frames, psd = striped(clean)
    denoised, expected = (
        vbm3d(frames, psd=psd, profile=SMALL, radius=2, backend=name) for name in (engine, "numpy")
    )
    assert_close(denoised, expected, 255)
    assert psnr(clean, denoised) > psnr(clean, vbm3d(frames, 20, profile=SMALL, radius=2)) + 1.5


def test_a_psd_in_other_units_warns():
    """Only bm3d and bm4d warned that the noise was negligible."""
    frames, _ = striped(np.zeros((3, 24, 24)) + 50)
    with pytest.warns(UserWarning, match="gives noise of sigma=0.04.*, negligible"):
        vbm3d(frames * 100, psd=np.ones((24, 24)), profile=SMALL)


def test_psd_of_white_noise_equals_sigma():
    _, frames = video(4)
    psd = np.full(frames.shape[1:], 400.0 * frames[0].size)
    np.testing.assert_array_equal(
        vbm3d(frames, psd=psd, profile=SMALL), vbm3d(frames, 20, profile=SMALL)
    )


def test_spectra_of_channels():
    clean, _ = video(4, 30, 32)
    frames, psd = striped(clean)
    colors = np.stack([frames, frames[::-1], 255 - frames], axis=1)
    one = vbm3d(colors, psd=psd, channel_axis=1, profile=SMALL)
    three = vbm3d(colors, psd=np.stack([psd] * 3), channel_axis=1, profile=SMALL, colorspace="opp")
    np.testing.assert_allclose(three, one, atol=0.01)


def test_sigma_and_psd_together_raise():
    _, frames = video(3)
    with pytest.raises(ValueError, match="specify the noise once"):
        vbm3d(frames, 20, psd=frames[0])
    with pytest.raises(ValueError, match="psd must have the shape of the image"):
        vbm3d(frames, psd=frames[0, :5])


def test_progress():
    _, frames = video(4)
    seen = []
    vbm3d(frames, 20, profile=SMALL, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(25, 100), (50, 100), (75, 100), (100, 100)]
    with pytest.raises(ValueError, match="progress is for arrays"):
        vbm3d(iter(frames), 20, progress=True)


def test_searches_shorter_than_a_block(engine):
    """Noise of blocks that no group combines is left out; frames are not."""
    frames, psd = striped(video(3, 20, 22)[0])
    radii = {"radius_basic": 1, "radius_final": 1, "predict_basic": 1, "predict_final": 1}
    options = {"psd": psd, "radius": 1, "profile": SMALL.replace(**radii)}
    results = [vbm3d(frames, **options, backend=name) for name in (engine, "numpy")]
    assert np.isfinite(results).all()
    assert_close(results[0], results[1], 255)


def test_no_warning_of_units_after_a_black_opening(recwarn):
    clean = scene()[:40, :48]
    frames = np.stack([0 * clean, noisy(clean, 20), noisy(clean, 20, seed=1)])
    vbm3d(frames, 20)
    assert not recwarn.list
