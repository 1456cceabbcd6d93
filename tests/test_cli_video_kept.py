"""The command line: what `video` keeps of a film beside its frames."""

from __future__ import annotations

import os
import warnings
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from support.commandline import fails, names, works
from support.videos import draw_video, first, frames, keep_frames, packets, planes_of, sound

from fastrestore._io import film_writer, films
from fastrestore._io.codecs import EncoderOptions
from fastrestore._io.film_reader import FilmReader
from fastrestore._io.hdr import HdrMetadata
from fastrestore.cli import main

MASTERING = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
HDR = {"color_range": 1, "colorspace": 9, "color_primaries": 9, "color_trc": 16}
NAMED = hasattr(av.VideoCodecContext, "field_order")  # since PyAV 18.1
FIELDS = 1 << 18 | 1 << 29  # FFmpeg's flags for interlaced transforms and motion


@pytest.fixture(autouse=True)
def identity(monkeypatch):
    """Replace vbm3d by the identity, so that films have to come back as they were."""
    return keep_frames(monkeypatch)


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def warned(capsys, *argv):
    """Run `video` with sigma 0.1; return the warnings without their prefix."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        words = ["video", *map(str, argv), "--sigma", "0.1", "--quiet"]
        assert main([*words[:2], "-o", *words[2:]]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    return [line.removeprefix("fastrestore: warning: ") for line in err.splitlines()]


# HDR10


def hdr_film(path, codec="libx265", light="1000,400"):
    level = f":max-cll={light}" if light else ""
    params = f"log-level=none:master-display={MASTERING}{level}"
    draw_video(
        path, codec=codec, pixels="yuv420p10le", count=3, colors=HDR,
        options={"x265-params": params},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("b.mp4", []),
        ("b.mkv", []),
        ("b.mp4", ["--lossless"]),
        ("b.mkv", ["--lossless"]),
        ("b.mkv", ["--codec", "ffv1", "--pixel-format", "yuv444p12le"]),
        ("b.mp4", ["--codec", "libx265"]),
        ("b.mkv", ["--codec", "libx265", "--lossless"]),
        ("b.mp4", ["--codec", "libsvtav1"]),
    ],
)
def test_hdr10_metadata_is_kept(capfd, target, words):
    hdr_film("a.mp4")
    capfd.readouterr()  # encoders print, too
    assert warned(capfd, "a.mp4", target, *words) == []
    before, after = (FilmReader(films.Path(name)) for name in ("a.mp4", target))
    old, new = before.info().hdr, after.info().hdr
    assert new.light == old.light == (1000, 400)
    for name, point in old.points.items():
        assert new.points[name] == pytest.approx(point, abs=2e-5)
    assert [float(value) for value in old.luminance] == [1e-4, 1000]
    assert [float(value) for value in new.luminance] == pytest.approx([1e-4, 1000], rel=0.4)
    assert new.luminance[1] == 1000
    before.close()
    after.close()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux")
@pytest.mark.parametrize("hdr", [False, True])
def test_av1_does_not_take_real_time_priority(capfd, monkeypatch, hdr):
    """As root, the encoder would: for its threads and the one that opens it."""
    hdr_film("a.mp4") if hdr else draw_video("a.mp4", count=3)
    found, finish = [], film_writer.FilmWriter.finish

    def observed(self):
        found.extend(
            os.sched_getscheduler(int(path.name)) for path in Path("/proc/self/task").iterdir()
        )
        finish(self)

    monkeypatch.setattr(film_writer.FilmWriter, "finish", observed)
    warned(capfd, "a.mp4", "b.mp4", "--codec", "libsvtav1")
    assert set(found) == {os.sched_getscheduler(0)} == {os.SCHED_OTHER}


def test_part_of_hdr10_metadata(capsys):
    hdr_film("a.mkv", light=None)
    assert warned(capsys, "a.mkv", "b.mkv") == []
    reader = FilmReader(films.Path("b.mkv"))
    assert (reader.info().hdr.light, reader.info().hdr.luminance[1]) == (None, 1000)
    reader.close()


def test_hdr10_metadata_that_cannot_be_written(capsys):
    hdr_film("a.mp4")
    lines = warned(capsys, "a.mp4", "b.mkv", "--codec", "mpeg4")
    assert "b.mkv: mpeg4 does not store the HDR10 metadata of the video" in lines


def test_metadata_of_single_frames_is_reported(capsys, monkeypatch):
    monkeypatch.setattr("fastrestore._io.film_reader.read_hdr", lambda _: HdrMetadata(dynamic=True))
    draw_video("a.mkv", count=2)
    assert warned(capsys, "a.mkv", "b.mkv") == [
        "b.mkv: libx264 does not store the dynamic HDR metadata of the video"
    ]


def test_lossless_hdr_film_keeps_everything_else(capsys, folder):
    """FFV1 leaves HDR10 metadata to the container, on a way of its own."""
    tracks = [sound("aac", "eng")]
    params = f"log-level=none:master-display={MASTERING}:max-cll=1000,400"
    draw_video(
        "a.mkv", codec="libx265", pixels="yuv420p10le", count=9, colors=HDR, aspect=Fraction(4, 3),
        rotation=90, tracks=tracks, options={"x265-params": params}, metadata={"title": "x"},
    )  # fmt: skip
    assert warned(capsys, "a.mkv", "b.mkv", "--lossless") == []
    (before, old), (after, new) = first("a.mkv"), first("b.mkv")
    assert new.codec == "ffv1"
    assert (new.rate, after.rotation) == (old.rate, before.rotation)
    assert new.metadata["title"] == "x"
    for name in HDR:
        assert getattr(after, name) == getattr(before, name)
    (old_times, old_frames), (new_times, new_frames) = frames("a.mkv"), frames("b.mkv")
    assert new_times == old_times
    for one, other in zip(chain(*old_frames), chain(*new_frames), strict=True):
        np.testing.assert_array_equal(one, other)
    assert packets("b.mkv", "audio") == packets("a.mkv", "audio")


@pytest.mark.parametrize("target", ["b.webm", "b.mkv", "b.mp4"])
def test_aspect_ratio_that_is_lost(capsys, target):
    draw_video("a.mp4", codec="libx264", count=3, aspect=Fraction(4, 3))
    lines = warned(capsys, "a.mp4", target, "--codec", "libvpx-vp9")
    if target == "b.mp4":
        assert (lines, first(target)[1].aspect) == ([], Fraction(4, 3))
    else:
        assert lines == [
            f"{target}: libvpx-vp9 does not store that pixels are 4/3 times as wide as high; "
            ".mp4 stores it"
        ]


# Alpha


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx"])
@pytest.mark.parametrize("target", ["b.webm", "b.mkv"])
def test_alpha_of_vp9_is_kept(capsys, codec, target):
    """FFmpeg's own decoders of VP8 and VP9 ignore alpha."""
    drawn = draw_video("a.webm", codec=codec, pixels="yuva420p", count=5, sigma=3,
                       options={"crf": "4", "b": "0", "auto-alt-ref": "0"})  # fmt: skip
    encoder = ["--codec", codec] if target == "b.webm" else ["--codec", "ffv1"]
    assert warned(capsys, "a.webm", target, *encoder) == []
    alpha = alpha_planes(target)
    assert len(alpha) == 5
    for found, planes in zip(alpha, drawn, strict=True):
        assert np.abs(found.astype(float) - planes[3]).mean() < 4
    with av.open(target) as container:
        claimed = container.streams.video[0].metadata.get("alpha_mode") == "1"
    assert claimed == (target == "b.webm")


def alpha_planes(path):
    reader = FilmReader(films.Path(path))
    found = [planes_of(frame.origin)[3].copy() for frame in reader.frames()]
    assert reader.damage() is None
    reader.close()
    return found


@pytest.mark.parametrize("pixels", ["bgra", "gbrap16le", "yuva444p10le", "yuva422p"])
def test_alpha_of_any_format_is_kept_in_vp9(capsys, pixels):
    """The encoder lists other formats with alpha than yuva420p, but does not open them."""
    draw_video("a.mkv", pixels=pixels, count=2, sigma=0, colors={})
    lines = warned(capsys, "a.mkv", "b.webm", "--crf", "4")
    assert len(lines) == 1
    assert lines[0].startswith(f"libvpx-vp9 does not support {pixels}; the video is converted to ")
    assert "yuva420p" in lines[0]
    depth = first("a.mkv")[0].format.components[0].bits - 8
    for old, new in zip(alpha_planes("a.mkv"), alpha_planes("b.webm"), strict=True):
        assert np.abs((old >> depth).astype(int) - new).mean() < 3


def test_alpha_is_not_claimed_where_it_is_lost(capsys):
    draw_video("a.webm", codec="libvpx-vp9", pixels="yuva420p", count=3, options={"crf": "4"})
    lines = warned(capsys, "a.webm", "b.mkv")
    assert lines == [
        "libx264 does not support yuva420p; the video is converted to yuv420p, without alpha"
    ]
    with av.open("b.mkv") as container:
        track = container.streams.video[0]
        assert (track.metadata.get("alpha_mode"), track.codec_context.name) == (None, "h264")


def test_rotation_of_a_film_with_alpha_is_kept(capsys):
    draw_video("a.mkv", codec="libvpx-vp9", pixels="yuva420p", count=3, rotation=90)
    assert warned(capsys, "a.mkv", "b.mkv", "--codec", "libvpx-vp9") == []
    with av.open("b.mkv") as container:
        assert next(container.decode(video=0)).rotation == 90


@pytest.mark.parametrize("pixels", ["yuva420p", "yuva444p10le", "gbrap12le"])
def test_alpha_of_an_enlarged_frame(pixels):
    draw_video("a.mkv", pixels=pixels, count=1, colors={})
    reader = FilmReader(films.Path("a.mkv"))
    frame = next(reader.frames())
    values = films.frame_pixels(frame).repeat(2, 0).repeat(2, 1)
    made = films.frame_from_pixels(values, frame).origin
    old, new = planes_of(frame.origin)[3].astype(float), planes_of(made)[3].astype(float)
    assert new.shape == (96, 128)
    means = new.reshape(48, 2, 64, 2).mean((1, 3))
    assert np.corrcoef(means.ravel(), old.ravel())[0, 1] > 0.99
    assert abs(means.mean() - old.mean()) < 0.01 * old.mean()
    reader.close()


# Interlaced films


def interlaced_film(path, codec, order, colors=()):
    """Draw frames of two fields; `order` is "tff" or "bff", the field that comes first."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=64, height=48, format="yuv420p", time_base=Fraction(1, 25))
    field, sink = graph.add("setfield", order), graph.add("buffersink")
    source.link_to(field)
    field.link_to(sink)
    graph.configure()
    with av.open(path, "w") as out:
        track = out.add_stream(codec, rate=25)
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        context = track.codec_context
        context.flags |= FIELDS
        if NAMED and codec != "mpeg4":
            context.field_order = {"tff": 2, "bff": 3}[order]
        for number in range(4):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([40 * number + 20]) * plane.buffer_size)
            frame.pts = number
            graph.push(frame)
            out.mux(track.encode(graph.pull()))
        out.mux(track.encode(None))


def fields(path):
    """Return the field order of each frame: "P" for progressive, "T" or "B" for interlaced."""
    graph, found = av.filter.Graph(), []
    level = av.logging.get_level()
    with av.open(path) as container:
        track = container.streams.video[0]
        source, show, sink = graph.add_buffer(track), graph.add("showinfo"), graph.add("buffersink")
        source.link_to(show)
        show.link_to(sink)
        graph.configure()
        for frame in container.decode(track):
            av.logging.set_level(av.logging.INFO)
            with av.logging.Capture() as lines:
                graph.push(frame)
                graph.pull()
            av.logging.set_level(level)
            found += [line[2].split(" i:")[1][0] for line in lines if " i:" in line[2]]
    return "".join(found)


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize(
    ("source", "codec"), [("a.mp4", "libx264"), ("a.avi", "mpeg4"), ("a.mpg", "mpeg2video")]
)
@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("b.mp4", []),
        ("b.mkv", []),
        ("b.avi", []),
        ("b.mkv", ["--lossless"]),
        ("b.mp4", ["--lossless"]),
    ],
)
def test_field_order_is_kept(capsys, order, source, codec, target, words):
    interlaced_film(source, codec, order)
    letter = {"tff": "T", "bff": "B"}[order]
    assert fields(source) == 4 * letter
    lines = warned(capsys, source, target, *words)
    assert lines == [f"{source} is interlaced; deinterlace it first"]
    assert fields(target) == 4 * letter
    if NAMED and codec == "mpeg2video" and target != "b.avi":
        with av.open(target) as container:
            assert container.streams.video[0].codec_context.field_order == {"T": 2, "B": 3}[letter]


def test_progressive_film_stays_progressive(capsys):
    draw_video("a.mkv", count=3)
    works(capsys, "video", "a.mkv", "-o", "b.mp4", "--sigma", "0.1")
    assert fields("b.mp4") == "PPP"


def test_encoder_without_fields(capsys):
    interlaced_film("a.mp4", "libx264", "tff")
    assert warned(capsys, "a.mp4", "b.webm") == [
        "b.webm: libvpx-vp9 does not support interlaced video; the frames are flagged progressive",
        "a.mp4 is interlaced; deinterlace it first",
    ]


# Subtitles


def subtitles(path, codec, lines, convert=str.encode):
    """Add a track of subtitles, one line for each 400 ms, to a film."""
    with av.open(path, "w") as out:
        track = out.add_stream("libx264", rate=25)
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        if codec == "mov_text":
            text = out.add_stream(codec)
            text.codec_context.subtitle_header = b"[Script Info]\n[V4+ Styles]\n[Events]\n"
            text.codec_context.time_base = Fraction(1, 1000)
        else:
            text = out.add_mux_stream(codec)
        text.time_base = Fraction(1, 1000)
        text.metadata["language"] = "eng"
        for number in range(25):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([100]) * plane.buffer_size)
            frame.pts = number
            out.mux(track.encode(frame))
        for number, line in enumerate(lines):
            packet = av.Packet(convert(line))
            packet.pts = packet.dts = 100 + 400 * number
            packet.duration, packet.time_base, packet.stream = 300, Fraction(1, 1000), text
            out.mux(packet)
        out.mux(track.encode(None))


def sample(text):
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def lines_of(path):
    """Return codec, language, and time and text of each subtitle of a film."""
    with av.open(path) as container:
        track = container.streams.subtitles[0]
        found = []
        for packet in container.demux(track):
            data = bytes(packet)
            data = data[2:] if track.name == "mov_text" else data
            if data:
                found.append((float(packet.pts * packet.time_base), data.decode()))
        name = {"srt": "subrip"}.get(track.name, track.name)  # FFmpeg's name of the decoder
        return name, track.metadata.get("language"), found


LINES = ["one", "zwei Wörter", "三"]


@pytest.mark.parametrize(
    ("source", "codec", "target", "kept"),
    [
        ("a.mp4", "mov_text", "b.mkv", "subrip"),
        ("a.mp4", "mov_text", "b.webm", "webvtt"),
        ("a.mp4", "mov_text", "b.mov", "mov_text"),
        ("a.mkv", "subrip", "b.mp4", "mov_text"),
        ("a.mkv", "subrip", "b.webm", "webvtt"),
        ("a.mkv", "subrip", "b.mkv", "subrip"),
    ],
)
def test_subtitles_are_kept(capsys, source, codec, target, kept):
    subtitles(source, codec, LINES, sample if codec == "mov_text" else str.encode)
    assert lines_of(source) == (codec, "eng", list(zip([0.1, 0.5, 0.9], LINES, strict=True)))
    assert warned(capsys, source, target) == []
    assert lines_of(target) == (kept, "eng", list(zip([0.1, 0.5, 0.9], LINES, strict=True)))


def test_tags_of_style_are_no_text_in_mp4(capsys):
    subtitles("a.mkv", "subrip", ["<i>one</i> < 2", '<font color="#fff">two</font>'])
    assert warned(capsys, "a.mkv", "b.mp4") == []
    assert [text for _, text in lines_of("b.mp4")[2]] == ["one < 2", "two"]


@pytest.mark.parametrize(("source", "target"), [("a.mp4", "b.avi"), ("a.mkv", "b.mp4")])
def test_subtitles_that_are_dropped(capsys, source, target):
    codec = "mov_text" if source == "a.mp4" else "ssa"
    subtitles(source, codec, ["0,0,Default,,0,0,0,,one"], sample if codec == "mov_text" else
              str.encode)  # fmt: skip
    assert warned(capsys, source, target) == [
        f"{target}: {target[1:]} does not support track 1 (subtitle, {codec}) of the video, which "
        "is not written"
    ]
    assert len(frames(target)[0]) == 25


@pytest.mark.parametrize("target", ["b.mp4", "b.mkv", "b.webm"])
def test_subtitles_of_an_unknown_kind(capsys, folder, target):
    subtitles("a.mkv", "subrip", LINES)
    data = (folder / "a.mkv").read_bytes()
    (folder / "a.mkv").write_bytes(data.replace(b"S_TEXT/UTF8", b"S_TEXT/XXXX"))
    assert warned(capsys, "a.mkv", target) == [
        f"{target}: {target[1:]} does not support track 1 (subtitle, unknown) of the video, which "
        "is not written"
    ]
    assert len(frames(target)[0]) == 25


# Tags


@pytest.mark.parametrize(
    ("source", "target"),
    [("a.mkv", "b.mkv"), ("a.mp4", "b.mp4"), ("a.avi", "b.mkv"), ("a.mkv", "b.mp4")],
)
def test_tags_that_are_not_utf8(capsys, folder, source, target):
    codec = {"a.mkv": "ffv1", "a.mp4": "libx264", "a.avi": "mpeg4"}[source]
    draw_video(source, codec=codec, count=2, metadata={"title": "@@@@ caf@ @@@@"})
    data = (folder / source).read_bytes()
    title = b"\xfc\xff\xfe\x80 caf\xe9 \xed\xa0\x80\xfd"
    assert data.count(b"@@@@ caf@ @@@@") == 1
    (folder / source).write_bytes(data.replace(b"@@@@ caf@ @@@@", title))
    assert warned(capsys, source, target) == []
    assert title in (folder / target).read_bytes()


# Files that are no films


@pytest.mark.parametrize("name", ["c.mp4", "c.mkv", "c.ffconcat"])
@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile secret.mkv\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.mkv\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
        "1\n00:00:01,000 --> 00:00:02,000\nwords\n",
    ],
)
def test_only_the_named_file_is_opened(capsys, folder, identity, name, text):
    draw_video("secret.mkv", count=3)
    (folder / name).write_text(text)
    line = fails(capsys, "video", name, "-o", "out.mkv", "--sigma", "0.1", status=1)
    assert line.startswith(f"cannot read {name}: ")
    assert line.endswith(("such as MP4, MKV, WebM, AVI or MPEG-TS", "when processing input"))
    assert identity == []
    assert names(folder) == sorted([name, "secret.mkv"])


@pytest.mark.parametrize("name", ["data:a.mkv", "http:a.mkv", "pipe:0.mkv", "a%d.mkv", "a?b=c.mkv"])
def test_names_that_look_like_addresses(capsys, folder, name):
    draw_video("x.mkv", count=2)
    (folder / "x.mkv").rename(folder / name)
    assert warned(capsys, name, "concat:b.mkv") == []
    assert names(folder) == sorted([name, "concat:b.mkv"])


# Damaged sample frames


def test_noise_of_a_film_without_samples(capsys, monkeypatch, folder):
    """Where nothing can be decoded after a seek, the noise is that of the first frame."""
    drawn = draw_video("a.mkv", codec="libx264", count=30, options={"g": "30", "qp": "0"})
    monkeypatch.setattr("fastrestore._io.film_reader._sample", lambda *_: None)
    reader = FilmReader(folder / "a.mkv")
    samples = list(reader.samples())
    reader.close()
    assert len(samples) == 1
    np.testing.assert_array_equal(samples[0][0], drawn[0][0])
    works(capsys, "video", "a.mkv", "-o", "b.mkv", "--sigma", "auto")


def test_damaged_film_with_unknown_noise(capsys, folder, identity):
    draw_video("a.mkv", codec="libx264", count=30, options={"g": "30"})
    data = bytearray((folder / "a.mkv").read_bytes())
    with av.open("a.mkv") as container:
        for number, packet in enumerate(container.demux(video=0)):
            if number and packet.size:
                data[packet.pos + 20 : packet.pos + packet.size] = bytes(packet.size - 20)
    (folder / "b.mkv").write_bytes(data)
    line = fails(capsys, "video", "b.mkv", "-o", "c.mkv", "--sigma", "auto", status=1)
    assert line.startswith("b.mkv is damaged or truncated: ")
    assert identity[0]["sigma"] > 5


def test_film_that_starts_with_a_damaged_frame(capsys, folder, identity):
    """The samples start beyond it, as the frames do."""
    draw_video("b.mkv", codec="libx264", count=20, options={"g": "5"})
    data = bytearray((folder / "b.mkv").read_bytes())
    with av.open("b.mkv") as container:
        first = next(container.demux(video=0))
    data[first.pos + 8 : first.pos + first.size] = bytes(first.size - 8)
    (folder / "b.mkv").write_bytes(data)
    line = fails(capsys, "video", "b.mkv", "-o", "c.mkv", "--sigma", "auto", status=1)
    assert line.startswith("b.mkv is damaged or truncated: ")
    assert identity[0]["sigma"] > 5


@pytest.mark.parametrize("count", [1, 2, 3])
def test_repeated_frames_of_avi_are_no_damage(capsys, folder, count):
    """AVI counts frames without a packet, which repeat the one before."""
    draw_video("a.avi", codec="mpeg4", count=count)
    assert warned(capsys, "a.avi", "b.mkv") == []
    data = (folder / "a.avi").read_bytes()
    (folder / "c.avi").write_bytes(data[: len(data) * 9 // 10])
    line = fails(capsys, "video", "c.avi", "-o", "d.mkv", "--sigma", "0.1", status=1)
    assert line.startswith(("c.avi is damaged or truncated: ", "cannot read c.avi: "))


def test_samples_of_another_size_are_left_out(folder):
    draw_video("a.ts", codec="libx264", count=30)
    draw_video("b.ts", codec="libx264", count=90, size=(80, 48))
    (folder / "c.ts").write_bytes((folder / "a.ts").read_bytes() + (folder / "b.ts").read_bytes())
    reader = FilmReader(folder / "c.ts")
    assert {planes[0].shape for planes in reader.samples()} == {(48, 64)}
    reader.close()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("sounds", [[], [sound("aac")]])
@pytest.mark.parametrize("name", ["a.ts", "a.mkv"])
def test_time_stamps_of_joined_films(capsys, folder, name, sounds):
    """They start again in the middle, which no container can store."""
    draw_video(name, codec="libx264", count=6, tracks=sounds)
    data = (folder / name).read_bytes()
    (folder / f"b{name}").write_bytes(data + data)
    joined = f"b{name}"
    status = main(["video", joined, "-o", "c.mkv", "--sigma", "0.1"])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == (
        f"fastrestore: warning: {joined}: time stamps go back after 6 frames; the rest follows "
        "without a gap"
    )
    # The packets of MPEG-TS are numbered, so that the joint looks like a gap.
    assert (status, len(lines)) == ((1, 2) if name == "a.ts" else (0, 1))
    times, planes = frames("c.mkv")
    assert len(planes) == 12
    assert all(0 < after - before < 1 for before, after in pairwise(times))


def test_sound_that_no_container_supports(capsys, folder):
    """A damaged track of sound does not end the restoration, if Matroska is written."""
    draw_video("a.mp4", codec="libx264", count=3, tracks=[sound("aac")])
    data = (folder / "a.mp4").read_bytes()
    assert data.count(b"mp4a") == 1
    (folder / "a.mp4").write_bytes(data.replace(b"mp4a", b"zzzz").replace(b"esds", b"free"))
    label = "track 1 (audio, unknown) of the video"
    assert warned(capsys, "a.mp4", "b.mkv") == [
        f"b.mkv: .mkv does not support {label}, which is not written"
    ]
    line = fails(capsys, "video", "a.mp4", "-o", "b.mp4", "--sigma", "0.1", status=1)
    assert line == f"b.mp4: .mp4 does not support {label}; write .mkv"


@pytest.mark.parametrize("part", [0.3, 0.9, 0.97])
@pytest.mark.parametrize("name", ["a.mp4", "f.mp4", "a.mov"])
def test_truncated_mp4(capsys, folder, name, part):
    """Also where the index at the end is cut, which FFmpeg reads as far as it goes."""
    muxer = {"movflags": "+faststart"} if name == "f.mp4" else {}
    draw_video(name, codec="libx264", count=12, tracks=[sound("aac")], muxer=muxer)
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: int(part * len(data))])
    line = fails(capsys, "video", name, "-o", "out.mkv", "--sigma", "0.1", status=1)
    assert line.startswith((f"{name} is damaged or truncated: ", f"cannot read {name}: "))


def test_enlarged_film_is_progressive(folder):
    interlaced_film("a.mp4", "libx264", "tff")
    reader = films.open_reader("a.mp4", None)
    writer = films.open_writer("b.mp4", reader, EncoderOptions(), 2)
    assert not writer._context.flags & FIELDS
    writer.abort()
    reader.close()
    assert names(folder) == ["a.mp4"]
