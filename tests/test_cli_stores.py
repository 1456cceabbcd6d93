"""The command line: Zarr, HDF5 and TIFF restored in parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.commandline import fails, names, png
from support.large import NOISY, WORDS, enter, run, values, whole
from support.stores import MAKERS, hdf5, ome, two_arrays

import fastrestore
from fastrestore._io.images import to_type
from fastrestore.cli import main

zarr = pytest.importorskip("zarr")

pytestmark = pytest.mark.filterwarnings("always:.*skipped")


@pytest.fixture(autouse=True)
def store(monkeypatch, tmp_path):
    enter(monkeypatch, tmp_path)


def test_a_store_is_restored_as_a_whole_image(capsys):
    out, err = run(capsys, "in.zarr", *WORDS)
    assert (len(out), err) == (1, [])
    assert out[0].startswith("in.zarr -> in-restored.zarr: bm3d, fast; 12 chunks; ")
    np.testing.assert_array_equal(values("in-restored.zarr"), whole())
    assert Path("in-restored.zarr/zarr.json").read_bytes() == Path("in.zarr/zarr.json").read_bytes()
    assert names(Path()) == [".records", "in-restored.zarr", "in.zarr"]


def test_noise_is_estimated(capsys):
    """Without options the result is that of bm3d for the whole image, too."""
    run(capsys, "in.zarr", "-o", "out.zarr", "--chunks", "128", "--profile", "fast")
    expected = fastrestore.bm3d(NOISY, profile="fast")
    np.testing.assert_array_equal(values("out.zarr"), to_type(expected, "u1"))


@pytest.mark.parametrize(
    ("kind", "restore", "line"),
    [
        ("volume", fastrestore.bm4d, "bm4d, volume; 4 chunks"),
        ("film", fastrestore.vbm3d, "vbm3d, video; 1 chunk"),
    ],
)
def test_volumes_and_films(capsys, kind, restore, line):
    stack = np.stack([np.roll(NOISY[:120, :130], k, 1) for k in range(9)])
    zarr.create_array("stack.zarr", data=stack, chunks=(4, 32, 32))
    words = ["--as", kind, "--axes", "ZYX" if kind == "volume" else "TYX", *WORDS[:4]]
    words += ["--chunks", "96"] if kind == "volume" else []
    out, _ = run(capsys, "stack.zarr", "-o", "out.zarr", *words)
    assert line in out[0]
    np.testing.assert_array_equal(values("out.zarr"), to_type(restore(stack, 10), "u1"))


def test_other_formats(capsys):
    """HDF5 and TIFF in parts; each plane is restored by itself."""
    for name in ("a.h5", "pages.tif", "rgba.tif"):
        MAKERS[name](Path(name))
        run(capsys, name, "-o", f"out-{name}", "--sigma", "50", "--sigma-scale", "native",
            "--chunks", "64", "--profile", "fast")  # fmt: skip
        before, after = values(name), values(f"out-{name}")
        if name == "pages.tif":
            before, after = before[1], after[1]
        axis = -1 if name == "rgba.tif" else None
        colors = before[..., :3] if name == "rgba.tif" else before
        expected = fastrestore.bm3d(colors, 50, channel_axis=axis, profile="fast")
        np.testing.assert_array_equal(after[..., :3] if axis else after, to_type(expected, "u2"))
        if axis:
            np.testing.assert_array_equal(after[..., 3], before[..., 3])


def test_ome_zarr_and_axes(capsys):
    """Axes are those of the metadata; without them they have to be given."""
    ome(Path("ome.zarr"))
    run(capsys, "ome.zarr", "-o", "out.zarr", "--sigma", "0")
    np.testing.assert_array_equal(values("out.zarr"), values("ome.zarr"))
    zarr.create_array("three.zarr", data=np.stack([NOISY, NOISY]))
    assert fails(capsys, "denoise", "three.zarr", "--sigma", "0") == (
        "three.zarr has shape (2, 300, 260) and does not name its axes; write --axes, such as "
        "--axes ZYX"
    )
    text = fails(capsys, "denoise", "three.zarr", "--sigma", "0", "--axes", "YX")
    assert text == "--axes YX has 2 letters, and three.zarr has shape (2, 300, 260)"
    run(capsys, "three.zarr", "--axes", "zyx", *WORDS)
    again = values("three-restored.zarr")
    np.testing.assert_array_equal(again[0], again[1])


def test_folders_contain_stores(capsys):
    """A store in a folder is one input; results of earlier calls and parts of others are not."""
    Path("scans").mkdir()
    for name in ("a", "b"):
        zarr.create_array(f"scans/{name}.zarr", data=NOISY)
    Path("scans/a-restored.zarr.partial").mkdir()
    png(Path("scans/c.png"))
    for more in ([], ["-r"]):
        _, err = run(capsys, "scans", *more, "--sigma", "0", "--profile", "fast", "--overwrite")
        assert err[-1] == "3 files: 3 restored"
    assert {"a-restored.zarr", "b-restored.zarr", "c-restored.png"} < set(names(Path("scans")))
    _, err = run(capsys, "scans", "--sigma", "0", "--profile", "fast", "--resume")
    assert err[-1] == "3 files: 3 skipped"
    zarr.open_array("scans/b.zarr", mode="r+")[0, 0] = 99
    _, err = run(capsys, "scans", "--sigma", "0", "--profile", "fast", "--resume")
    assert err[-1] == "3 files: 1 restored, 2 skipped"


def test_existing_targets(capsys):
    """A store of another shape is replaced with --overwrite only, and other directories never."""
    zarr.create_array("out.zarr", data=NOISY[:9])
    argv = ("denoise", "in.zarr", "-o", "out.zarr", "--sigma", "0")
    assert fails(capsys, *argv) == "out.zarr exists already; add --overwrite to replace it"
    assert values("out.zarr").shape == (9, 260)
    run(capsys, *argv[1:], "--overwrite")
    np.testing.assert_array_equal(values("out.zarr"), NOISY)
    Path("photos.zarr").mkdir()
    png(Path("photos.zarr/a.png"))
    text = fails(capsys, "denoise", "in.zarr", "-o", "photos.zarr", "--overwrite")
    assert text == "photos.zarr is a directory of other files; choose another output"


@pytest.mark.parametrize("words", [["--sigma", "10"], ["--profile", "refilter", "--sigma", "0"]])
def test_arguments_that_are_refused_leave_nothing(capsys, words):
    found = main(["denoise", "in.zarr", "-o", "out.zarr", *words])
    assert found == 2, capsys.readouterr()
    assert names(Path()) == ["in.zarr"]


def test_an_image_smaller_than_a_block(capsys):
    zarr.create_array("thin.zarr", data=NOISY[:5])
    run(capsys, "thin.zarr", *WORDS)
    expected = fastrestore.bm3d(NOISY[:5], 10, profile="fast")
    np.testing.assert_array_equal(values("thin-restored.zarr"), to_type(expected, "u1"))


def test_nan_in_one_far_chunk(capsys):
    wrong = NOISY.astype(np.float32)
    wrong[250, 200] = np.nan
    zarr.create_array("nan.zarr", data=wrong, chunks=(64, 64))
    _, err = run(capsys, "nan.zarr", "--sigma", "10", "--chunks", "64", status=1)
    assert err == ["fastrestore: error: nan.zarr: NaN or infinite values in 1 chunk, the first in "
                   "part [192:256, 192:256]; replace them by finite values"]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--chunks", "8"], "--chunks 8 is too small; write 64 or more"),
        (["--memory", "-1"], "--memory -1 is not a positive number of bytes"),
        (["--scheduler", "here"], "--scheduler here is neither local:N with the number of "
         "processes, nor an address such as tcp://host:8786, nor a file"),
        (["--report", "a.html"], "--report a.html is a page on the workers of --scheduler, such as "
         "--scheduler local:2; without it write a file .json"),
        (["--compare", "a.html"], "--compare a.html does not apply to files that are restored in "
         "parts, such as in.zarr; leave it out"),
        (["--noise", "poisson:auto"], "--noise poisson:auto is for images in memory; for in.zarr "
         "write --noise poisson:GAIN,SIGMA, or leave it out"),
        (["--as", "film", "--axes", "TX"], "--axes TX needs Y and X, and each letter once"),
        (["--dataset", "a"], "--dataset a is for HDF5; write the path of an array in in.zarr"),
    ],
)  # fmt: skip
def test_options_that_do_not_apply(capsys, words, message):
    status = 1 if words[0] == "--dataset" else 2
    assert fails(capsys, "denoise", "in.zarr", *words, status=status) == message


def test_a_store_is_described(capsys):
    """The commands that are printed can be run."""
    assert main(["in.zarr"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "in.zarr: 300 x 260, uint8, axes YX, in chunks of 32 x 32"
    commands = [line.split() for line in out if line.startswith("    fastrestore ")]
    assert [words[1] for words in commands] == ["denoise", "plan"]
    assert main([*commands[0][1:], "--sigma", "0"]) == 0


def test_unfit_stores_and_files(capsys):
    two_arrays(Path("two.zarr"))
    text = fails(capsys, "denoise", "two.zarr", status=1)
    assert text.startswith("two.zarr contains 2 arrays; write the path of one of two.zarr/a")
    hdf5(Path("a.h5"))
    text = fails(capsys, "denoise", "a.h5", "-o", "a.tif", status=1)
    assert text == "a.tif: the result of a.h5 is written in its own format or as .zarr"
    png(Path("a.png"))
    text = fails(capsys, "denoise", "a.png", "--axes", "YX")
    assert text.startswith("--axes YX is for Zarr and HDF5; for a.png write")


def test_too_little_memory(capsys):
    text = fails(capsys, "denoise", "in.zarr", "--memory", "1e6", "--workers", "1")
    assert text.startswith("--memory 1e+06 is too little: 1 worker with chunks of 128 rows take ")


def test_chunks_that_do_not_fit_in_memory(capsys, monkeypatch):
    """Chunks may be larger than the image, and not than the memory."""
    run(capsys, "in.zarr", *WORDS, "--chunks", "100000")
    np.testing.assert_array_equal(values("in-restored.zarr"), whole())
    words = ("denoise", "in.zarr", "--workers", "2", "--chunks", "100000", "--overwrite")
    text = fails(capsys, *words, "--memory", "1e8")
    assert text.startswith("--chunks 100000 takes ")
    assert text.endswith(" bytes with 2 workers, and --memory is 1e+08; write a smaller --chunks, "
                         "or only --memory, which chooses it")  # fmt: skip
    monkeypatch.setattr("fastrestore._arrays.resources.memory", lambda: 2e8)
    assert "and this computer has 2e+08; write a smaller --chunks" in fails(capsys, *words)
