"""The command line: runs of large images that are killed or fail, and are continued."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.commandline import fails
from support.large import NOISY, WORDS, enter, run, values, whole

import fastrestore
from fastrestore._io.images import to_type
from fastrestore._io.stores import choose
from fastrestore._io.stores.manifest import Manifest
from fastrestore.cli import schedulers

zarr = pytest.importorskip("zarr")

POSIX = pytest.mark.skipif(os.name == "nt", reason="signals and limits of POSIX")
pytestmark = pytest.mark.filterwarnings("always:.*skipped")


@pytest.fixture(autouse=True)
def store(monkeypatch, tmp_path):
    enter(monkeypatch, tmp_path)


# Starts a command in a process of its own, whose parts are slowed down, and kills it after some of
# them. Between two runs a part that was complete is cut, and the manifest ends within a line.
KILLS = """
import json, os, signal, sys, time
from pathlib import Path
from fastrestore.cli import main, store
import dask.array, zarr, fastrestore
argv = ["denoise", *sys.argv[1:], "-o", "out.zarr", "--workers", "1"]
manifest = Path("out.zarr.partial/manifest.jsonl")
write = store.write_part

def slow(*arguments):
    time.sleep(0.05)
    return write(*arguments)

def lines():
    return len(manifest.read_text().splitlines()) if manifest.exists() else 0

store.write_part = slow
cut, since = None, 0  # the part that is damaged below is complete once it is written again
for kill in range(5):
    before = max(1, lines())
    process = os.fork()
    if process == 0:
        os._exit(main(argv))
    deadline = time.monotonic() + 60
    while lines() < before + 2:
        assert time.monotonic() < deadline, lines()
        time.sleep(0.01)
    time.sleep(0.013 * kill)
    os.kill(process, signal.SIGKILL)
    assert os.waitpid(process, 0)[1] == signal.SIGKILL
    text = manifest.read_text()
    records = [(k, json.loads(line)["part"]) for k, line in enumerate(text.splitlines())
               if k and line.endswith("}")]
    parts = {tuple(part) for k, part in records if tuple(part) != cut or k >= since}
    if kill == 2:
        row, column = (size // 32 for size in max(parts))
        (chunk,) = manifest.parent.rglob(f"c/{row}/{column}")
        chunk.write_bytes(chunk.read_bytes()[:60])
        cut, since = max(parts), len(text.splitlines())
        parts.remove(cut)
    print(len(parts))
    with manifest.open("a") as file:
        file.write('{"part": [0')
sys.exit(main(argv))
"""


@POSIX
def test_killed_five_times():
    """The run goes on, and no part that was cut is taken for complete."""
    command = [sys.executable, "-c", KILLS, "in.zarr", *WORDS, "--chunks", "64"]
    found = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=300, check=False
    )
    assert found.returncode == 0, found.stderr
    counts = [int(line.split(": ")[2].split()[0]) for line in found.stderr.splitlines()
              if "chunks are complete" in line]  # fmt: skip
    assert counts == list(map(int, found.stdout.split()[:5]))
    assert counts[0] >= 2
    assert "of 25 chunks are complete; the others are restored" in found.stderr
    np.testing.assert_array_equal(values("out.zarr"), whole())
    assert not Path("out.zarr.partial").exists()


def begun(capsys, monkeypatch, *words):
    """Begin a result that fails after four parts."""
    from fastrestore.cli import store

    write, count = store.write_part, []

    def failing(*arguments):
        count.append(arguments)
        if len(count) > 4:
            raise OSError(28, "No space left on device", "disk")
        return write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_part", failing)
        return run(capsys, "in.zarr", "-o", "out.zarr", "--workers", "1", *words, status=1)


def test_a_full_disk(capsys, monkeypatch):
    _, err = begun(capsys, monkeypatch, *WORDS)
    assert err == ["fastrestore: error: disk: No space left on device"]
    assert not Path("out.zarr").exists()
    _, err = run(capsys, "in.zarr", "-o", "out.zarr", *WORDS)
    assert err == ["fastrestore: out.zarr: 4 of 12 chunks are complete; the others are restored"]
    np.testing.assert_array_equal(values("out.zarr"), whole())


def test_no_task_runs_on_after_an_error():
    """A thread that writes a part then could write it where another call has begun."""
    dask = pytest.importorskip("dask")
    begun, ended = threading.Event(), []

    def slow():
        begun.set()
        time.sleep(0.3)
        ended.append(1)

    def failing():
        assert begun.wait(30)
        raise OSError("disk")

    tasks = [dask.delayed(slow, pure=False)(), dask.delayed(failing, pure=False)()]
    with pytest.raises(OSError, match="disk"):
        schedulers.Threads(2).run(tasks, lambda _: None)
    assert ended == [1]


@POSIX
def test_a_limit_of_the_size_of_files_stands_for_a_full_disk(capsys):
    import resource

    zarr.create_array("large.zarr", data=NOISY, chunks=(128, 128))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    try:
        _, err = run(capsys, "large.zarr", "-o", "out.zarr", *WORDS, status=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "cannot write" in err[-1]
    assert err[-1].endswith("File too large")
    assert not Path("out.zarr").exists()
    assert not Path("out.zarr.partial").exists()  # no part is complete


@POSIX
def test_a_tiff_that_is_too_large(capsys):
    """NumPy says how much it has written only."""
    import resource

    import tifffile

    tifffile.imwrite("in.tif", NOISY, tile=(64, 64))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        _, err = run(capsys, "in.tif", "-o", "out.tif", *WORDS, status=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert err[-1].startswith("fastrestore: error: cannot write out.tif: only ")
    assert err[-1].endswith(" values could be written; is the disk full?")
    assert not Path("out.tif").exists()
    run(capsys, "in.tif", "-o", "out.tif", *WORDS)
    np.testing.assert_array_equal(values("out.tif"), whole())


def test_too_little_space_is_a_warning(capsys, monkeypatch):
    monkeypatch.setattr(choose.shutil, "disk_usage", lambda _: SimpleNamespace(free=5))
    _, err = run(capsys, "in.zarr", "--sigma", "0")
    assert err[0].endswith(
        "0 kB of the disk are free; if it is full, make space and start again: complete parts "
        "are kept"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("sigma", "with --sigma 10, now 11"),
        ("version", f"with fastrestore {fastrestore.__version__}, now 99.0"),
        ("input", "with another input"),
        ("chunks", "with unit [96, 96], now [160, 160]"),
    ],
)
def test_other_settings_start_anew(capsys, monkeypatch, change, words):
    begun(capsys, monkeypatch, *WORDS)
    options = list(WORDS)
    if change == "sigma":
        options[1] = "11"
    elif change == "chunks":
        options[-1] = "160"
    elif change == "version":
        monkeypatch.setattr(fastrestore, "__version__", "99.0")
    else:
        zarr.open_array("in.zarr", mode="r+")[0, 0] = 9
    _, err = run(capsys, "in.zarr", "-o", "out.zarr", *options)
    assert err == [f"fastrestore: out.zarr.partial was begun {words}; all parts are restored anew"]
    source = values("in.zarr")
    expected = fastrestore.bm3d(source, float(options[1]), profile="fast")
    np.testing.assert_array_equal(values("out.zarr"), to_type(expected, "u1"))


def test_folders_without_permission(capsys, monkeypatch):
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != 3 and access(path, mode))
    text = fails(capsys, "denoise", "in.zarr", "-o", "out.zarr")
    assert text == "out.zarr: the directory . is not writable"


def test_two_calls_at_a_time(capsys):
    pytest.importorskip("fcntl")
    Path("out.zarr.partial").mkdir()
    other = Manifest(Path("out.zarr.partial/manifest.jsonl"))
    _, err = run(capsys, "in.zarr", "-o", "out.zarr", "--sigma", "0", status=1)
    other.close()
    assert err == ["fastrestore: error: another process is writing out.zarr.partial; wait until it "
                   "has finished, or choose another output"]  # fmt: skip
