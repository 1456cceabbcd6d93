"""The command line: `video`, its errors, damaged videos and Ctrl-C."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading

import av
import numpy as np
import pytest
from PIL import Image
from support.commandline import fails, names, works
from support.videos import draw_video, frames, keep_frames, packets, sound

import fastrestore
from fastrestore._io import film_writer
from fastrestore.cli import main

LIGHT = ["--sigma", "0.05", "--radius", "1", "--stage", "basic", "--backend", "numba"]


@pytest.fixture
def identity(monkeypatch):
    """Replace vbm3d by the identity, so that frames have to come back as they were."""
    return keep_frames(monkeypatch)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Errors

# What is wrong with one file is found when it is read, and others would be restored
LATER = (
    "cannot", "old%d.png: ", "f%d.npy", "g1.npy", "codec=", "crf=", "lossless", "pixel_format=",
    "b.webm: ",
)  # fmt: skip


@pytest.mark.parametrize(
    ("source", "target", "words", "message"),
    [
        ("none.mp4", "b.mkv", [], "none.mp4: no such file"),
        ("full.mkv", "b.mkv", [], "full.mkv contains no videos (.mp4, .m4v, .mov"),
        ("a.png", "b.mkv", [], "a.png is one image; `fastrestore denoise` restores it"),
        ("text.mp4", "b.mkv", [], "cannot read text.mp4: Invalid data found"),
        ("empty.mp4", "b.mkv", [], "cannot read empty.mp4: Invalid data found"),
        ("sound.mkv", "b.mkv", [], "cannot read sound.mkv: it has no video track, only audio"),
        ("nothing.mkv", "b.mkv", [], "cannot read nothing.mkv: End of file"),
        ("nothing.avi", "b.mkv", [], "cannot read nothing.avi: no frame could be decoded"),
        ("pal.mkv", "b.mkv", [], "cannot read pal.mkv: its pixel format ya8 is not supported"),
        ("a.mkv", "a.mkv", ["--overwrite"], "a.mkv is both input and output; choose another"),
        ("a.mkv", "./a.mkv", ["--overwrite"], "a.mkv is both input and output"),
        ("a.mkv", "there.mkv", [], "there.mkv exists already; add --overwrite to replace it"),
        ("a.mkv", "no/b.mkv", [], "no/b.mkv: there is no directory no; create it first"),
        ("a.mkv", "no/%d.png", [], "no/1.png: there is no directory no; create it first"),
        ("a.mkv", "b.xyz", [], "b.xyz: unknown extension '.xyz'; use one of .mp4, .m4v, .mov"),
        ("a.mkv", "%d.gif", [], "%d.gif: unknown extension '.gif'; use one of .png"),
        ("a.mkv", "%d.jp2", [], "1.jp2: JPEG 2000 is only read"),
        ("a.mkv", "%d%d.png", [], "%d%d.png: expected exactly one number in the file name"),
        ("a.mkv", "%d/%d.png", [], "%d/%d.png: expected exactly one number in the file name"),
        ("a.mkv", "old%d.png", [], "old7.png exists already; add --overwrite to replace it"),
        ("a.mkv", "b.mkv", ["--fps", "25"], "--fps 25 is for images; a.mkv has its own"),
        ("old%d.png", "b.mkv", [], "old%d.png: images have no frame rate; specify fps"),
        ("old%d.png", "b.mkv", ["--fps", "0"], "--fps 0 is not a rate; write for example"),
        ("old%d.png", "b.mkv", ["--fps", "1/0"], "--fps 1/0 is not a rate"),
        ("f%d.npy", "b.mkv", ["--fps", "9"], "f%d.npy: videos are gray or RGB in uint8 or uint16"),
        ("g%d.npy", "%d.tif", [], "g1.npy has shape (16, 16, 3), and .npy does not record"),
        ("a.mkv", "b.mkv", ["--codec", "h9"], "codec='h9': PyAV has no such encoder; choose"),
        ("a.mkv", "b.mkv", ["--codec", "aac"], "codec='aac' encodes audio, not video"),
        (
            "a.mkv",
            "b.webm",
            ["--codec", "ffv1"],
            "b.webm: .webm does not support ffv1; choose another codec",
        ),
        ("a.mkv", "b.avi", ["--crf", "9"], "crf=9: mpeg4 does not support it; leave it out"),
        ("a.mkv", "b.mkv", ["--crf", "64"], "--crf 64 is not a number from 0 (best) to 63"),
        ("a.mkv", "b.mkv", ["--crf", "9", "--lossless"], "--lossless has no quality setting"),
        ("a.mkv", "b.avi", ["--lossless", "--codec", "mpeg4"], "lossless: mpeg4 is not a lossless"),
        ("deep.mkv", "b.webm", ["--lossless"], "lossless: libvpx-vp9 does not support yuv422p12"),
        ("a.mkv", "b.mkv", ["--pixel-format", "x"], "pixel_format='x': libx264 supports yuv420p, "),
        (
            "odd.mkv",
            "b.mp4",
            [],
            "cannot write b.mp4: libx264 needs an even width and height for yuv420p",
        ),
        ("loud.mkv", "b.webm", [], "b.webm: .webm does not support track 1 (audio, pcm_s16le)"),
        ("a.mkv", "%d.png", ["--crf", "9"], "--crf is for videos, and %d.png is a pattern"),
        ("a.mkv", "%d.png", ["--lossless"], "--lossless is for videos"),
        ("a.mkv", "b.mkv", ["--radius", "17"], "--radius 17 is not a number of frames"),
        ("a.mkv", "b.mkv", ["--chroma-strength", "0"], "--chroma-strength 0 is not a positive"),
        ("a.mkv", "b.mkv", ["--sigma", "25"], "--sigma 25 is ambiguous for a.mkv"),
        ("a.mkv", "b.mkv", ["--sigma", "x"], "--sigma x is not a non-negative number"),
        ("a.mkv", "b.mkv", ["--sigma", "auto", "--sigma-scale", "8bit"], "--sigma auto has no"),
    ],
)
def test_errors(capsys, folder, identity, source, target, words, message):
    prepare(folder, source, target)
    before = names(folder)
    status = 1 if message.startswith(LATER) else 2
    line = fails(capsys, "video", source, "-o", target, "--sigma", "0.1", *words, status=status)
    assert line.startswith(message)
    assert identity == []
    assert names(folder) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--workers", "0"], "--workers 0 is not a number of threads"),
        (["--backend", "abacus"], "--backend abacus: there is no such backend"),
    ],
)
def test_errors_of_vbm3d(capsys, folder, words, message):
    draw_video(folder / "a.mkv", count=2)
    line = fails(capsys, "video", "a.mkv", "-o", "b.mkv", "--sigma", "0.1", *words)
    assert line.startswith(message)
    assert names(folder) == ["a.mkv"]


def prepare(folder, source, target):
    """Make what a row of the table above needs."""
    (folder / "full.mkv").mkdir()
    (folder / "text.mp4").write_text("words\n" * 99)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "there.mkv").write_bytes(b"kept")
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(folder / "a.png")
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(folder / "old7.png")
    np.save(folder / "f1.npy", np.zeros((16, 16), np.float32))
    np.save(folder / "g1.npy", np.zeros((16, 16, 3), np.uint8))
    draw_video(folder / "a.mkv", count=2)
    made = {
        "sound.mkv": {"count": 0, "tracks": [sound("aac")]},
        "nothing.mkv": {"count": 0},
        "nothing.avi": {"count": 0},
        "pal.mkv": {"pixels": "ya8", "count": 1, "colors": {}},
        "odd.mkv": {"size": (33, 47), "count": 1},
        "deep.mkv": {"pixels": "yuv422p12le", "count": 1},
        "loud.mkv": {"count": 2, "tracks": [sound("pcm_s16le")]},
    }
    if source in made:
        draw_video(folder / source, **made[source])
    if source == "sound.mkv":
        only_sound(folder / source)


def only_sound(path):
    """Write the sound of a video alone."""
    whole = path.with_name("whole.mkv")
    path.rename(whole)
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        track = out.add_stream_from_template(source.streams.audio[0], opaque=True)
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = track
                out.mux(packet)
    whole.unlink()


def test_without_pyav(capsys, monkeypatch, folder):
    (folder / "a.mp4").write_bytes(b"film")
    monkeypatch.setitem(sys.modules, "av", None)
    line = fails(capsys, "video", "a.mp4", "-o", "b.mp4", "--sigma", "0.1", status=1)
    start = "cannot read a.mp4: videos need PyAV; install it with pip install '.[video]'"
    assert line.startswith(start)


def test_images_need_no_pyav(capsys, monkeypatch, folder, identity):
    Image.fromarray(np.full((16, 16), 9, np.uint8)).save("a1.png")
    monkeypatch.setitem(sys.modules, "av", None)
    works(capsys, "video", "a%d.png", "-o", "b%d.png", "--sigma", "0.1")
    assert names(folder) == ["a1.png", "b1.png"]


@pytest.mark.parametrize("count", [1, 2])
def test_short_videos(capsys, folder, count):
    draw_video(folder / "a.mkv", count=count)
    works(capsys, "video", "a.mkv", "-o", "b.mkv", *LIGHT)
    assert len(frames("b.mkv")[0]) == count


def test_frames_that_change_size(capsys, folder, identity):
    """This occurs in MPEG-TS files that were joined."""
    draw_video(folder / "a.ts", codec="libx264", count=3)
    draw_video(folder / "b.ts", codec="libx264", count=3, size=(80, 48))
    (folder / "c.ts").write_bytes((folder / "a.ts").read_bytes() + (folder / "b.ts").read_bytes())
    line = fails(capsys, "video", "c.ts", "-o", "d.mkv", "--sigma", "0.1", status=1)
    assert line == (
        "c.ts: frame 3 is 80 x 48 yuv420p, the first is 64 x 48 yuv420p"
        "; split the video there first"
    )
    assert names(folder) == ["a.ts", "b.ts", "c.ts"]


@pytest.mark.filterwarnings("default")
def test_warnings(capsys, folder, identity):
    draw_video(folder / "a.mkv", pixels="yuv422p10le", count=3)
    assert main(["video", "a.mkv", "-o", "b.webm", "--sigma", "0.1"]) == 0
    err = capsys.readouterr().err
    assert err.startswith("fastrestore: warning: libvpx-vp9 does not support yuv422p10le; the")
    draw_video(folder / "i.mp4", codec="libx264", count=3, options={"x264-params": "interlaced=1"})
    assert main(["video", "i.mp4", "-o", "j.mp4", "--sigma", "0.1"]) == 0
    assert capsys.readouterr().err == (
        "fastrestore: warning: i.mp4 is interlaced; deinterlace it first\n"
    )
    Image.fromarray(np.zeros((16, 16, 4), np.uint8)).save("p1.png")
    assert (
        main(["video", "p%d.png", "-o", "p.mkv", "--lossless", "--sigma", "0", "--fps", "9"]) == 0
    )
    assert "p.mkv: the alpha of the images is not written" in capsys.readouterr().err
    draw_video(folder / "alpha.mkv", pixels="yuva420p", count=2)
    assert main(["video", "alpha.mkv", "-o", "q%d.png", "--sigma", "0.1"]) == 0
    assert "q%d.png: the alpha of the video is not written" in capsys.readouterr().err


# Damaged videos


@pytest.mark.parametrize("extension", [".mkv", ".mp4"])
def test_truncated_video(capsys, folder, identity, extension):
    whole, cut = folder / f"whole{extension}", folder / f"cut{extension}"
    muxer = {"movflags": "+faststart"} if extension == ".mp4" else {}
    drawn = draw_video(whole, codec="libx264", count=20, muxer=muxer)
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) * 6 // 10])
    line = fails(capsys, "video", cut, "-o", "out.mkv", "--sigma", "0.1", status=1)
    count = len(frames("out.mkv")[0])
    total = " of 20" if extension == ".mp4" else ""
    assert 5 < count < len(drawn)
    assert line == (f"{cut} is damaged or truncated: {count}{total} frames could be read; out.mkv "
                    "holds the result")  # fmt: skip
    works(capsys, "video", whole, "-o", "all.mkv", "--sigma", "0.1")


def test_video_damaged_in_the_middle(capsys, folder, identity):
    draw_video(folder / "a.mkv", codec="libx264", count=10)
    data = bytearray((folder / "a.mkv").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    (folder / "b.mkv").write_bytes(data)
    line = fails(capsys, "video", "b.mkv", "-o", "c.mkv", "--sigma", "0.1", "--lossless", status=1)
    assert line.startswith("b.mkv is damaged or truncated: ")
    assert 3 < len(frames("c.mkv")[0]) <= 10


# Ctrl-C


@pytest.mark.parametrize("target", ["b.mp4", "b.mkv", "%d.png"])
def test_interrupt_keeps_restored_frames(capsys, monkeypatch, folder, target):
    draw_video(folder / "a.mkv", count=12, tracks=[sound("aac")])

    def vbm3d(stream, sigma=None, **options):
        for number, frame in enumerate(stream):
            if number == 5:
                os.kill(os.getpid(), signal.SIGINT)
            yield frame.astype(np.float32)

    monkeypatch.setattr(fastrestore, "vbm3d", vbm3d)
    assert main(["video", "a.mkv", "-o", target, "--sigma", "0.1"]) == 130
    message = f"fastrestore: interrupted: 5 frames were written to {target}\n"
    assert capsys.readouterr() == ("", message)
    if target == "%d.png":
        assert names(folder) == ["1.png", "2.png", "3.png", "4.png", "5.png", "a.mkv"]
        return
    assert names(folder) == ["a.mkv", target]
    assert frames(target)[0] == pytest.approx(frames("a.mkv")[0][:5])
    assert packets(target, "audio")


def test_interrupt_before_the_first_frame(capsys, monkeypatch, folder):
    draw_video(folder / "a.mkv", count=3)

    def vbm3d(stream, sigma=None, **options):
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(fastrestore, "vbm3d", vbm3d)
    assert main(["video", "a.mkv", "-o", "b.mkv", "--sigma", "0.1"]) == 130
    assert capsys.readouterr().err == "fastrestore: interrupted: no frame was written yet\n"
    assert names(folder) == ["a.mkv"]


def test_interrupt_waits_for_a_frame_to_be_written(capsys, monkeypatch, folder, identity):
    draw_video(folder / "a.mkv", count=6)
    write = film_writer.FilmWriter.write

    def interrupted(self, shot):
        os.kill(os.getpid(), signal.SIGINT)
        write(self, shot)

    monkeypatch.setattr(film_writer.FilmWriter, "write", interrupted)
    assert main(["video", "a.mkv", "-o", "b.mkv", "--sigma", "0.1", "--lossless"]) == 130
    assert "1 frame was written to b.mkv" in capsys.readouterr().err
    assert len(frames("b.mkv")[0]) == 1


def test_command_in_a_thread(capsys, folder, identity):
    """Signal handlers cannot be set in a thread."""
    draw_video(folder / "a.mkv", count=2)
    status = []
    argv = ["video", "a.mkv", "-o", "b.mkv", "--sigma", "0.1"]
    thread = threading.Thread(target=lambda: status.append(main(argv)))
    thread.start()
    thread.join()
    assert (status, len(frames("b.mkv")[0])) == ([0], 2)


# Writing


@pytest.mark.parametrize("step", ["pathlib.Path.replace", "os.fsync"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_failed_write_leaves_no_file(capsys, monkeypatch, folder, identity, overwrite, step):
    draw_video(folder / "a.mkv", count=3)
    if overwrite:
        (folder / "b.mkv").write_bytes(b"kept")
    before = {path: path.read_bytes() for path in folder.iterdir()}

    def refused(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(step, refused)
    line = fails(capsys, "video", "a.mkv", "-o", "b.mkv", "--sigma", "0.1", "--overwrite", status=1)
    assert line == "cannot write b.mkv: No space left on device"
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_overwrite(capsys, folder, identity):
    draw_video(folder / "a.mkv", count=3)
    (folder / "b.mkv").write_bytes(b"old")
    (folder / "b.mkv").chmod(0o600)
    works(capsys, "video", "a.mkv", "-o", "b.mkv", "--sigma", "0.1", "--overwrite")
    assert len(frames("b.mkv")[0]) == 3
    assert os.name == "nt" or (folder / "b.mkv").stat().st_mode & 0o777 == 0o600
    assert names(folder) == ["a.mkv", "b.mkv"]


# Progress


class Bar:
    """Stand in for tqdm and record its calls."""

    def __init__(self, **options):
        self.options, self.done = options, 0
        bars.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def update(self):
        self.done += 1

    @staticmethod
    def external_write_mode(file):
        return contextlib.nullcontext()


bars: list[Bar] = []


@pytest.mark.parametrize(
    ("terminal", "words", "shown"), [(True, [], 1), (True, ["--quiet"], 0), (False, [], 0)]
)
@pytest.mark.parametrize("source", ["a.mkv", "a.mp4", "p%d.png"])
def test_progress(monkeypatch, folder, identity, terminal, words, shown, source):
    bars.clear()
    if source == "p%d.png":
        for k in range(6):
            Image.fromarray(np.full((16, 16), k, np.uint8)).save(f"p{k}.png")
    else:
        draw_video(folder / source, count=6, codec="libx264")
    monkeypatch.setattr("tqdm.tqdm", Bar)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    argv = ["video", source, "-o", "b.mkv", "--sigma", "0.1", *words]
    assert main([*argv, *(["--fps", "24"] if source[0] == "p" else [])]) == 0
    assert len(bars) == shown
    for bar in bars:
        assert bar.options == {"total": 6, "desc": "video", "unit": " frames", "leave": False}
        assert bar.done == 6
