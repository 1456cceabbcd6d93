"""Videos and bursts with equal frames, and generators that yield the same array again."""

import numpy as np
import pytest
from support.clips import SMALL, striped, video
from support.commandline import works
from support.images import noisy, psnr, scene

from fastrestore import denoise_burst, vbm3d
from fastrestore._io.images import read, write
from fastrestore._io.picture import Picture
from fastrestore._io.planes import Frame, Layout
from fastrestore.cli.video_planes import PlaneNoise, denoise

PULLDOWN = (3, 2, 3, 2, 3, 2)
KINDS = {"array": np.asarray, "list": list, "generator": iter}


def reused(frames):
    """Yield one array again and again, with the pixels of each frame."""
    memory = np.empty_like(frames[0])
    for frame in frames:
        memory[...] = frame
        yield memory
        memory[...] = 0


@pytest.mark.parametrize("kind", [*KINDS, "reused"])
@pytest.mark.parametrize("runs", [3, PULLDOWN, (1, 1, 16, 1, 1, 4)], ids=str)
def test_repeated_frames_are_filtered_once(kind, runs):
    clean, frames = video()
    once = vbm3d(frames, 20, radius=1, profile=SMALL)
    repeated = (KINDS | {"reused": reused})[kind](np.repeat(frames, runs, 0))
    result = np.stack(list(vbm3d(repeated, 20, radius=1, profile=SMALL)))
    np.testing.assert_array_equal(result, np.repeat(once, runs, 0))
    single = np.concatenate([vbm3d(frame[None], 20, profile=SMALL) for frame in frames])
    assert psnr(np.repeat(clean, runs, 0), result) > psnr(clean, single) + 1


@pytest.mark.parametrize("radius", [0, 1, 4])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stage": "basic"},
        {"sigma": None},
        {"sigma": 0},
        {"scene_cuts": False},
        {"data_range": 255.0, "workers": 3},
        {"psd": True},
        {"channel_axis": 0},
        {"channel_axis": -1, "sigma": (20, 0, 10)},
    ],
    ids=str,
)
@pytest.mark.parametrize("source", [iter, reused])
def test_streams_with_any_options(radius, options, source):
    frames = video(5, 26, 30)[1].astype(np.int16)
    options = {"sigma": 20, **options, "radius": radius, "profile": SMALL}
    if options.pop("psd", False):
        options |= {"psd": striped(frames)[1], "sigma": None}
    if "channel_axis" in options:
        colors = [frames, frames[:, ::-1], 255 - frames]
        frames = np.stack(colors, options["channel_axis"] % 4 or 1)
    once = np.stack(list(vbm3d(iter(frames), **options)))
    runs = (2, 3, 1, 1, 4)
    result = np.stack(list(vbm3d(source(np.repeat(frames, runs, 0)), **options)))
    np.testing.assert_array_equal(result, np.repeat(once, runs, 0))
    assert result.dtype == once.dtype == np.float32


@pytest.mark.parametrize("sigma", [20, (20, 0, 10)], ids=str)
def test_a_generator_may_use_the_same_memory_again(sigma):
    """Pixels without noise are copied from frames that were read earlier."""
    frames = np.stack([video(5, 26, 30, seed)[1] for seed in (10, 20, 30)], 1)
    options = {"sigma": sigma, "channel_axis": 0, "radius": 1, "profile": SMALL}
    expected = list(vbm3d(list(frames), **options))
    np.testing.assert_array_equal(list(vbm3d(reused(frames), **options)), expected)


@pytest.mark.parametrize("source", [np.asarray, iter, reused])
def test_repeated_frames_with_a_mask(source):
    _, frames = video(5, 26, 30)
    valid = np.random.default_rng(2).uniform(size=frames[0].shape) > 0.1
    frames = np.where(valid, frames, np.nan)
    options = {"radius": 1, "profile": SMALL, "mask": valid}
    once = np.stack(list(vbm3d(iter(frames), 20, **options)))
    result = np.stack(list(vbm3d(source(np.repeat(frames, 3, 0)), 20, **options)))
    np.testing.assert_array_equal(result, np.repeat(once, 3, 0))
    assert (np.isnan(result) == ~valid).all()


def test_repetitions_do_not_disturb_the_detection_of_cuts():
    """Fast motion after a repetition is no cut."""
    wide = scene(40, 200)
    moving = np.stack([wide[:, 12 * k : 12 * k + 60] for k in range(5)])
    frames = noisy(np.concatenate([moving, 255 - moving[:, ::-1]]), 20)
    options = {"sigma": 20, "radius": 1, "profile": SMALL, "data_range": 255.0}
    once = vbm3d(frames, **options)
    np.testing.assert_array_equal(vbm3d(np.repeat(frames, 2, 0), **options), np.repeat(once, 2, 0))


def test_a_still_picture_does_not_fill_the_memory():
    """The lag of a stream is limited, and the picture ends a scene."""
    _, frames = video(5, 20, 24)
    options = {"sigma": 20, "radius": 1, "profile": SMALL, "data_range": 255.0}
    runs = (1, 1, 300, 1, 1)
    taken = []

    def camera():
        for number, frame in enumerate(np.repeat(frames, runs, 0)):
            taken.append(number)
            yield frame

    results = []
    for number, result in enumerate(vbm3d(camera(), **options)):
        results.append(result)
        assert len(taken) <= number + 16 * (4 + 1)
    before, after = vbm3d(frames[:3], **options), vbm3d(frames[3:], **options)
    np.testing.assert_array_equal(results, np.repeat(np.concatenate([before, after]), runs, 0))


def test_every_result_has_memory_of_its_own():
    _, frames = video(2, 20, 24)
    first, *others = vbm3d(iter(np.repeat(frames, 3, 0)), 20, radius=1, profile=SMALL)
    expected = others[0].copy()
    first[...] = 0
    np.testing.assert_array_equal(others[0], expected)


def test_constant_frames():
    frames = np.zeros((30, 12, 14), np.float32)
    frames[20:] = noisy(np.full((10, 12, 14), 90), 5)
    result = vbm3d(frames, 5, radius=1, profile=SMALL, data_range=255.0)
    np.testing.assert_allclose(result[:20], 0, atol=1e-4)
    assert abs(result[20:] - 90).max() < 5


def test_progress_is_complete():
    _, frames = video(4, 20, 24)
    seen = []
    vbm3d(np.repeat(frames, (1, 3, 1, 5), 0), 20, radius=1, profile=SMALL,
          progress=lambda done, total: seen.append((done, total)))  # fmt: skip
    assert seen == [(10 * k, 100) for k in range(1, 11)]
    seen.clear()
    denoise_burst(np.repeat(frames, 2, 0), 20, progress=lambda done, _total: seen.append(done))
    assert seen[-1] == 100


@pytest.mark.parametrize("subsampling", [1, 2])
def test_planes_of_a_video(subsampling):
    """Luminance and chroma at half the resolution are filtered in two streams."""
    layout = Layout("yuv", 3, np.dtype("u1"), 255, 219.0, 224.0, subsampling=(subsampling,) * 2)
    luma = video(5, 32, 40)[1].clip(0, 255).astype("u1")
    chroma = luma[:, ::subsampling, ::subsampling]
    film = [Frame([y, u, 255 - u], None) for y, u in zip(luma, chroma, strict=True)]
    runs = (3, 1, 2, 2, 3)
    repeated = [frame for frame, count in zip(film, runs, strict=True) for _ in range(count)]
    noise, options = PlaneNoise([20, 20, 20], 10), {"radius": 1, "profile": SMALL}
    once = [frame.planes for frame in denoise(iter(film), layout, noise, options)]
    found = [frame.planes for frame in denoise(iter(repeated), layout, noise, options)]
    for k in range(3):
        expected = np.repeat([planes[k] for planes in once], runs, 0)
        np.testing.assert_array_equal([planes[k] for planes in found], expected)


def test_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    frames = video(3, 24, 28)[1].clip(0, 255).astype("u1")
    for number, frame in enumerate(np.repeat(frames, 3, 0)):
        write(tmp_path / f"in{number}.png", Picture(frame))
    works(capsys, "video", "in%d.png", "-o", "out%d.png", "--sigma", "20/255", "--radius", "1")
    found = [read(tmp_path / f"out{number}.png").values for number in range(9)]
    once = vbm3d(frames, 20, radius=1, data_range=255.0).clip(0, 255).round()
    np.testing.assert_array_equal(found, np.repeat(once, 3, 0))


@pytest.mark.parametrize("reference", [0, 3, -1])
def test_equal_frames_of_a_burst_count_once(reference):
    frames = noisy(np.stack([scene(40, 44)] * 4), 20)
    runs = (2, 1, 2, 1)
    first = np.repeat(range(4), runs)[reference]
    others = [number for number in range(4) if number != first]
    expected = denoise_burst(frames[[first, *others]], 20)
    repeated = np.repeat(frames, runs, 0)
    np.testing.assert_array_equal(denoise_burst(repeated, 20, reference=reference), expected)
    apart = np.concatenate([repeated, frames])  # equal frames need not follow each other
    if reference >= 0:
        np.testing.assert_array_equal(denoise_burst(apart, 20, reference=reference), expected)


def test_a_burst_from_memory_that_is_used_again():
    frames = noisy(np.stack([scene(40, 44)] * 4), 20)
    np.testing.assert_array_equal(denoise_burst(reused(frames), 20), denoise_burst(frames, 20))
