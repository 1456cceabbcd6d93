"""Larger videos: streams, cuts, tiles, alpha, the command line, and invalid arguments."""

import doctest

import numpy as np
import pytest
from support.nets import torch_or_skip

torch = torch_or_skip()

from support.commandline import fails, works  # noqa: E402
from support.images import scene  # noqa: E402
from support.videos import BT709, draw_video, first, frames, sound  # noqa: E402

from fastrestore import super_resolve, super_resolve_video  # noqa: E402
from fastrestore._algorithms import upscale_video as upscale_video_module  # noqa: E402
from fastrestore._io.images import read, write  # noqa: E402
from fastrestore._io.picture import Picture  # noqa: E402
from fastrestore._io.pixels import full_range  # noqa: E402
from fastrestore._io.planes import as_planar, copy_planes  # noqa: E402
from fastrestore.nets import VSRGAN, SRResNet  # noqa: E402
from fastrestore.nets.files import save  # noqa: E402


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(3)
    return VSRGAN(blocks=1, width=8).eval()


def moving(count=5, height=20, width=30):
    """A video (T, M, N, 3) of 8 bits that moves to the left."""
    wide = np.stack([scene(height, width + 2 * count, seed=c) for c in range(3)], -1)
    video = np.stack([wide[:, 2 * t : 2 * t + width] for t in range(count)])
    return video.clip(0, 255).astype(np.uint8)


def expected(net, clip):
    """All frames at once."""
    frames = torch.from_numpy(clip.transpose(0, 3, 1, 2) / 255)[None].float()
    with torch.no_grad():
        made = net.video(frames)[0][0] * 255
    return made.numpy().transpose(0, 2, 3, 1)


def test_frames_equal_the_output_of_the_network(net):
    clip = moving()
    result = super_resolve_video(clip, model=net, channel_axis=-1)
    assert iter(result) is result
    result = list(result)
    assert {frame.dtype for frame in result} == {np.dtype(np.float32)}
    np.testing.assert_allclose(np.stack(result), expected(net, clip), atol=2e-3)
    again = list(super_resolve_video(list(clip), model=net, channel_axis=-1))
    np.testing.assert_array_equal(again, result)
    other = super_resolve_video(
        np.moveaxis(clip, (0, 3), (2, 0)), model=net, time_axis=2, channel_axis=0
    )
    np.testing.assert_array_equal([np.moveaxis(frame, 0, -1) for frame in other], result)


def test_streams_are_read_frame_by_frame(net):
    taken, closed = [], []

    def source():
        try:
            for k, frame in enumerate(moving(6)):
                taken.append(k)
                yield frame
        finally:
            closed.append(True)

    frames = source()
    result = super_resolve_video(frames, model=net, channel_axis=-1)
    assert taken == []
    next(result)
    assert taken == [0]
    next(result)
    assert taken == [0, 1]
    result.close()  # a consumer that stops early
    frames.close()
    assert closed == [True]


def test_streams_are_independent(net):
    clip = moving(3)
    one = list(super_resolve_video(clip, model=net, channel_axis=-1))
    list(super_resolve_video(clip[::-1], model=net, channel_axis=-1))
    np.testing.assert_array_equal(list(super_resolve_video(clip, model=net, channel_axis=-1)), one)


def test_scene_cuts_reset_the_network(net):
    clip = np.concatenate([moving(3), 255 - moving(3)[:, ::-1]])
    cut = list(super_resolve_video(clip, model=net, channel_axis=-1))
    afresh = list(super_resolve_video(clip[3:], model=net, channel_axis=-1))
    np.testing.assert_array_equal(cut[3:], afresh)
    through = list(super_resolve_video(clip, model=net, channel_axis=-1, scene_cuts=False))
    np.testing.assert_array_equal(through[:3], cut[:3])
    assert np.abs(through[3] - cut[3]).max() > 1


@pytest.mark.parametrize("options", [{}, {"scene_cuts": False}], ids=str)
def test_repeated_frames_get_the_same_result(net, options):
    clip, runs = moving(4), (3, 2, 1, 4)
    once = list(super_resolve_video(clip, model=net, channel_axis=-1, **options))
    memory = np.empty_like(clip[0])

    def reused():
        for frame in np.repeat(clip, runs, 0):
            memory[...] = frame
            yield memory
            memory[...] = 0

    for source in (np.repeat(clip, runs, 0), reused()):
        result = list(super_resolve_video(source, model=net, channel_axis=-1, **options))
        np.testing.assert_array_equal(result, np.repeat(once, runs, 0))
    result[0][...] = 0  # every result has memory of its own
    np.testing.assert_array_equal(result[1], once[0])


def test_fast_motion_after_a_repetition_is_no_cut(net):
    wide = np.stack([scene(20, 100, seed=c) for c in range(3)], -1)
    clip = np.stack([wide[:, 12 * k : 12 * k + 30] for k in range(4)]).clip(0, 255).astype("u1")
    once = list(super_resolve_video(clip, model=net, channel_axis=-1))
    twice = list(super_resolve_video(np.repeat(clip, 2, 0), model=net, channel_axis=-1))
    np.testing.assert_array_equal(twice, np.repeat(once, 2, 0))


def test_tiles_are_exact(net):
    clip = moving(3, 250, 40)
    whole = list(super_resolve_video(clip, model=net, channel_axis=-1, tile=None))
    tiled = list(super_resolve_video(clip, model=net, channel_axis=-1, tile=32))
    assert np.abs(np.stack(tiled) - np.stack(whole)).max() < 1e-4 * 255


def test_gray_and_alpha(net):
    clip = moving(3)
    gray = list(super_resolve_video(clip[..., 0], model=net))
    three = np.repeat(clip[..., :1], 3, -1)
    np.testing.assert_allclose(gray, expected(net, three).mean(-1), atol=2e-3)
    alpha = np.full((*clip.shape[:3], 1), 128, np.uint8)
    with_it = list(
        super_resolve_video(np.concatenate([clip, alpha], -1), model=net, channel_axis=-1)
    )
    np.testing.assert_allclose(np.stack(with_it)[..., :3], expected(net, clip), atol=2e-3)
    assert (np.stack(with_it)[..., 3] == 128).all()


def test_the_range_of_the_first_frame_holds_for_all(net):
    clip = moving(3).astype(np.float64) * 7 - 300
    clip[1:] /= 2  # darker: not to be made lighter again
    result = list(super_resolve_video(clip, model=net, channel_axis=-1, scene_cuts=False))
    low, high = np.percentile(clip[0], (0, 100))
    wide = list(super_resolve_video(clip + 1000, model=net, channel_axis=-1, scene_cuts=False))
    assert result[0].dtype == np.float64
    np.testing.assert_allclose(np.stack(wide) - 1000, result, atol=2e-3 * (high - low))
    assert abs(result[2].mean() - clip[2].mean()) < 0.1 * (high - low)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_first_frame_may_be_black(net, dtype):
    white = {np.uint8: 255, np.uint16: 65535, np.float32: 1}[dtype]
    clip = (moving(3) / 255 * white).astype(dtype)
    clip[0] = 0
    result = list(super_resolve_video(clip, model=net, channel_axis=-1))
    given = list(super_resolve_video(clip, model=net, channel_axis=-1, data_range=white))
    np.testing.assert_allclose(result, given, atol=1e-5 * white)


def test_torch_in_torch_out(net):
    clip = torch.from_numpy(moving(2))
    result = list(super_resolve_video(clip, model=net, channel_axis=-1))
    assert all(isinstance(frame, torch.Tensor) for frame in result)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (17, 9)])
def test_any_size(net, shape):
    clip = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), np.uint8)
    result = list(super_resolve_video(clip, model=net, channel_axis=-1))
    assert [frame.shape for frame in result] == [(4 * shape[0], 4 * shape[1], 3)] * 2


def test_short_videos(net):
    assert list(super_resolve_video([], model=net)) == []
    clip = moving(1)
    only = list(super_resolve_video(clip, model=net, channel_axis=-1))
    np.testing.assert_allclose(only, expected(net, clip), atol=2e-3)


def test_networks_for_images_process_single_frames():
    torch.manual_seed(5)
    image_net = SRResNet(blocks=1, width=8).eval()
    clip = moving(2)
    result = list(super_resolve_video(clip, model=image_net, channel_axis=-1))
    for frame, small in zip(result, clip, strict=True):
        one = super_resolve(small, model=image_net, channel_axis=-1)
        np.testing.assert_allclose(frame, one, atol=1e-3)


def test_the_same_size():
    torch.manual_seed(6)
    mender = VSRGAN(scale=1, blocks=1, width=8).eval()
    clip = moving(3)
    result = list(super_resolve_video(clip, 1, model=mender, channel_axis=-1))
    np.testing.assert_allclose(result, expected(mender, clip), atol=2e-3)


def test_a_scale_between(net):
    """Only what is returned is reduced, and not the frames that the recurrence uses."""
    clip = moving(3)
    whole = np.stack(list(super_resolve_video(clip, 4, model=net, channel_axis=-1)))
    result = np.stack(list(super_resolve_video(clip, 2.5, model=net, channel_axis=-1)))
    size = tuple(round(2.5 * n) for n in clip.shape[1:3])
    assert result.shape == (3, *size, 3)
    wanted = torch.nn.functional.interpolate(
        torch.tensor(whole).movedim(-1, 1), size=size, mode="bicubic", antialias=True
    )
    np.testing.assert_allclose(result, wanted.movedim(1, -1), atol=0.01)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"scale": 5}, ValueError, "'VSRGAN' makes images 4 times larger; scale is 5"),
        ({"channel_axis": None}, ValueError, "frames must have 3 axes, got shape"),
        ({"frames": moving(1)[0]}, ValueError, r"4 axes .*; if it is one.* frames\[None"),
        ({"time_axis": 7}, ValueError, "time_axis=7 is not an axis"),
        ({"time_axis": 3}, ValueError, "are the same axis"),
        ({"data_range": 0}, ValueError, "data_range"),
        ({"scene_cuts": 3}, TypeError, "scene_cuts"),
        ({"frames": "video.mp4"}, TypeError, "frames must be an array or an iterable of arrays"),
        ({"frames": 5}, TypeError, "frames must be an array or an iterable of arrays, got 5"),
        ({"model": "none"}, FileNotFoundError, "'none' is neither a file nor"),
    ],
)
def test_bad_arguments_raise_before_the_first_frame(net, change, error, message):
    options = {"frames": moving(2), "scale": 4, "model": net, "channel_axis": -1} | change
    with pytest.raises(error, match=message):
        super_resolve_video(options.pop("frames"), options.pop("scale"), **options)


def test_invalid_frames_raise_when_read(net):
    good = moving(3)
    bad = good.astype(float)
    bad[2, 3, 4, 0] = np.nan
    stream = super_resolve_video(bad, model=net, channel_axis=-1)
    next(stream), next(stream)
    with pytest.raises(ValueError, match="frame 2 has values that are NaN"):
        next(stream)
    for other, message in (
        (good[0][:-1], r"frame 1 has shape \(19, 30, 3\) and type uint8, the first has"),
        (good[0].astype(float), "frame 1 has shape .* and type float64, the first has"),
        ("text", "frame 1 must be an array"),
    ):
        stream = super_resolve_video([good[0], other], model=net, channel_axis=-1)
        next(stream)
        with pytest.raises((ValueError, TypeError), match=message):
            next(stream)


def test_memory_does_not_grow(net):
    """A stream keeps two frames and releases earlier ones."""
    import gc
    import weakref

    alive = []

    def source():
        for _ in range(12):
            frame = moving(1)[0]
            alive.append(weakref.ref(frame))
            yield frame

    for frame in super_resolve_video(source(), model=net, channel_axis=-1):
        del frame
        gc.collect()
        assert sum(ref() is not None for ref in alive) <= 2


# The command line


@pytest.fixture
def folder(monkeypatch, tmp_path, net):
    """A folder with weights that interpolate linearly."""
    monkeypatch.chdir(tmp_path)
    plain = VSRGAN(blocks=1, width=8).eval()
    with torch.no_grad():
        plain.srnet.conv_out.weight.zero_()
        plain.srnet.conv_out.bias.zero_()
    save(plain, tmp_path / "plain.safetensors", sigmas=(0, 0))
    return tmp_path


def linear(plane):
    values = torch.from_numpy(plane.astype(np.float32))[None, None]
    return torch.nn.functional.interpolate(values, scale_factor=4, mode="bilinear")[0, 0].numpy()


def colors_of(path):
    """Red, green and blue of all frames, or gray."""
    import av

    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            planar = as_planar(frame)
            yield full_range(copy_planes(planar), planar)


WORDS = ["--scale", "4", "--model", "plain.safetensors", "--quiet"]


@pytest.mark.parametrize("pixels", ["yuv444p", "yuv420p", "bgr0", "gray", "yuv420p10le"])
def test_a_video(folder, capsys, pixels):
    colors = {"color_range": 2, "colorspace": 0} if pixels == "bgr0" else BT709
    draw_video(folder / "in.mkv", pixels=pixels, colors=colors, sigma=2, tracks=[sound("flac")])
    works(capsys, "upscale", "in.mkv", "-o", "out.mkv", *WORDS, "--lossless")
    times, after = frames(folder / "out.mkv")
    assert times == frames(folder / "in.mkv")[0]
    frame, said = first(folder / "out.mkv")
    assert (frame.width, frame.height) == (256, 192)
    assert frame.format.name == pixels
    assert said.rate == first(folder / "in.mkv")[1].rate
    assert len(after) == 8
    for small, large in zip(colors_of("in.mkv"), colors_of("out.mkv"), strict=True):
        wanted = np.stack([linear(plane) for plane in np.atleast_3d(small).transpose(2, 0, 1)], -1)
        error = np.abs(wanted - np.atleast_3d(large))
        top = np.iinfo(small.dtype).max
        # Colors of half the resolution are enlarged, reduced and enlarged
        assert error.mean() < (0.02 if "420" in pixels else 0.004) * top
    import av

    with av.open("out.mkv") as container:
        assert len(container.streams.audio) == 1


def rgb(path):
    """All frames as FFmpeg shows them."""
    import av

    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize("color_range", [0, 1, 2], ids=["untagged", "limited", "full"])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_tagged_color_range_is_kept(folder, capsys, color_range, pixels):
    """An untagged video has limited range."""
    draw_video(folder / "in.mp4", pixels=pixels, count=2, sigma=2, codec="libx264",
               options={"qp": "0"}, colors={"color_range": color_range})  # fmt: skip
    works(capsys, "upscale", "in.mp4", "-o", "out.mp4", *WORDS, "--lossless")
    before, after = rgb("in.mp4"), rgb("out.mp4")
    assert first("out.mp4")[0].color_range == first("in.mp4")[0].color_range
    assert abs(after.mean() - before.mean()) < 1.5
    assert abs(after.std() / before.std() - 1) < 0.035  # it was 8 %


def test_a_video_between_whole_scales(folder, capsys):
    """Sizes are even, which encoders need; numbered images have those of `super_resolve`."""
    draw_video(folder / "in.mp4", pixels="yuv420p", colors=BT709, sigma=2)
    words = ["--scale", "1.38", *WORDS[2:]]  # 88.32 x 66.24
    works(capsys, "upscale", "in.mp4", "-o", "out.mp4", *words)
    frame, _ = first(folder / "out.mp4")
    assert (frame.width, frame.height) == (88, 66)
    works(capsys, "upscale", "in.mp4", "-o", "odd.mp4", "--scale", "1.4", *WORDS[2:])
    frame, _ = first(folder / "odd.mp4")
    assert (frame.width, frame.height) == (90, 66)  # of 89.6 x 67.2
    works(capsys, "upscale", "in.mp4", "-o", "out%02d.png", "--scale", "1.4", *WORDS[2:])
    assert read(folder / "out01.png").values.shape[:2] == (67, 90)


def test_numbered_images(folder, capsys):
    clip = moving(3)
    for k, frame in enumerate(clip):
        write(folder / f"in{k:02}.png", Picture(frame))
    works(capsys, "upscale", "in%02d.png", "-o", "out%02d.png", *WORDS)
    for k, frame in enumerate(clip):
        result = read(folder / f"out{k:02}.png").values
        wanted = np.stack([linear(frame[..., c]) for c in range(3)], -1)
        np.testing.assert_allclose(result, wanted, atol=0.51)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.mkv", "-o", "b.mkv"], "none.mkv: no such file"),
        (["in.mkv", "in.mkv", "-o", "b.mkv"], "in.mkv is a video; specify one video at a time"),
        (["in.mkv", "-o", "in.mkv"], "in.mkv is both input and output"),
        (["in.mkv", "-o", "b.mkv", "--scale", "5"], "makes images 4 times larger; scale is 5"),
        (["in.mkv", "-o", "b.xyz"], "b.xyz: unknown extension"),
        (["in.mkv", "-o", "b.mkv", "--channel-axis", "-1"], "--channel-axis -1 is for images"),
        (["in.mkv", "-o", "b.mkv", "--data-range", "9"], "--data-range 9 is for images; in.mkv"),
        (["sound.mkv", "-o", "b.mkv"], "sound.mkv: it has no video track, only audio"),
    ],
)
def test_errors_of_the_command(folder, capsys, words, message):
    draw_video(folder / "in.mkv", count=2)
    import av

    with av.open("sound.mkv", "w") as out:
        fill = sound("flac")(out)
        out.start_encoding()
        fill()
    model = [] if "--scale" in words else ["--scale", "4"]
    assert message in fails(capsys, "upscale", *words, *model, "--model", "plain.safetensors")
    assert not (folder / "b.mkv").exists()


def test_the_example():
    result = doctest.testmod(upscale_video_module)
    assert result.attempted > 0
    assert result.failed == 0
