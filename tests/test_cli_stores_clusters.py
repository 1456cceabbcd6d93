"""The command line: large images restored by the workers of Dask schedulers."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import pytest
from support.commandline import fails, png
from support.large import NOISY, WORDS, enter, run, values, whole

from fastrestore.cli import schedulers

zarr = pytest.importorskip("zarr")
distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.filterwarnings("always:.*skipped")


@pytest.fixture(autouse=True)
def store(monkeypatch, tmp_path):
    enter(monkeypatch, tmp_path)


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
def test_a_cluster(capsys, cluster):
    """Parts of stores and files are restored by its workers."""
    png(Path("a.png"), NOISY)
    argv = ("in.zarr", "a.png", "-o", "out", "--scheduler", cluster, *WORDS, "--json")
    out, err = run(capsys, *argv)
    assert err[-1] == "2 files: 2 restored"
    assert {json.loads(line)["output"] for line in out} == {"out/in.zarr", "out/a.png"}
    np.testing.assert_array_equal(values("out/in.zarr"), whole())
    from support.commandline import read

    np.testing.assert_array_equal(read(Path("out/a.png")), whole())
    _, err = run(capsys, *argv)
    assert err[-1] == "2 files: 2 skipped"


@pytest.mark.filterwarnings("ignore")
def test_processes_of_this_computer(capsys, monkeypatch):
    """The result is the same; --memory chooses the chunks, beside what a process takes."""
    monkeypatch.setattr("fastrestore.cli.cost.own_memory", lambda: 4e8)
    words = [*WORDS[:-2], "--memory", "2e9", "--scheduler", "local:1"]
    out, _ = run(capsys, "in.zarr", *words)
    assert "; 1 chunk; " in out[0]
    np.testing.assert_array_equal(values("in-restored.zarr"), whole())


def test_a_page_of_dask_needs_bokeh(capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    words = ("--scheduler", "local:1", "--report", "a.html")
    text = fails(capsys, "denoise", "in.zarr", *words)
    assert text == "--report a.html needs bokeh; install it with pip install bokeh"


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


@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_does_not_answer(capsys, monkeypatch, cluster):
    """A process that was stopped keeps its connection, and `Client.run` waits for it."""
    released, run = threading.Event(), distributed.Client.run

    def waiting(self, function, *arguments, workers=None, **options):
        if workers == [silent]:
            assert released.wait(30)
        return run(self, function, *arguments, workers=workers, **options)

    with distributed.Client(cluster) as client:
        silent = max(client.nthreads())
    monkeypatch.setattr(distributed.Client, "run", waiting)
    monkeypatch.setattr(schedulers, "ANSWER", 2.0)
    try:
        text = fails(capsys, "denoise", "in.zarr", "--scheduler", cluster)
    finally:
        released.set()
    assert text == (
        f"worker {silent} of --scheduler {cluster} does not answer; end it, or start it again"
    )


@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_ends(capsys, monkeypatch, tmp_path, cluster):
    """The client cancels the tasks then."""
    future = distributed.Future

    def cancelled(self, timeout=None):
        raise CancelledError("scheduler-connection-lost")

    monkeypatch.setattr(future, "result", cancelled)
    # Tasks that have begun may write after the test, in another directory
    argv = (tmp_path / "in.zarr", "-o", tmp_path / "out.zarr", "--scheduler", cluster, *WORDS)
    text = fails(capsys, "denoise", *argv)
    assert text == (
        f"the connection to --scheduler {cluster} is lost; start it, and then the same command "
        "again, which goes on: chunks that are complete are kept"
    )
