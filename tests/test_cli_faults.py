"""The command line: batches that meet odd names, faults, signals and full disks."""

from __future__ import annotations

import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from support.commandline import NOISE8, fails, keep_images, names, png, read

import fastrestore
from fastrestore._io import images
from fastrestore.cli import main, signals

pytestmark = pytest.mark.filterwarnings("always:.*skipped")
POSIX = pytest.mark.skipif(os.name == "nt", reason="links, pipes and signals of POSIX")


@pytest.fixture(autouse=True)
def calls(monkeypatch, tmp_path):
    """Work in an empty folder, with the identity in place of bm3d."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTRESTORE_RECORDS", str(tmp_path / ".records"))
    return keep_images(monkeypatch)


@pytest.fixture
def photos(tmp_path):
    """A folder with three images, one of them deeper."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.png", "b.png", "sub/c.png"):
        png(folder / name)
    return folder


def run(capsys, *words, status=0):
    found = main(["denoise", *map(str, words)])
    out, err = capsys.readouterr()
    assert found == status, err
    return out.splitlines(), err.splitlines()


def started(*words, **variables):
    """Start a process in the working folder."""
    argv = [sys.executable, "-m", "fastrestore", *map(str, words)]
    pipe = subprocess.PIPE
    env = os.environ | variables
    return subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True, env=env)


# Results of earlier calls


def test_results_in_the_tree_are_not_restored(capsys, photos):
    """They are recognized by their records, in folders of any name."""
    run(capsys, "photos", "-r", "-o", "photos/clean")
    out, err = run(capsys, "photos", "-r", "--dry-run")
    assert [line.split()[0] for line in out] == ["photos/a.png", "photos/b.png", "photos/sub/c.png"]
    assert err[0] == (
        "fastrestore: warning: photos: skipped results of earlier calls: clean/a.png, clean/b.png, "
        "clean/sub/c.png"
    )
    _, err = run(capsys, "photos", "-r", "-o", "photos/other", "--dry-run")
    assert err[-1] == "3 files: 3 planned"


def test_results_may_be_restored_again_by_themselves(capsys, photos):
    run(capsys, "photos", "-r", "-o", "photos/clean")
    _, err = run(capsys, "photos/clean", "-r", "-o", "twice", "--dry-run")
    assert err == ["3 files: 3 planned"]
    out, _ = run(capsys, "photos/a.png", "photos/clean/a.png", "--dry-run")
    assert len(out) == 2
    run(capsys, "photos", "-o", "photos", "--overwrite", "--in-place")
    out, _ = run(capsys, "photos", "--dry-run")
    assert len(out) == 2


# Names


@POSIX
@pytest.mark.parametrize("name", [b"new\nline.png", b"bytes\xff.png", b"-dash.png", b"  .png"])
def test_odd_names(capsys, photos, name):
    folder = os.fsencode(photos)
    try:
        Path(os.fsdecode(folder + b"/" + name)).write_bytes((photos / "a.png").read_bytes())
    except OSError:
        pytest.skip("the file system refuses this name")
    out, err = run(capsys, "photos", "-o", "out", "--json")
    assert err[-1] == "3 files: 3 restored"
    assert all(json.loads(line)["status"] == "restored" for line in out)
    np.testing.assert_array_equal(read(Path(os.fsdecode(b"out/" + name))), NOISE8)
    out, _ = run(capsys, "photos", "-o", "out", "--resume")
    assert len(out) == 3
    assert all(line.endswith("is up to date") for line in out)


def test_names_of_results_beside_many_files(capsys, photos):
    """Only names that belong to a file beside them are those of results."""
    for name in ("a-restored.png", "x-restored.png", "-restored.png", "a-restored.tif"):
        png(photos / name)
    out, _ = run(capsys, "photos", "-o", "out", "--dry-run")
    found = [line.split()[0] for line in out]
    assert found == [f"photos/{name}" for name in
                     ("-restored.png", "a.png", "b.png", "x-restored.png")]  # fmt: skip


@POSIX
def test_links_and_other_things_in_folders(capsys, photos):
    (photos / "loop").symlink_to(photos)
    (photos / "self.png").symlink_to("self.png")
    (photos / "folder.png").mkdir()
    os.mkfifo(photos / "pipe.png")
    out, err = run(capsys, "photos", "-r", "-o", "out", status=1)
    assert len(out) == 3
    assert err[0] == "fastrestore: warning: photos: skipped links to directories: loop"
    assert sorted(line.split()[2] for line in err[1:3]) == ["photos/pipe.png", "photos/self.png"]
    assert err[-1] == "5 files: 3 restored, 2 failed"
    out, _ = run(capsys, "photos/loop", "-o", "out", status=1)  # one that is named is followed
    assert [": skipped, " in line for line in out] == [True, True]


def test_folders_that_cannot_be_listed_are_failures(capsys, monkeypatch, photos):
    original = os.walk

    def walk(folder, onerror):
        for place, folders, files in original(folder):
            if Path(place).name == "sub":
                onerror(PermissionError(errno.EACCES, "Permission denied", place))
            else:
                yield place, folders, files

    monkeypatch.setattr(os, "walk", walk)
    _, err = run(capsys, "photos", "-r", "-o", "out", status=1)
    assert err == [
        "fastrestore: error: cannot list directory photos/sub: Permission denied",
        "3 files: 2 restored, 1 failed",
    ]
    assert fails(capsys, "denoise", "photos/sub") == (
        "cannot list directory photos/sub: Permission denied"
    )


def test_case_is_probed_in_the_folder_of_the_results(capsys, monkeypatch, tmp_path):
    """A folder whose own name has no letters."""
    for name in ("x/a.png", "y/A.png", "12/z.png"):
        (tmp_path / name).parent.mkdir()
        png(tmp_path / name)
    run(capsys, "x/a.png", "y/A.png", "-o", "12", "--dry-run")
    original = Path.exists
    monkeypatch.setattr(
        Path, "exists", lambda self: original(self) or self.name.startswith(".FAST")
    )
    line = fails(capsys, "denoise", "x/a.png", "y/A.png", "-o", "12")
    assert line == "x/a.png and y/A.png would both be written to 12/A.png"
    assert names(tmp_path / "12") == ["z.png"]


# Faults


@pytest.mark.parametrize("words", [["--backend", "none"], ["--backend", "cupy"]])
def test_backends_that_are_not_available(capsys, calls, monkeypatch, photos, words):
    monkeypatch.setattr("fastrestore.backends.select.why_unavailable", lambda name: "no GPU")
    line = fails(capsys, "denoise", "photos", "-o", "out", *words)
    assert line.startswith(" ".join(words))
    assert calls == []
    assert names(photos.parent) == ["photos"]


def test_backend_of_the_environment_is_not_available(capsys, calls, monkeypatch, photos):
    monkeypatch.setenv("FASTRESTORE_BACKEND", "none")
    line = fails(capsys, "denoise", "photos", "-o", "out")
    assert line.startswith("FASTRESTORE_BACKEND='none': there is no such backend; use one of")
    assert calls == []


@pytest.mark.parametrize("jobs", [1, 4])
def test_unexpected_errors_belong_to_one_file(capsys, monkeypatch, photos, jobs):
    original = fastrestore.bm3d

    def broken(image, *args, **options):
        if image[0, 0] == 77:
            raise KeyError("a bug")
        return original(image, *args, **options)

    monkeypatch.setattr(fastrestore, "bm3d", broken)
    image = NOISE8.copy()
    image[0, 0] = 77
    png(photos / "bad.png", image)
    _, err = run(capsys, "photos", "-o", "out", "--jobs", jobs, status=1)
    assert err[1].startswith("fastrestore: error: photos/bad.png: unexpected KeyError, 'a bug'; ")
    assert "FASTRESTORE_DEBUG=1" in err[1]
    assert err[-1] == "3 files: 2 restored, 1 failed"
    line = fails(capsys, "denoise", "photos/bad.png", "-o", "x.png", status=1)
    assert line.startswith("photos/bad.png: unexpected KeyError")
    monkeypatch.setenv("FASTRESTORE_DEBUG", "1")
    _, err = run(capsys, "photos/bad.png", "-o", "x.png", status=1)
    assert "Traceback (most recent call last):" in err[0]
    assert err[-1] == "fastrestore: error: photos/bad.png: unexpected error"


def test_a_file_that_vanishes(capsys, monkeypatch, photos):
    original = fastrestore.bm3d

    def removing(image, *args, **options):
        (photos / "b.png").unlink(missing_ok=True)
        return original(image, *args, **options)

    monkeypatch.setattr(fastrestore, "bm3d", removing)
    out, err = run(capsys, "photos", "-r", "-o", "out", status=1)
    assert len(out) == 2
    assert err == [
        "fastrestore: error: photos/b.png: no such file",
        "3 files: 2 restored, 1 failed",
    ]


def test_full_disk(capsys, monkeypatch, photos):
    """Files that still fit are restored, nothing is left of the others, and the rest goes on."""
    original = Path.write_bytes
    written = []

    def write_bytes(self, data):
        if self.name.startswith(".fastrestore-"):
            written.append(self)
            if len(written) == 1:
                original(self, data[:9])
                raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return original(self, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    argv = ("photos", "-r", "-o", "out")
    for name in ("a", "b"):
        np.save(photos / f"{name}.npy", NOISE8)
    monkeypatch.setattr(images, "write", lambda path, picture: _write(path, picture))
    _, err = run(capsys, *argv, status=1)
    assert err[0] == "fastrestore: error: cannot write out/a.npy: No space left on device"
    assert err[-1] == "5 files: 4 restored, 1 failed"
    assert names(Path("out")) == ["a.png", "b.npy", "b.png", "sub"]
    _, err = run(capsys, *argv)
    assert err[-1] == "5 files: 1 restored, 4 skipped"


def _write(path, picture):
    from fastrestore._io import files

    files.write_bytes(path, lambda: np.asarray(picture.values).tobytes())


@pytest.mark.parametrize(
    ("place", "status"),
    [("out", 2), (os.path.join("out", "sub"), 1)],  # noqa: PTH118
)
def test_folders_that_are_read_only(capsys, calls, monkeypatch, photos, place, status):
    """The whole place is an error of arguments; a part of it belongs to its files."""
    (photos.parent / "out" / "sub").mkdir(parents=True)
    original = os.access
    monkeypatch.setattr(
        os, "access",
        lambda path, mode: original(path, mode) and not str(path).startswith(place),
    )  # fmt: skip
    _, err = run(capsys, "photos", "-r", "-o", "out", status=status)
    assert len(calls) == (0 if status == 2 else 2)
    named = "out/a.png" if status == 2 else "out/sub/c.png"
    assert err[0].startswith(f"fastrestore: error: {named}: the directory {place} is not writable")


def test_a_folder_that_cannot_be_created(capsys, photos):
    Path("out").mkdir()
    Path("out/sub").write_text("a file")
    _, err = run(capsys, "photos", "-r", "-o", "out", status=1)
    assert "out/sub" in err[0]
    assert err[-1] == "3 files: 2 restored, 1 failed"
    Path("file").write_text("")
    line = fails(capsys, "denoise", "photos/sub", "-o", "file/out")
    assert line.startswith("cannot create directory file/out: ")


def test_a_report_that_cannot_be_written(capsys, monkeypatch, photos):
    def write_report(*_):
        raise images.FileError("cannot write r.json: No space left on device")

    monkeypatch.setattr("fastrestore.cli.reports.write", write_report)
    _, err = run(capsys, "photos", "-o", "out", "--report", "r.json", status=1)
    assert err[-2:] == [
        "2 files: 2 restored",
        "fastrestore: error: cannot write r.json: No space left on device",
    ]


# Signals


def interrupting(monkeypatch, number, calls):
    """Let some calls of `bm3d` send a signal; return the function."""
    original, count = fastrestore.bm3d, itertools.count()

    def interrupted(image, *args, **options):
        if next(count) in calls:
            os.kill(os.getpid(), number)
            time.sleep(0.2)
        return original(image, *args, **options)

    monkeypatch.setattr(fastrestore, "bm3d", interrupted)
    return original


@POSIX
def test_a_second_signal(capsys, monkeypatch, photos):
    """It does not wait to count files, and later calls are not interrupted."""
    original = interrupting(monkeypatch, signal.SIGINT, calls=(0, 1))
    for name in "defgh":
        png(photos / f"{name}.png")
    run(capsys, "photos", "-o", "out", "--jobs", 2, status=130)
    assert not signals.stopping.is_set()
    monkeypatch.setattr(fastrestore, "bm3d", original)
    run(capsys, "photos", "-o", "out", "--jobs", 2, "--resume")


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(("stop", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
@POSIX
def test_signals(capsys, monkeypatch, photos, jobs, stop, status):
    """What was done is kept, counted and reported, and a second call goes on."""
    original = interrupting(monkeypatch, getattr(signal, stop), calls=(1,))
    for name in "defgh":
        png(photos / f"{name}.png")
    argv = ("photos", "-r", "-o", "out", "--jobs", jobs)
    before = signal.getsignal(signal.SIGTERM)
    out, err = run(capsys, *argv, "--report", "r.json", status=status)
    assert signal.getsignal(signal.SIGTERM) is before
    done = sorted(path for path in Path("out").rglob("*") if path.is_file())
    assert 1 <= len(done) < 8
    files = "1 file" if len(done) == 1 else f"{len(done)} files"
    assert (
        err[-1]
        == f"fastrestore: interrupted: {files}: {len(done)} restored, of 8; --resume goes on"
    )
    assert len(out) == len(done)
    assert len(json.loads(Path("r.json").read_text())["files"]) == len(done)
    for path in done:
        np.testing.assert_array_equal(read(path), NOISE8)
    monkeypatch.setattr(fastrestore, "bm3d", original)
    _, err = run(capsys, *argv, "--resume")
    assert err[-1] == f"8 files: {8 - len(done)} restored, {len(done)} skipped"


@POSIX
def test_signals_of_a_process(photos):
    """The real one, killed in the middle of a file."""
    png(photos / "b.png", np.tile(NOISE8, (40, 60)))
    argv = ("denoise", "photos", "-o", "out", "--backend", "numpy", "--sigma", "0.1")
    process = started(*argv)
    line = process.stdout.readline()
    assert line.startswith("photos/a.png -> out/a.png")
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert (
        err.splitlines()[-1]
        == "fastrestore: interrupted: 1 file: 1 restored, of 2; --resume goes on"
    )
    assert names(Path("out")) == ["a.png"]


@POSIX
def test_signals_that_are_ignored_stay_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.raised():
            os.kill(os.getpid(), signal.SIGHUP)
        with signals.raised(), pytest.raises(signals.Terminated):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_signals_in_other_threads():
    """Where handlers cannot be set."""
    found = []
    thread = threading.Thread(target=lambda: found.append(main(["denoise"])))
    thread.start()
    thread.join()
    assert found == [2]


def test_what_killed_processes_left(capsys, photos):
    """Temporary files are hidden, and removed when they are a day old."""
    Path("out").mkdir()
    for name, age in (("0123456789abcdef", 30 * 3600), ("fedcba9876543210", 60)):
        path = Path("out", f".fastrestore-{name}.tmp")
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    run(capsys, "photos", "-r", "-o", "out", "--dry-run")
    assert len(names(Path("out"))) == 2
    run(capsys, "photos", "-r", "-o", "out")
    assert names(Path("out")) == [".fastrestore-fedcba9876543210.tmp", "a.png", "b.png", "sub"]


# Many files


def test_ten_thousand_files(capsys, monkeypatch, tmp_path):
    """No step looks at all files for each of them."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(2000):
        (folder / f"{number}.png").touch()
        (folder / f"{number}-restored.png").touch()
    listed = []
    original = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or original(path))
    _, err = run(capsys, "many")
    assert err[-1] == "2000 files: 2000 skipped"
    assert len(listed) < 5


def test_records_are_read_once(capsys, monkeypatch, photos):
    for name in "defgh":
        png(photos / f"{name}.png")
    run(capsys, "photos", "-o", "out")
    count = []
    original = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda self, *args: count.append(self) or original(self, *args)
    )
    _, err = run(capsys, "photos", "-o", "out", "--resume")
    assert err[-1] == "7 files: 7 skipped"
    assert len([path for path in count if path.suffix == ".jsonl"]) <= 2
