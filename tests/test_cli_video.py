"""The command line: `video`."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
import scipy.ndimage
from PIL import Image
from support.commandline import names, works
from support.videos import (
    BT709,
    FULL,
    LIMITED,
    draw_video,
    first,
    frames,
    keep_frames,
    packets,
    sound,
)

import fastrestore
from fastrestore._io.films import Layout
from fastrestore.cli import main, video_planes
from fastrestore.metrics import psnr

LIGHT = ["--radius", "1", "--stage", "basic", "--backend", "numba"]
NUMBERS = {"radius": 1, "stage": "basic", "backend": "numba"}


@pytest.fixture
def identity(monkeypatch):
    """Replace vbm3d by the identity, so that frames have to come back as they were."""
    return keep_frames(monkeypatch)


def video(capsys, *argv):
    """Run in silence."""
    works(capsys, "video", argv[0], "-o", *argv[1:], "--quiet")


def rounded(values, top=255):
    return np.clip(np.rint(np.asarray(values, np.float64)), 0, top)


# What is restored


def test_gray_equals_vbm3d(capsys, tmp_path):
    noisy = np.stack(
        [planes[0] for planes in draw_video(tmp_path / "in.mkv", pixels="gray", colors={})]
    )
    video(capsys, tmp_path / "in.mkv", tmp_path / "out.mkv", "--sigma", "10/255", "--lossless",
          *LIGHT, "--profile", "fast", "--no-scene-cuts")  # fmt: skip
    expected = fastrestore.vbm3d(
        noisy, 10, data_range=255, profile="fast", scene_cuts=False, **NUMBERS
    )
    result = [planes[0] for planes in frames(tmp_path / "out.mkv")[1]]
    np.testing.assert_array_equal(result, rounded(expected))
    assert first(tmp_path / "out.mkv")[0].format.name == "gray"


def test_rgb_equals_vbm3d(capsys, tmp_path):
    noisy = draw_video(tmp_path / "in.mkv", pixels="gbrp10le", colors={}, sigma=40)
    video(capsys, tmp_path / "in.mkv", tmp_path / "out.mkv", "--sigma", "40/1023", "--lossless",
          *LIGHT)  # fmt: skip
    rgb = np.stack([np.stack([red, green, blue], -1) for green, blue, red in noisy])
    expected = fastrestore.vbm3d(rgb, 40, channel_axis=-1, data_range=1023, **NUMBERS)
    result = [
        np.stack([red, green, blue], -1) for green, blue, red in frames(tmp_path / "out.mkv")[1]
    ]
    np.testing.assert_array_equal(result, rounded(expected, 1023))


def test_images_equal_vbm3d(capsys, tmp_path):
    rng = np.random.default_rng(0)
    noisy = rng.normal(120, 20, (5, 32, 48, 3)).astype(np.uint8)
    for number, values in enumerate(noisy, 98):
        Image.fromarray(values).save(tmp_path / f"in{number}.png")
    (tmp_path / "out").mkdir()
    video(capsys, tmp_path / "in%d.png", tmp_path / "out" / "%05d.tif", "--sigma", "20",
          "--sigma-scale", "8bit", "--chroma-strength", "1.5", *LIGHT)  # fmt: skip
    assert names(tmp_path / "out") == [f"{number:05d}.tif" for number in range(98, 103)]
    expected = rounded(
        fastrestore.vbm3d(
            noisy, 20, channel_axis=-1, data_range=255, chroma_strength=1.5, **NUMBERS
        )
    )
    for number, values in enumerate(expected, 98):
        with Image.open(tmp_path / "out" / f"{number:05d}.tif") as image:
            np.testing.assert_array_equal(np.asarray(image), values)


@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_noise_of_luminance_and_chroma_is_reduced(capsys, tmp_path, pixels, size):
    scale = 4 if pixels.endswith("10le") else 1
    noisy = draw_video(tmp_path / "in.mkv", pixels=pixels, sigma=10 * scale, size=size)
    clean = draw_video(tmp_path / "clean.mkv", pixels=pixels, sigma=0, size=size)
    video(capsys, tmp_path / "in.mkv", tmp_path / "out.mkv", "--sigma", str(10 * scale),
          "--sigma-scale", "native", "--lossless", *LIGHT)  # fmt: skip
    result = frames(tmp_path / "out.mkv")[1]
    assert first(tmp_path / "out.mkv")[0].format.name == pixels
    for k in range(3):
        before, after = (
            psnr(
                np.stack([planes[k] for planes in clean]).astype(float),
                np.stack([planes[k] for planes in videos]).astype(float),
                data_range=256 * scale - 1,
            )
            for videos in (noisy, result)
        )
        assert after - before > 5


def test_luminance_alone_equals_vbm3d(capsys, tmp_path):
    noisy = draw_video(tmp_path / "in.mkv")
    video(capsys, tmp_path / "in.mkv", tmp_path / "out.mkv", "--sigma", "10", "--sigma-scale",
          "native", "--lossless", *LIGHT)  # fmt: skip
    luma = np.stack([planes[0] for planes in noisy])
    expected = fastrestore.vbm3d(luma, 10, data_range=219, **NUMBERS)
    result = [planes[0] for planes in frames(tmp_path / "out.mkv")[1]]
    np.testing.assert_array_equal(result, rounded(expected))


def test_sigma_of_rgb_is_converted_to_luminance_and_chroma(capsys, tmp_path, identity):
    draw_video(tmp_path / "in.mkv")
    video(capsys, tmp_path / "in.mkv", tmp_path / "out.mkv", "--sigma", "20/255")
    rng = np.random.default_rng(0)
    red, green, blue = rng.normal(0, 20, (3, 400, 400))
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert identity[0]["sigma"] == pytest.approx(219 / 255 * luma.std(), rel=0.01)
    # The colors are scaled to noise of 1, so what is seen of them is the scale of the luminance.
    reduced = luma.reshape(200, 2, 200, 2).mean((1, 3)).std() * 219 / 255
    assert identity[1]["sigma"] == 1
    assert identity[1]["data_range"] == pytest.approx(219 / reduced / np.sqrt(3), rel=0.01)


@pytest.mark.parametrize(
    ("words", "colors", "expected"),
    [
        (["25/255"], {"color_range": FULL}, 25),
        (["25/255"], {"color_range": LIMITED}, 25 * 219 / 255),
        (["25", "--sigma-scale", "8bit"], {}, 25),
        (["25", "--sigma-scale", "native"], {"color_range": LIMITED}, 25),
        (["0.1"], {}, 25.5),
    ],
)
def test_units_of_sigma(capsys, tmp_path, identity, words, colors, expected):
    draw_video(tmp_path / "in.mkv", pixels="gray", count=2, colors=colors)
    video(capsys, tmp_path / "in.mkv", tmp_path / "out.mkv", "--sigma", *words)
    assert identity[0]["sigma"] == pytest.approx(expected)


def test_sigma_is_estimated_from_frames_that_have_noise(capsys, tmp_path, identity):
    """The first frames of a video are often black."""
    rng = np.random.default_rng(0)
    for k in range(8):
        values = np.zeros((64, 64)) if k < 2 else rng.normal(100, 12, (64, 64))
        Image.fromarray(values.astype(np.uint8)).save(tmp_path / f"in{k}.png")
    video(capsys, tmp_path / "in%d.png", tmp_path / "out%d.png", "--sigma", "auto")
    assert identity[0]["sigma"] == pytest.approx(12, rel=0.1)


def test_noise_of_luminance_and_chroma_is_estimated(capsys, tmp_path):
    noisy = draw_video(tmp_path / "in.mkv", count=4, size=(128, 96))
    video(capsys, tmp_path / "in.mkv", tmp_path / "out.mkv", "--sigma", "auto", "--lossless",
          *LIGHT)  # fmt: skip
    result = frames(tmp_path / "out.mkv")[1]
    for k in range(3):
        taken = np.stack([p[k] for p in noisy]).astype(float) - np.stack([p[k] for p in result])
        assert 7 < taken.std() < 11


def test_noise_of_smoothed_chroma():
    """The noise of the chroma is correlated, as after a wide downsampling filter."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:192, :256]
    luma = 120 + 40 * np.sin(x / 30) + rng.normal(0, 10, x.shape)
    noise = scipy.ndimage.convolve1d(rng.normal(0, 6, (2, 96, 128)), [0.25, 0.5, 0.25], axis=2)
    planes = [luma, *(128 + 20 * np.sin(y[:96, :128] / 30) + noise)]
    layout = Layout("yuv", 3, np.dtype(np.uint8), 255, 219, 224, subsampling=(2, 2))
    found = video_planes.estimate_noise([[np.rint(p).astype(np.uint8) for p in planes]], layout)
    assert found.planes[0] == pytest.approx(10, rel=0.1)
    assert found.planes[1:] == pytest.approx([noise[0].std(), noise[1].std()], rel=0.25)
    assert found.reduced == pytest.approx(5, rel=0.1)
    assert fastrestore.estimate_sigma(planes[1]) < 0.65 * noise[0].std()


@pytest.mark.filterwarnings("default")
def test_no_noise_at_all(capsys, tmp_path):
    same = draw_video(
        tmp_path / "in.mkv", pixels="gray", sigma=0, count=1, size=(16, 16), colors={}
    )
    Image.fromarray(np.full((32, 32), 9, np.uint8)).save(tmp_path / "in1.png")
    status = main(
        ["video", f"{tmp_path}/in%d.png", "-o", f"{tmp_path}/out%d.png", "--sigma", "auto"]
    )
    assert status == 0
    assert "no noise was found; frames are not changed" in capsys.readouterr().err
    video(capsys, tmp_path / "in.mkv", tmp_path / "out.mkv", "--sigma", "0", "--lossless")
    np.testing.assert_array_equal(frames(tmp_path / "out.mkv")[1], same)


def test_options_reach_vbm3d(capsys, tmp_path, identity):
    draw_video(tmp_path / "in.mkv", pixels="gray", count=2, colors={})
    argv = [tmp_path / "in.mkv", tmp_path / "out.mkv", "--overwrite", "--sigma", "0.1"]
    video(capsys, *argv)
    video(capsys, *argv, "--radius", "2", "--profile", "fast", "--stage", "basic", "--workers", "2",
          "--backend", "numpy", "--no-scene-cuts")  # fmt: skip
    shared = {"sigma": pytest.approx(25.5), "data_range": 255}
    assert identity == [
        {"radius": 4, "profile": "video", "stage": "final", "workers": None, "backend": None,
         "scene_cuts": True} | shared,
        {"radius": 2, "profile": "fast", "stage": "basic", "workers": 2, "backend": "numpy",
         "scene_cuts": False} | shared,
    ]  # fmt: skip


# What stays as it is


UNEVEN = [0, 25, 50, 100, 110, 120, 200, 300]


@pytest.mark.parametrize("times", [None, UNEVEN])
@pytest.mark.parametrize(("codec", "extension"), [("libx264", ".mp4"), ("libx264", ".mov")])
def test_time_stamps(capsys, tmp_path, identity, codec, extension, times):
    source, target = tmp_path / f"in{extension}", tmp_path / f"out{extension}"
    draw_video(source, codec=codec, times=times)
    video(capsys, source, target, "--sigma", "0.1")
    before, after = frames(source)[0], frames(target)[0]
    assert before == [Fraction(k, 600) for k in times or range(0, 200, 25)]
    assert after == before
    assert first(target)[1].time_base == first(source)[1].time_base
    if times is None:  # otherwise it follows the last frame's length, which containers make up
        assert first(target)[1].rate == first(source)[1].rate == 24


@pytest.mark.parametrize("extension", [".mkv", ".webm"])
def test_time_stamps_in_milliseconds(capsys, tmp_path, identity, extension):
    draw_video(tmp_path / "in.mkv", times=UNEVEN)
    video(capsys, tmp_path / "in.mkv", tmp_path / f"out{extension}", "--sigma", "0.1")
    before = frames(tmp_path / "in.mkv")[0]
    assert frames(tmp_path / f"out{extension}")[0] == before
    assert [round(600 * when) for when in before] == UNEVEN


def test_time_stamps_of_avi(capsys, tmp_path, identity):
    draw_video(tmp_path / "in.mp4", codec="libx264")
    video(capsys, tmp_path / "in.mp4", tmp_path / "out.avi", "--sigma", "0.1")
    video(capsys, tmp_path / "out.avi", tmp_path / "back.mp4", "--sigma", "0.1")
    assert frames(tmp_path / "back.mp4")[0] == [Fraction(k, 24) for k in range(8)]


@pytest.mark.parametrize(
    ("codec", "source", "target"),
    [
        ("aac", "in.mp4", "out.mp4"),
        ("aac", "in.mov", "out.mp4"),
        ("aac", "in.mkv", "out.mkv"),
        ("pcm_s16le", "in.mkv", "out.mkv"),
        ("pcm_s16le", "in.mkv", "out.mov"),
    ],
)
def test_sound_is_copied(capsys, tmp_path, identity, codec, source, target):
    tracks = [sound(codec, "fra")]
    draw_video(tmp_path / source, codec="libx264", tracks=tracks)
    video(capsys, tmp_path / source, tmp_path / target, "--sigma", "0.1")
    before, after = packets(tmp_path / source, "audio"), packets(tmp_path / target, "audio")
    assert len(before) > 3
    assert [data for _, data in after] == [data for _, data in before]
    assert [when for when, _ in after] == pytest.approx([when for when, _ in before], abs=1e-3)
    with av.open(str(tmp_path / target)) as container:
        assert [track.type for track in container.streams] == ["video", "audio"]
        assert container.streams.audio[0].metadata["language"] == "fra"


def test_sound_stays_synchronous_in_matroska(capsys, tmp_path, identity):
    """AAC in MP4 starts before 0, which Matroska cannot store; all tracks are shifted equally."""
    draw_video(tmp_path / "in.mp4", codec="libx264", tracks=[sound("aac")])
    video(capsys, tmp_path / "in.mp4", tmp_path / "out.mkv", "--sigma", "0.1")
    (early, _), *_ = packets(tmp_path / "in.mp4", "audio")
    assert early == Fraction(-1024, 48000)
    (start, _), *_ = packets(tmp_path / "out.mkv", "audio")
    assert frames(tmp_path / "out.mkv")[0][0] - start == pytest.approx(-early, abs=1e-3)


@pytest.mark.parametrize("colors", [
    BT709,
    {"color_range": FULL, "colorspace": 6, "color_primaries": 6, "color_trc": 13},
    {"color_range": LIMITED, "colorspace": 9, "color_primaries": 9, "color_trc": 16},
])  # fmt: skip
@pytest.mark.parametrize("extension", [".mp4", ".mkv"])
def test_color_tags_are_kept(capsys, tmp_path, identity, extension, colors):
    source, target = tmp_path / f"in{extension}", tmp_path / f"out{extension}"
    draw_video(source, codec="libx264", colors=colors, options={"qp": "0"})
    video(capsys, source, target, "--sigma", "0.1", "--lossless")
    frame = first(target)[0]
    assert {name: int(getattr(frame, name)) for name in colors} == colors
    assert frame.format.name.replace("yuvj", "yuv") == "yuv420p"
    np.testing.assert_array_equal(
        [planes[0] for planes in frames(target)[1]], [planes[0] for planes in frames(source)[1]]
    )


@pytest.mark.parametrize(
    ("source", "codec", "target", "words", "expected"),
    [
        ("yuv420p10le", "ffv1", "out.mp4", [], "yuv420p10le"),
        ("yuv422p10le", "ffv1", "out.mkv", [], "yuv422p10le"),
        ("yuv420p10le", "ffv1", "out.mkv", ["--codec", "libx265"], "yuv420p10le"),
        ("gray10le", "ffv1", "out.mkv", ["--lossless"], "gray10le"),
        ("bgr0", "ffv1", "out.mkv", ["--lossless"], "bgr0"),
        ("gbrp", "libx264rgb", "out.mp4", ["--lossless"], "gbrp"),
        ("yuva420p", "ffv1", "out.mkv", ["--lossless"], "yuva420p"),
        ("yuv420p", "ffv1", "out.avi", [], "yuv420p"),
        ("yuv420p", "ffv1", "out.webm", ["--crf", "30"], "yuv420p"),
        ("yuv444p", "ffv1", "out.mp4", ["--pixel-format", "yuv420p"], "yuv420p"),
    ],
)
def test_pixel_format(capsys, tmp_path, identity, source, codec, target, words, expected):
    drawn = "rgb24" if codec == "libx264rgb" else source
    draw_video(tmp_path / "in.mkv", pixels=drawn, codec=codec, colors={}, count=3)
    video(capsys, tmp_path / "in.mkv", tmp_path / target, "--sigma", "0.1", *words)
    assert first(tmp_path / target)[0].format.name == expected
    if words == ["--lossless"]:
        before, after = frames(tmp_path / "in.mkv")[1], frames(tmp_path / target)[1]
        for one, other in zip(after, before, strict=True):
            for a, b in zip(one, other, strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("pixels", "middle"), [("gray", 128), ("gray10le", 512)])
def test_gray_stays_gray(capsys, tmp_path, pixels, middle):
    """H.264 stores gray without chroma, which FFmpeg reads as chroma of 0."""
    noisy = draw_video(tmp_path / "in.mkv", pixels=pixels, colors={})
    video(capsys, tmp_path / "in.mkv", tmp_path / "one.mp4", "--sigma", "0", "--lossless")
    video(capsys, tmp_path / "one.mp4", tmp_path / "two.mkv", "--sigma", "0.04", *LIGHT,
          "--lossless")  # fmt: skip
    one, two = frames(tmp_path / "one.mp4")[1], frames(tmp_path / "two.mkv")[1]
    for (gray,), (same, *flat), (luma, *colors) in zip(noisy, one, two, strict=True):
        np.testing.assert_array_equal(same, gray)
        assert np.abs(luma.astype(int) - gray).max() > 1
        assert {int(value) for plane in flat + colors for value in plane.flat} == {middle}


def test_shape_of_pixels_rotation_and_metadata(capsys, tmp_path, identity):
    draw_video(tmp_path / "in.mp4", codec="libx264", aspect=Fraction(4, 3), rotation=90,
               metadata={"title": "A pattern", "comment": "drawn"})  # fmt: skip
    for target in (tmp_path / "out.mp4", tmp_path / "out.mkv"):
        video(capsys, tmp_path / "in.mp4", target, "--sigma", "0.1")
        frame, said = first(target)
        assert said.aspect == Fraction(4, 3)
        assert frame.rotation == first(tmp_path / "in.mp4")[0].rotation == 90
        assert (said.metadata["title"], said.metadata["comment"]) == ("A pattern", "drawn")


def test_subtitles_and_covers_are_copied(capsys, tmp_path, identity):
    source = tmp_path / "in.mkv"
    srt = tmp_path / "words.srt"
    srt.write_text(
        "1\n00:00:00,000 --> 00:00:00,100\nOne\n\n2\n00:00:00,200 --> 00:00:00,300\nTwo\n"
    )
    draw_video(tmp_path / "plain.mkv")
    with (
        av.open(str(tmp_path / "plain.mkv")) as plain,
        av.open(str(srt)) as words,
        av.open(str(source), "w") as out,
    ):
        said = out.add_stream_from_template(words.streams[0], opaque=True)
        seen = out.add_stream_from_template(plain.streams[0], opaque=True)
        out.add_attachment("font.ttf", "font/ttf", b"letters")
        for container, track in ((plain, seen), (words, said)):
            for packet in container.demux():
                if packet.size:
                    packet.stream = track
                    out.mux(packet)
    video(capsys, source, tmp_path / "out.mkv", "--sigma", "0.1")
    assert packets(tmp_path / "out.mkv", "subtitle") == packets(source, "subtitle")
    assert [data for _, data in packets(source, "subtitle")] == [b"One", b"Two"]
    with av.open(str(tmp_path / "out.mkv")) as container:
        kinds = [track.type for track in container.streams]
        assert kinds == ["subtitle", "video", "attachment"]
        assert bytes(container.streams[2].data) == b"letters"
