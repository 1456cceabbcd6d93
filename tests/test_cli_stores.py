"""The command line: Zarr, HDF5 and TIFF restored in parts, killed, continued, and on a cluster."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from skimage import data
from support.commandline import fails, names, png
from support.stores import MAKERS, hdf5, ome, two_arrays

import fastrestore
from fastrestore._io.images import to_type
from fastrestore._io.stores import choose
from fastrestore._io.stores.manifest import Manifest
from fastrestore.cli import main, schedulers

zarr = pytest.importorskip("zarr")
distributed = pytest.importorskip("distributed")

NOISY = to_type(
    data.camera()[100:400, 100:360] + np.random.default_rng(0).normal(0, 10, (300, 260)), "u1"
)
WORDS = ["--sigma", "10", "--sigma-scale", "native", "--profile", "fast", "--chunks", "96"]
POSIX = pytest.mark.skipif(os.name == "nt", reason="signals and limits of POSIX")


pytestmark = pytest.mark.filterwarnings("always:.*skipped")


@pytest.fixture(autouse=True)
def store(monkeypatch, tmp_path):
    """Work in a folder with a store of a noisy photograph."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTRESTORE_RECORDS", str(tmp_path / ".records"))
    zarr.create_array("in.zarr", data=NOISY, chunks=(32, 32), dimension_names=("y", "x"))


@pytest.fixture(scope="module")
def whole():
    """The result of restoring the photograph as a whole."""
    return to_type(fastrestore.bm3d(NOISY, 10, profile="fast"), "u1")


def run(capsys, *words, status=0):
    found = main(["denoise", *map(str, words)])
    out, err = capsys.readouterr()
    assert found == status, err
    return out.splitlines(), err.splitlines()


def values(path, dataset=None):
    return choose.read_source(Path(path), dataset).values[...]


def test_a_store_is_restored_as_a_whole_image(capsys, whole):
    out, err = run(capsys, "in.zarr", *WORDS)
    assert (len(out), err) == (1, [])
    assert out[0].startswith("in.zarr -> in-restored.zarr: bm3d, fast; 12 chunks; ")
    np.testing.assert_array_equal(values("in-restored.zarr"), whole)
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
def test_killed_five_times(whole):
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
    np.testing.assert_array_equal(values("out.zarr"), whole)
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


def test_a_full_disk(capsys, monkeypatch, whole):
    _, err = begun(capsys, monkeypatch, *WORDS)
    assert err == ["fastrestore: error: disk: No space left on device"]
    assert not Path("out.zarr").exists()
    _, err = run(capsys, "in.zarr", "-o", "out.zarr", *WORDS)
    assert err == ["fastrestore: out.zarr: 4 of 12 chunks are complete; the others are restored"]
    np.testing.assert_array_equal(values("out.zarr"), whole)


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


def test_too_little_space_is_a_warning(capsys, monkeypatch):
    monkeypatch.setattr(choose.shutil, "disk_usage", lambda _: SimpleNamespace(free=5))
    _, err = run(capsys, "in.zarr", "--sigma", "0")
    assert err[0].endswith(
        "0.0 GB of the disk are free; if it is full, make space and start again: complete parts "
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


def test_a_scheduler_that_cannot_be_reached(capsys, monkeypatch):
    monkeypatch.setattr(schedulers, "TIMEOUT", 0.5)
    text = fails(capsys, "denoise", "in.zarr", "--scheduler", "tcp://127.0.0.1:9")
    assert text.startswith("cannot reach --scheduler tcp://127.0.0.1:9, or it is none: ")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_a_server_that_is_no_scheduler(capsys, monkeypatch, answer):
    """It may send what reads as a message of exabytes, or nothing."""
    monkeypatch.setattr(schedulers, "TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as stack:

        def accept():
            with contextlib.suppress(OSError):  # the test has ended
                while True:
                    stack.enter_context(server.accept()[0]).sendall(answer)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        text = fails(capsys, "denoise", "in.zarr", "--scheduler", address)
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert text.startswith(f"cannot reach --scheduler {address}, or it is none: ")


@pytest.mark.parametrize("content", ["", "{}", "text", '{"address": 3}'])
def test_a_file_that_is_no_scheduler_file(capsys, monkeypatch, content):
    monkeypatch.setattr(schedulers, "TIMEOUT", 0.5)
    Path("s.json").write_text(content)
    text = fails(capsys, "denoise", "in.zarr", "--scheduler", "s.json")
    assert text.startswith("cannot reach --scheduler s.json, or it is none: ")


@pytest.fixture(scope="module")
def cluster():
    """A scheduler and two workers in this process."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as found:
        yield found.scheduler_address


@pytest.mark.filterwarnings("ignore")
def test_a_cluster(capsys, cluster, whole):
    """Parts of stores and files are restored by its workers."""
    png(Path("a.png"), NOISY)
    argv = ("in.zarr", "a.png", "-o", "out", "--scheduler", cluster, *WORDS, "--json")
    out, err = run(capsys, *argv)
    assert err[-1] == "2 files: 2 restored"
    assert {json.loads(line)["output"] for line in out} == {"out/in.zarr", "out/a.png"}
    np.testing.assert_array_equal(values("out/in.zarr"), whole)
    from support.commandline import read

    np.testing.assert_array_equal(read(Path("out/a.png")), whole)
    _, err = run(capsys, *argv)
    assert err[-1] == "2 files: 2 skipped"


@pytest.mark.filterwarnings("ignore")
def test_processes_of_this_computer(capsys, monkeypatch, whole):
    """The result is the same; --memory chooses the chunks, beside what a process takes."""
    monkeypatch.setattr("fastrestore.cli.cost.own_memory", lambda: 4e8)
    words = [*WORDS[:-2], "--memory", "2e9", "--scheduler", "local:1"]
    out, _ = run(capsys, "in.zarr", *words)
    assert "; 1 chunk; " in out[0]
    np.testing.assert_array_equal(values("in-restored.zarr"), whole)


def test_a_page_of_dask_needs_bokeh(capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    words = ("--scheduler", "local:1", "--report", "a.html")
    text = fails(capsys, "denoise", "in.zarr", *words)
    assert text == "--report a.html needs bokeh; install it with pip install bokeh"


def test_too_little_memory(capsys):
    text = fails(capsys, "denoise", "in.zarr", "--memory", "1e6", "--workers", "1")
    assert text.startswith("--memory 1e+06 is too little: 1 worker with chunks of 128 rows take ")


@pytest.mark.filterwarnings("ignore")
def test_files_that_fail_on_a_cluster(capsys, cluster):
    png(Path("a.png"))
    Path("b.png").write_bytes(b"no image")
    argv = ("a.png", "b.png", "-o", "out", "--sigma", "0", "--scheduler", cluster)
    _, err = run(capsys, *argv, status=1)
    assert err[-1] == "2 files: 1 restored, 1 failed"
    assert "b.png" in err[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("0.0", "worker w has fastrestore 0.0, and this is"),
        (
            ModuleNotFoundError("No module named 'fastrestore'"),
            "worker w cannot import fastrestore",
        ),
    ],
)
def test_workers_of_another_version(capsys, monkeypatch, cluster, answer, message):
    monkeypatch.setattr(schedulers.Cluster, "_asked", lambda *_: {"w": answer})
    assert fails(capsys, "denoise", "in.zarr", "--scheduler", cluster).startswith(message)


@pytest.mark.filterwarnings("ignore")
def test_workers_without_the_files(capsys, monkeypatch, cluster):
    asked = schedulers.Cluster._asked

    def without(self, function, *arguments):
        found = asked(self, function, *arguments)
        return {"w": "cannot read in.zarr"} if function is schedulers._problem else found

    monkeypatch.setattr(schedulers.Cluster, "_asked", without)
    text = fails(capsys, "denoise", "in.zarr", "--scheduler", cluster)
    assert text == "worker w cannot read in.zarr; scheduler and workers need a common file system"
