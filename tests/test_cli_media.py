"""The command line: images, stacks, volumes and videos in one folder, by one command."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from pathlib import Path

import av
import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image
from support.commandline import fails, keep_images, names, png, with_info, works
from support.videos import draw_video, frames, keep_frames, packets, sound
from support.volumes import SERIES, nifti

import fastrestore
from fastrestore.cli import main
from fastrestore.cli.signals import stopping

RNG = np.random.default_rng(0)
PLANES = RNG.integers(0, 60000, (2, 3, 16, 18)).astype(np.uint16)

pytestmark = pytest.mark.filterwarnings("ignore:.*skipped files that are not:UserWarning")


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def identity(monkeypatch):
    """Replace the algorithms by the identity, so that files have to come back as they were."""
    keep_images(monkeypatch)
    keep_frames(monkeypatch)

    def bm4d(volume, sigma=None, **options):
        return with_info(volume.astype(np.float64), options)

    monkeypatch.setattr(fastrestore, "bm4d", bm4d)


def mixed():
    """Fill a folder with one file of each kind, and with others that are broken."""
    Path("in").mkdir()
    draw_video("in/film.mp4", codec="libx264", count=4, tracks=[sound("aac")])
    Image.fromarray(RNG.integers(0, 255, (16, 24, 3), np.uint8)).save("in/phone.jpg")
    tifffile.imwrite("in/deep.tif", PLANES[0, 0])
    tifffile.imwrite("in/scope.ome.tif", PLANES, ome=True, metadata={"axes": "TZYX"})
    nifti("in/mr.nii.gz", SERIES[..., 0])
    Path("in/list.mp4").write_text("ffconcat version 1.0\nfile film.mp4\n")
    Path("in/notes.txt").write_text("notes")


MADE = ["deep.tif", "film.mp4", "mr.nii.gz", "phone.jpg", "scope.ome.tif"]


def test_a_folder_of_everything(capsys, identity):
    mixed()
    assert main(["denoise", "in", "-o", "out", "--sigma", "0.05", "--report", "r.json"]) == 1
    out, err = capsys.readouterr()
    assert names(Path("out")) == MADE
    assert len(out.splitlines()) == 5
    lines = err.splitlines()
    assert lines[0].startswith("fastrestore: error: cannot read in/list.mp4: its format is not")
    assert lines[1:] == ["6 files: 5 restored, 1 failed"]
    np.testing.assert_array_equal(tifffile.imread("out/scope.ome.tif"), PLANES)
    np.testing.assert_array_equal(nibabel.load("out/mr.nii.gz").dataobj, SERIES[..., 0])
    assert len(frames("out/film.mp4")[0]) == 4
    assert packets("out/film.mp4", "audio") == packets("in/film.mp4", "audio")
    methods = {
        Path(each["input"]).name: each.get("method")
        for each in json.loads(Path("r.json").read_text())["files"]
    }
    assert methods == {
        "deep.tif": "bm3d", "film.mp4": "vbm3d", "list.mp4": None, "mr.nii.gz": "bm4d",
        "phone.jpg": "bm3d", "scope.ome.tif": "bm3d",
    }  # fmt: skip
    assert main(["denoise", "in", "-o", "out", "--sigma", "0.05"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "6 files: 5 skipped, 1 failed"


def test_names_beside_the_inputs(capsys, identity):
    mixed()
    Path("in/list.mp4").unlink()
    draw_video("in/clip.ts", codec="libx264", count=3)
    works(capsys, "denoise", "in/film.mp4", "in/mr.nii.gz", "--sigma", "0.05", "--quiet")
    works(capsys, "denoise", "in", "--sigma", "0.05", "--quiet")
    made = {name for name in names(Path("in")) if "-restored" in name}
    assert made == {
        "clip-restored.mkv", "deep-restored.tif", "film-restored.mp4", "mr-restored.nii.gz",
        "phone-restored.jpg", "scope-restored.ome.tif",
    }  # fmt: skip
    before = names(Path("in"))
    works(capsys, "denoise", "in", "--sigma", "0.05", "--quiet")
    assert names(Path("in")) == before  # results are no inputs


@pytest.mark.parametrize("command", ["denoise", "video"])
def test_line_of_a_film(capsys, command):
    draw_video("a.mkv", count=3, sigma=8)
    words = ["--radius", "1"] if command == "video" else []
    line = works(capsys, command, "a.mkv", *words).strip()
    start, noise, method, count, _ = line.replace(": ", "; ", 1).split("; ")
    assert start == "a.mkv -> a-restored.mkv"
    assert noise.startswith("white noise, sigma ")
    levels = [float(word) for word in noise.removeprefix("white noise, sigma ").split(", ")]
    assert levels == pytest.approx([8, 8, 8], rel=0.3)
    assert (method, count) == ("vbm3d, video, numba", "3 frames")


def test_film_and_volume_equal_their_commands(capsys):
    draw_video("a.mkv", count=3, size=(32, 32))
    nifti("a.nii", SERIES[..., 0])
    for source, command in (("a.mkv", "video"), ("a.nii", "volume")):
        kind = Path(source).suffix
        common = ["--quiet", "--strength", "0.8", "--stage", "basic"]
        more = ["--lossless", "--profile", "fast"] if command == "video" else []
        works(capsys, "denoise", source, "-o", f"b{kind}", *common, *more)
        works(capsys, command, source, "-o", f"c{kind}", *common, *more)
    np.testing.assert_array_equal(frames("b.mkv")[1][1][0], frames("c.mkv")[1][1][0])
    assert Path("b.nii").read_bytes() == Path("c.nii").read_bytes()


def test_films_of_one_command(capsys, identity):
    for name in ("a.mkv", "b.mkv"):
        draw_video(name, count=2)
    Path("c.mkv").write_bytes(b"")
    Path("b-restored.mkv").write_bytes(b"kept")
    assert main(["video", "a.mkv", "b.mkv", "c.mkv", "--sigma", "0.1"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("a.mkv -> a-restored.mkv: ")
    assert "b.mkv: skipped, b-restored.mkv exists already; add --overwrite" in out
    assert "cannot read c.mkv: " in err
    assert err.endswith("3 files: 1 restored, 1 skipped, 1 failed\n")
    assert Path("b-restored.mkv").read_bytes() == b"kept"
    assert not Path("c-restored.mkv").exists()


@pytest.mark.parametrize("command", ["video", "volume"])
def test_second_name_is_the_output(capsys, command):
    """The output is given by -o, as for all commands."""
    draw_video("a.mkv", count=2)
    assert fails(capsys, command, "a.mkv", "b.mkv") == (
        "b.mkv: no such file; if this is the output, write -o b.mkv"
    )


def test_resume_of_a_film(capsys, identity, monkeypatch, tmp_path):
    monkeypatch.setenv("FASTRESTORE_RECORDS", str(tmp_path / "records"))
    draw_video("a.mkv", count=2)
    words = ["denoise", "a.mkv", "--resume", "--sigma"]
    assert "frames" in works(capsys, *words, "0.1")
    assert "is up to date" in works(capsys, *words, "0.1")
    assert "frames" in works(capsys, *words, "0.2")


def test_dry_run_reads_nothing(capsys):
    Path("a.mp4").write_bytes(b"words")
    assert works(capsys, "denoise", "a.mp4", "--dry-run") == "a.mp4 -> a-restored.mp4\n"
    assert names(Path()) == ["a.mp4"]


def test_pages(capsys, identity):
    draw_video("a.mkv", count=3)
    nifti("b.nii")
    words = ["a.mkv", "b.nii", "-o", "out", "--sigma", "0", "--compare", "pages"]
    assert main(["denoise", *words]) == 0
    assert names(Path("pages")) == ["a.html", "b.html"]
    assert "frame 3" in Path("pages/a.html").read_text()
    assert "slice 6, frame 3" in Path("pages/b.html").read_text()


# Numbered images


def numbered(count=3, place="seq"):
    Path(place).mkdir()
    for number in range(count):
        png(Path(place) / f"f{number:03d}.png", RNG.integers(0, 255, (16, 20), np.uint8))


def test_numbered_images_are_images_unless_a_pattern_is_given(capsys, identity):
    numbered()
    assert main(["denoise", "seq", "-o", "a", "--sigma", "0.1"]) == 0
    assert capsys.readouterr().err == "3 files: 3 restored\n"
    line = works(capsys, "denoise", "seq/f%03d.png", "-o", "b", "--sigma", "0.1")
    assert line.startswith("seq/f%03d.png -> b/f%03d.png: ")
    assert "vbm3d, video" in line
    assert names(Path("b")) == ["f000.png", "f001.png", "f002.png"]
    works(capsys, "denoise", "seq/f%03d.png", "--sigma", "0.1")
    assert [name for name in names(Path("seq")) if "restored" in name] == [
        f"f{number:03d}-restored.png" for number in range(3)
    ]
    assert "skipped" in works(capsys, "denoise", "seq/f%03d.png", "--sigma", "0.1")
    works(capsys, "denoise", "seq/f%03d.png", "-o", "c.mkv", "--fps", "5", "--sigma", "0.1")
    assert len(frames("c.mkv")[0]) == 3


def test_numbered_images_that_fail_leave_none(capsys, identity):
    numbered()
    png(Path("seq/f003.png"), np.zeros((8, 8), np.uint8))
    line = fails(capsys, "denoise", "seq/f%03d.png", "--sigma", "0.1", status=1)
    assert line.startswith("seq/f003.png has shape (8, 8)")
    assert not [name for name in names(Path("seq")) if "restored" in name]


def test_interrupted_numbered_images_are_not_skipped(capsys, identity):
    """The images of a batch that was killed would be taken for a result."""
    numbered()
    works(capsys, "denoise", "seq/f%03d.png", "--sigma", "0.1")
    Path("seq/f002-restored.png").unlink()
    line = fails(capsys, "denoise", "seq/f%03d.png", "--sigma", "0.1", status=1)
    assert line == (
        "seq/f%03d-restored.png: only a part of the images exists; add --overwrite to replace it"
    )


# Options


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.mkv", "--kernel", "k.npy"], "a.mkv: --kernel k.npy is for images; leave it out for"),
        (["a.mkv", "--as", "volume"], "a.mkv: --as volume is for images; leave it out for videos"),
        (["a.mkv", "--blend", "0.5"], "a.mkv: --blend 0.5 is for images"),
        (["a.mkv", "--profile", "refilter"], "a.mkv: --profile refilter is for images"),
        (["a.mkv", "--profile", "iterative"], "a.mkv: --profile iterative is for images"),
        (["a.mkv", "--noise", "poisson:auto"], "a.mkv: --noise poisson:auto is for images"),
        (["a.nii", "--kernel", "k.npy"], "a.nii: --kernel k.npy is for images; leave it out for "
         "volumes, or write --as planes"),
        (["a.nii", "--chroma-strength", "2"], "a.nii: --chroma-strength 2.0 is for images"),
        (["a.png", "--crf", "9"], "--crf is for videos, and a.png is not one; leave it out"),
        (["a.mkv", "-o", "b.png"], "b.png: unknown extension '.png'; use one of .mp4"),
        (["a.nii", "-o", "b.mp4"], "b.mp4: unknown extension '.mp4'; use one of .tif"),
        (["a.png", "-o", "b.mp4"], "b.mp4: unknown extension '.mp4'; use one of .png"),
        (["a.png", "-o", "b.nii"], "b.nii: unknown extension '.nii'; use one of .png"),
    ],
)  # fmt: skip
def test_options_that_do_not_apply(capsys, words, message):
    draw_video("a.mkv", count=2)
    nifti("a.nii")
    png(Path("a.png"))
    np.save("k.npy", np.ones((3, 3)))
    before = names(Path())
    status = 1 if words[-2] == "-o" else 2
    assert fails(capsys, "denoise", *words, status=status).startswith(message)
    assert names(Path()) == before


@pytest.mark.parametrize("name", ["a.mkv", "a.nii"])
def test_commands_for_images_say_what_accepts_videos_and_volumes(capsys, name):
    Path(name).write_bytes(b"words")
    line = fails(capsys, "sharpen", name)
    what = "a video" if name == "a.mkv" else "a volume"
    assert line == (
        f"{name} is {what}, and this command restores images; `fastrestore denoise` accepts it"
    )


@pytest.mark.parametrize("kind", ["film", "volume"])
def test_kind_of_one_image_is_said(capsys, identity, kind):
    png(Path("a.png"))
    line = works(capsys, "denoise", "a.png", "--as", kind, "--sigma", "0.1")
    assert f"; one image, to which --as {kind} does not apply; " in line


# Damage


def test_broken_files_do_not_end_a_batch(capsys, identity):
    draw_video("good.mkv", count=3)
    draw_video("cut.mkv", codec="libx264", count=20)
    data = Path("cut.mkv").read_bytes()
    Path("cut.mkv").write_bytes(data[: len(data) // 2])
    draw_video("none.avi", count=0)
    values = SERIES.astype(np.float32)
    values[0] = np.nan
    nifti("nan.nii", values)
    with tifffile.TiffWriter("sizes.tif") as out:
        for page in (PLANES[0, 0], PLANES[0, 0, :9]):
            out.write(page, photometric="minisblack", contiguous=False)
    sources = ["good.mkv", "cut.mkv", "none.avi", "nan.nii", "sizes.tif"]
    assert main(["denoise", *sources, "-o", "out", "--noise", "white"]) == 1
    out, err = capsys.readouterr()
    errors = [line.removeprefix("fastrestore: error: ") for line in err.splitlines()]
    assert out.startswith("good.mkv -> out/good.mkv: ")
    starts = ("cut.mkv is damaged or truncated: ", "cannot read none.avi: no frame could be",
              "nan.nii: at T=0, axes ZYX: volume has values that are NaN",
              "cannot read sizes.tif: its pages differ in size or type")  # fmt: skip
    assert all(any(line.startswith(start) for line in errors) for start in starts)
    assert errors[-1] == "5 files: 1 restored, 4 failed"
    assert names(Path("out")) == ["cut.mkv", "good.mkv"]


def test_film_of_varying_rate_keeps_its_times(capsys, identity):
    times = [0, 25, 75, 80, 200]
    draw_video("a.mkv", count=5, times=times)
    works(capsys, "denoise", "a.mkv", "--sigma", "0.1")
    assert frames("a-restored.mkv")[0] == frames("a.mkv")[0]


@pytest.mark.parametrize("several", [False, True])
def test_interrupted_film(capsys, monkeypatch, several):
    """The frames of a single film are kept; in a batch, a part would be taken for a result."""
    draw_video("a.mkv", count=4)
    shutil.copy("a.mkv", "b.mkv")

    def vbm3d(video, sigma=None, **options):
        yield from (frame.astype(np.float32) for frame, _ in zip(video, range(2), strict=False))
        raise KeyboardInterrupt

    monkeypatch.setattr("fastrestore.vbm3d", vbm3d)
    sources = ["a.mkv", "b.mkv"] if several else ["a.mkv"]
    assert main(["denoise", *sources, "--sigma", "0.1", "--stage", "basic"]) == 130
    err = capsys.readouterr().err
    if several:
        assert names(Path()) == ["a.mkv", "b.mkv"]
    else:
        assert err == "fastrestore: interrupted: 2 frames were written to a-restored.mkv\n"
        with av.open("a-restored.mkv") as film:
            assert sum(1 for _ in film.decode(video=0)) == 2


def test_interrupted_films_in_threads(capsys, monkeypatch):
    """They end with the next frame; images that have begun are completed."""
    for name in ("a.mkv", "b.mkv"):
        draw_video(name, count=4)
    both = threading.Barrier(2, timeout=60)

    def vbm3d(video, sigma=None, **options):
        for number, frame in enumerate(video):
            if number == 1 and frame.ndim == 2:
                both.wait()
                os.kill(os.getpid(), signal.SIGINT)
                stopping.wait(60)
            yield frame.astype(np.float32)

    monkeypatch.setattr("fastrestore.vbm3d", vbm3d)
    assert main(["denoise", "a.mkv", "b.mkv", "--sigma", "0.1", "--jobs", "2"]) == 130
    assert not stopping.is_set()
    assert capsys.readouterr().err == "fastrestore: interrupted: 0 files, of 2; --resume goes on\n"
    assert names(Path()) == ["a.mkv", "b.mkv"]
