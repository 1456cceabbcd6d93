"""The command line: folders, patterns and many files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from support.commandline import NOISE8, NOISE16, fails, keep_images, names, png, read, write

import fastrestore
from fastrestore.cli import main

pytestmark = pytest.mark.filterwarnings("always:.*skipped")


@pytest.fixture(autouse=True)
def calls(monkeypatch, tmp_path):
    """Work in an empty folder, with the identity in place of bm3d."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTRESTORE_RECORDS", str(tmp_path / ".records"))
    return keep_images(monkeypatch)


@pytest.fixture
def photos(tmp_path):
    """A folder with files of several formats and depths, some of them broken, and others."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    png(folder / "a.png")
    write(folder / "b.tif", NOISE16)
    png(folder / "sub" / "a.png", 255 - NOISE8)
    (folder / "notes.txt").write_text("notes")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


def run(capsys, *words, status=0, command="denoise"):
    """Run, and return the lines of both outputs."""
    found = main([command, *map(str, words)])
    out, err = capsys.readouterr()
    assert found == status, err
    return out.splitlines(), err.splitlines()


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# Outputs


def test_one_file_needs_no_option(capsys, tmp_path):
    png(tmp_path / "a.png")
    out, err = run(capsys, "a.png")
    assert len(out) == 1
    assert out[0].startswith("a.png -> a-restored.png: ")
    assert err == []
    np.testing.assert_array_equal(read(tmp_path / "a-restored.png"), NOISE8)


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("a.b.PNG", "a.b-restored.PNG"),
        ("-a.png", "-a-restored.png"),
        ("ä b.png", "ä b-restored.png"),
    ],
)
def test_names_beside_the_input(capsys, tmp_path, name, result):
    png(tmp_path / name)
    run(capsys, tmp_path / name)
    assert names(tmp_path) == sorted([".records", name, result])


def test_folder(capsys, photos):
    out, err = run(capsys, "photos")
    assert [line.split(":")[0] for line in out] == [
        "photos/a.png -> photos/a-restored.png",
        "photos/b.tif -> photos/b-restored.tif",
    ]
    assert err == [
        "fastrestore: warning: photos: skipped files that are not images, volumes or videos: "
        "notes.txt",
        "fastrestore: warning: photos: skipped 1 directory: sub; add --recursive to include it",
        "2 files: 2 restored",
    ]
    np.testing.assert_array_equal(read(photos / "b-restored.tif"), NOISE16)
    out, err = run(capsys, "photos")  # results are not restored again
    assert [line.split(", ")[0] for line in out] == [
        "photos/a.png: skipped",
        "photos/b.tif: skipped",
    ]
    assert err[-1] == "2 files: 2 skipped"


def test_recursive_keeps_the_tree(capsys, photos, tmp_path):
    _, err = run(capsys, "photos", "-o", "out", "--recursive")
    assert err[-1] == "3 files: 3 restored"
    assert tree(tmp_path / "out") == ["a.png", "b.tif", os.path.join("sub", "a.png")]  # noqa: PTH118
    np.testing.assert_array_equal(read(tmp_path / "out" / "sub" / "a.png"), 255 - NOISE8)


def test_results_within_the_folder_are_left_out(capsys, photos):
    for _ in range(2):
        _, err = run(capsys, "photos", "-r", "-o", "photos/out")
    assert err[-1] == "3 files: 3 skipped"
    files = sorted(path for path in photos.glob("[abo]*"))  # as by a shell, with photos/out
    _, err = run(capsys, *files, "-o", "photos/out")
    assert err[-1] == "2 files: 2 skipped"


@pytest.mark.parametrize("pattern", ["photos/*.png", "photos/**/*.png", "photos/?.png"])
def test_patterns_that_no_shell_has_expanded(capsys, photos, pattern):
    out, _ = run(capsys, pattern, "photos/a.png")
    assert len(out) == (2 if "**" in pattern else 1)


def test_names_with_the_characters_of_patterns(capsys, tmp_path):
    png(tmp_path / "a[1].png")
    run(capsys, "a[1].png")
    assert "a[1]-restored.png" in names(tmp_path)


def test_names_that_differ_by_case(capsys, tmp_path):
    png(tmp_path / "a.png")
    png(tmp_path / "A.png", 255 - NOISE8)
    if len(names(tmp_path)) < 2:
        pytest.skip("the file system ignores case")
    run(capsys, ".", "-o", "out")
    np.testing.assert_array_equal(read(tmp_path / "out" / "a.png"), NOISE8)
    np.testing.assert_array_equal(read(tmp_path / "out" / "A.png"), 255 - NOISE8)


def test_names_that_differ_by_case_where_it_is_ignored(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("fastrestore.cli.paths._ignores_case", lambda folder: True)
    for folder, name in (("x", "a.png"), ("y", "A.png")):
        (tmp_path / folder).mkdir()
        png(tmp_path / folder / name)
    line = fails(capsys, "denoise", "x/a.png", "y/A.png", "-o", "out")
    assert line == "x/a.png and y/A.png would both be written to out/A.png"


def test_formats_that_are_only_read_have_names_of_their_own(capsys, tmp_path):
    """A Photoshop file and a TIFF of one name give two TIFF files."""
    write(tmp_path / "a.tif", NOISE8)
    (tmp_path / "a.psd").write_bytes(b"damaged")
    run(capsys, ".", "-o", "out", status=1)
    out, _ = run(capsys, ".", "-o", "out", "--dry-run")
    assert "a.psd -> out/a.psd.tif" in out


# Errors


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.png"], "none.png: no such file"),
        (["photos", "none.png"], "none.png: no such file"),
        (["*.gif"], "*.gif: no file has a name of this pattern"),
        ([""], "the name of an input is empty"),
        (["empty"], "empty contains no images, volumes or videos (.png, .tif, "),
        (["photos", "--jobs", "0"], "--jobs 0 is not a number of files; write 1 or more"),
        (["photos", "--resume", "--overwrite"], "--overwrite restores all files and --resume"),
        (["photos", "--report", "x.txt"], "x.txt: unknown extension '.txt'; use one of .json"),
        (["photos", "--report", "there.json"], "there.json exists already; add --overwrite"),
        (["photos", "--max-image-gb", "0"], "--max-image-gb 0 is not a positive number"),
        (["photos", "-o", "there.json"], "there.json: several inputs need a directory"),
        (["photos/a.png", "--compare", "x.png"], "x.png: unknown extension '.png'; use one of"),
    ],
)
def test_wrong_arguments_end_before_work_starts(capsys, calls, photos, tmp_path, words, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.json").write_text("{}")
    before = tree(tmp_path)
    status = main(["denoise", *words])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.splitlines()[-1].startswith(f"fastrestore: error: {message}")
    assert calls == []
    assert tree(tmp_path) == before


def test_folders_in_folders_are_named(capsys, photos):
    (photos / "more").mkdir()
    (photos / "notes.txt").unlink()
    _, err = run(capsys, "photos", "-o", "photos/out")
    assert err == [
        "fastrestore: warning: photos: skipped 2 directories: more, sub; add --recursive to "
        "include them",
        "2 files: 2 restored",
    ]
    _, err = run(capsys, "photos", "-o", "photos/out", "-r")
    assert err == ["3 files: 1 restored, 2 skipped"]


def test_broken_files_are_reported_and_passed_over(capsys, photos):
    """Each in one line, with a summary at the end."""
    whole = (photos / "a.png").read_bytes()
    (photos / "c.png").write_bytes(whole[:90])
    (photos / "d.png").write_bytes(b"")
    (photos / "e.tif").write_bytes(b"II*\0")
    (photos / "f.jpg").write_bytes(b"no image")
    write(photos / "g.npy", np.zeros((2, 2, 2, 2)))
    out, err = run(capsys, "photos", "-o", "out", status=1)
    assert [line.split(" ")[0] for line in out] == ["photos/a.png", "photos/b.tif"]
    for name, line in zip("cdefg", err[2:-1], strict=True):
        assert line.startswith("fastrestore: error: ")
        assert f"photos/{name}." in line
    assert err[-1] == "7 files: 2 restored, 5 failed"
    assert names(photos.parent / "out") == ["a.png", "b.tif"]


def test_files_of_other_formats_are_passed_over(capsys, photos):
    """They are among the arguments where a shell expands ``*``."""
    _, err = run(capsys, *sorted(photos.glob("[abn]*")), "-o", "out", status=1)
    assert err[-1] == "3 files: 2 restored, 1 failed"
    assert "notes.txt: unknown extension '.txt'" in err[0]


def test_wrong_options_for_one_type_do_not_end_a_batch(capsys, tmp_path):
    png(tmp_path / "a.png")
    write(tmp_path / "b.npy", NOISE8.astype(np.float32))
    out, err = run(capsys, ".", "--sigma", "20", status=1)
    assert [line.split()[0] for line in out] == ["b.npy"]
    assert err[0].startswith("fastrestore: error: --sigma 20 is ambiguous for a.png (uint8)")


def test_interrupted(capsys, monkeypatch, photos, calls):
    """What was done is kept and counted, and a second call goes on."""
    original = fastrestore.bm3d

    def interrupted(image, *args, **options):
        if len(calls) == 1:
            raise KeyboardInterrupt
        return original(image, *args, **options)

    monkeypatch.setattr(fastrestore, "bm3d", interrupted)
    argv = ("photos", "-r", "-o", "out")
    _, err = run(capsys, *argv, "--report", "r.json", status=130)
    assert err[-1] == "fastrestore: interrupted: 1 file: 1 restored, of 3; --resume goes on"
    assert len(json.loads((photos.parent / "r.json").read_text())["files"]) == 1
    monkeypatch.setattr(fastrestore, "bm3d", original)
    _, err = run(capsys, *argv)
    assert err[-1] == "3 files: 2 restored, 1 skipped"


# Skip, overwrite, resume


def test_existing_results(capsys, photos, tmp_path):
    (tmp_path / "out").mkdir()
    png(tmp_path / "out" / "a.png", 255 - NOISE8)
    argv = ("photos", "-o", "out")
    out, err = run(capsys, *argv)
    assert out[0] == (
        "photos/a.png: skipped, out/a.png exists already; add --overwrite to replace it"
    )
    assert err[-1] == "2 files: 1 restored, 1 skipped"
    np.testing.assert_array_equal(read(tmp_path / "out" / "a.png"), 255 - NOISE8)
    run(capsys, *argv, "--overwrite")
    np.testing.assert_array_equal(read(tmp_path / "out" / "a.png"), NOISE8)


def statuses(capsys, *words):
    out, _ = run(capsys, *words, "--json")
    return [json.loads(line)["status"] for line in out]


def test_resume_by_content_and_settings(capsys, photos, tmp_path):
    argv = ("photos", "-o", "out", "--resume")
    assert statuses(capsys, *argv[:-1]) == ["restored", "restored"]
    assert statuses(capsys, *argv, "--workers", 1, "--quiet") == ["skipped", "skipped"]
    png(photos / "a.png", 255 - NOISE8)
    assert statuses(capsys, *argv) == ["restored", "skipped"]
    np.testing.assert_array_equal(read(tmp_path / "out" / "a.png"), 255 - NOISE8)
    assert statuses(capsys, *argv, "--strength", "0.5") == ["restored", "restored"]
    np.save("k.npy", np.ones((3, 3)))
    assert statuses(capsys, *argv, "--kernel", "k.npy") == ["restored", "restored"]
    assert statuses(capsys, *argv, "--kernel", "k.npy") == ["skipped", "skipped"]
    np.save("k.npy", np.ones((3, 3)) * 2)
    assert statuses(capsys, *argv, "--kernel", "k.npy") == ["restored", "restored"]


def test_resume_does_not_replace_other_files(capsys, photos, tmp_path):
    argv = ("photos", "-o", "out", "--resume", "--strength", "0.5")
    run(capsys, "photos", "-o", "out")
    png(tmp_path / "out" / "a.png", NOISE8[::-1])  # changed by its owner
    assert statuses(capsys, *argv) == ["skipped", "restored"]
    np.testing.assert_array_equal(read(tmp_path / "out" / "a.png"), NOISE8[::-1])
    shutil.rmtree(tmp_path / ".records")
    assert statuses(capsys, *argv) == ["skipped", "skipped"]


def test_damaged_and_missing_records(capsys, monkeypatch, photos, tmp_path):
    run(capsys, "photos", "-o", "out")
    (file,) = (tmp_path / ".records").iterdir()
    file.write_bytes(b'{"key": 1}\n[]\n\xff\n' + file.read_bytes()[:-9])
    argv = ("photos", "-o", "out", "--resume")
    assert statuses(capsys, *argv) == ["skipped", "skipped"]
    text = file.read_bytes()
    assert b"photos" not in text
    assert b"a.png" not in text
    monkeypatch.setenv("FASTRESTORE_RECORDS", str(photos / "a.png" / "x"))  # cannot be created
    run(capsys, "photos", "-o", "out", "--overwrite")


# Lines, JSON, reports, pages


def test_dry_run(capsys, calls, photos, tmp_path):
    png(tmp_path / "out.png")
    before = tree(tmp_path)
    out, err = run(capsys, "photos", "-r", "-o", "out", "--dry-run", "--report", "r.json")
    assert out == [
        "photos/a.png -> out/a.png",
        "photos/b.tif -> out/b.tif",
        "photos/sub/a.png -> out/sub/a.png",
    ]
    assert err[-1] == "3 files: 3 planned"
    assert calls == []
    assert tree(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_line_says_what_was_found_and_done(capsys, monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    image = 90 + 2 * np.arange(48) + np.random.default_rng(0).normal(0, 8, (40, 48))
    png(tmp_path / "a.png", np.clip(image, 0, 255).astype(np.uint8))
    out, err = run(capsys, "a.png", "--backend", "numpy", "--profile", "fast", "--strength", 0.9)
    assert err == []
    start, noise, rest = out[0].split(": ", 1)[0], *out[0].split(": ", 1)[1].split("; ", 1)
    assert start == "a.png -> a-restored.png"
    assert noise.startswith("white noise, sigma ")
    assert float(noise.split()[-1]) == pytest.approx(8, rel=0.1)
    assert rest.startswith("bm3d, fast, numpy, strength 0.9; ")
    assert rest.endswith(" s")


def test_json_and_report(capsys, photos, tmp_path):
    (photos / "c.png").write_bytes(b"")
    words = ("photos", "--json", "--report", "r.json", "--sigma", "0.1", "--jobs", "2")
    out, _ = run(capsys, *words, status=1)
    lines = sorted(map(json.loads, out), key=lambda line: line["input"])
    assert [line["status"] for line in lines] == ["restored", "restored", "failed"]
    assert lines[0]["output"] == "photos/a-restored.png"
    assert lines[0]["method"] == "bm3d"
    assert lines[1]["dtype"] == "uint16"
    assert "photos/c.png" in lines[2]["message"]
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["files"] == lines
    assert report["fastrestore"] == fastrestore.__version__
    assert report["settings"]["sigma"] == "0.1"


def test_results_that_are_not_decided_on(capsys, photos, tmp_path):
    """Of a file that is none, the output is not its own name."""
    words = ("photos/a.png", "photos/notes.txt", "-o", "out", "--json")
    out, _ = run(capsys, *words, status=1)
    (failed,) = (line for line in map(json.loads, out) if line["status"] == "failed")
    assert failed["output"] is None
    assert failed["input"] == "photos/notes.txt"


def test_files_are_no_directories(capsys, photos):
    words = ("denoise", "photos/a.png", "-o")
    for name in ("photos/b.tif/x.png", "photos/b.tif/y/x.png"):
        assert "b.tif is a file, not a directory" in fails(capsys, *words, name)


def test_pages(capsys, photos, tmp_path):
    shutil.copy(photos / "b.tif", photos / "a.tif")
    run(capsys, "photos", "--compare", "pages")
    assert names(tmp_path / "pages") == ["a.html", "a.tif.html", "b.html"] or names(
        tmp_path / "pages"
    ) == ["a.html", "a.png.html", "b.html"]
    run(capsys, "photos/a.png", "-o", "x.png", "--compare", "page.html")
    assert "a.png" in (tmp_path / "page.html").read_text()
    line = fails(capsys, "denoise", "photos/a.png", "-o", "y.png", "--compare", "page.html")
    assert line == "page.html exists already; add --overwrite to replace it"


def test_pages_keep_the_tree(capsys, photos, tmp_path):
    png(photos / "sub" / "A.png")
    _, err = run(capsys, "photos", "-r", "-o", "out", "--compare", "pages")
    assert err[-2:] == ["4 files: 4 restored", "4 pages in pages"]
    assert tree(tmp_path / "pages") == ["a.html", "b.html", "sub/A.html", "sub/a.png.html"]
    page = (tmp_path / "pages" / "sub" / "a.png.html").read_text(encoding="utf-8")
    assert "a.png" in page


def test_a_page_is_no_directory(capsys, photos, tmp_path):
    words = ("photos/a.png", "photos/b.tif", "-o", "out", "--compare", "pg.html")
    line = fails(capsys, "denoise", *words)
    assert line == "--compare pg.html: several inputs need a directory; write pg/"
    assert not (tmp_path / "pg.html").exists()
    assert not (tmp_path / "out").exists()
    (tmp_path / "pg.html").mkdir()
    _, err = run(capsys, *words)
    assert err[-1] == "2 pages in pg.html"
    run(capsys, "photos/a.png", "photos/b.tif", "-o", "one.png/")


def test_a_page_that_cannot_be_written(capsys, monkeypatch, photos, tmp_path):
    def write_page(page, *_):
        raise OSError(28, "No space left on device", str(page))

    monkeypatch.setattr("fastrestore.cli.compare.write_page", write_page)
    _, err = run(capsys, "photos/a.png", "-o", "x.png", "--compare", "p.html", status=1)
    assert err == [
        "fastrestore: error: x.png was written, but not the page that compares it: p.html: "
        "No space left on device"
    ]
    assert (tmp_path / "x.png").exists()


def test_progress_of_a_batch(capsys, monkeypatch, photos):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["denoise", "photos", "-o", "out"]) == 0
    out, err = capsys.readouterr()
    assert "2/2" in err or "1/2" in err
    assert len(out.splitlines()) == 2


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_links_in_folders(capsys, photos, tmp_path):
    (photos / "sub" / "loop").symlink_to(photos)
    (photos / "dangling.png").symlink_to("nothing.png")
    _, err = run(capsys, "photos", "-r", "-o", "out", status=1)
    assert err[1] == "fastrestore: warning: photos: skipped links to directories: sub/loop"
    assert "dangling.png is a symbolic link to nothing.png, which does not exist" in err[2]
    assert err[-1] == "4 files: 3 restored, 1 failed"


def test_the_package_is_a_program(tmp_path):
    argv = [sys.executable, "-m", "fastrestore", "--version"]
    run = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert run.stdout == f"fastrestore {fastrestore.__version__}\n"
