"""The command line: standard streams that are closed, full, or ASCII."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.commandline import NOISE8, names, png, read

from fastrestore.cli import main

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")


def shell(text, folder, **environment):
    """Run a command in which `fastrestore` is the command line; return status and both outputs."""
    run = subprocess.run(
        ["sh", "-c", text.replace("fastrestore", f"{sys.executable} -m fastrestore.cli")],
        cwd=folder,
        capture_output=True,
        check=False,
        env=os.environ | environment,
    )
    return run.returncode, run.stdout, run.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "<&- 2>&-"])
def test_closed_streams(tmp_path, closed):
    """Also a file that is opened does not become standard error, to which libraries print."""
    png(tmp_path / "a.png")
    command = f"fastrestore denoise a.png -o b.png --sigma 0 {closed}"
    status, out, err = shell(command, tmp_path)
    is_lost = ">&-" in closed.replace("2>&-", "")
    assert status == is_lost
    message = b"fastrestore: error: standard output: Bad file descriptor; lines of it are lost\n"
    assert err == (message if is_lost and "2>&-" not in closed else b"")
    assert out.startswith(b"a.png -> b.png") != is_lost
    assert (read(tmp_path / "b.png") == NOISE8).all()
    assert names(tmp_path) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    "command", ["info a.png", "--help", "--version", "info --help", "backends"]
)
def test_output_that_is_lost_is_an_error(tmp_path, command):
    png(tmp_path / "a.png")
    message = b"fastrestore: error: standard output: Bad file descriptor\n"
    assert shell(f"fastrestore {command} >&-", tmp_path) == (2, b"", message)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["info a.png", "--help", "--version"])
def test_full_output(tmp_path, command, unbuffered):
    png(tmp_path / "a.png")
    message = b"fastrestore: error: standard output: No space left on device\n"
    found = shell(f"fastrestore {command} > /dev/full", tmp_path, PYTHONUNBUFFERED=unbuffered)
    assert found == (2, b"", message)
    assert shell("fastrestore info none.png 2> /dev/full", tmp_path) == (2, b"", b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("words", ["", "--json"])
def test_lines_that_are_lost(tmp_path, words):
    """All files are restored, and an error is printed once."""
    for name in ("a.png", "b.png"):
        png(tmp_path / name)
    command = f"fastrestore denoise a.png b.png --sigma 0 -o out {words} > /dev/full"
    status, _, err = shell(command, tmp_path)
    assert status == 1
    assert err == (
        b"2 files: 2 restored\n"
        b"fastrestore: error: standard output: No space left on device; lines of it are lost\n"
    )
    assert names(tmp_path / "out") == ["a.png", "b.png"]


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-"])
def test_errors_without_standard_error(tmp_path, closed):
    """The message is not written to standard output instead."""
    assert shell(f"fastrestore info none.png {closed}", tmp_path) == (2, b"", b"")
    assert shell(f"fastrestore {closed}", tmp_path) == (2, b"", b"")


@pytest.mark.parametrize(
    "locale",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "POSIX", "PYTHONIOENCODING": "latin-1"},
    ],
)
def test_names_that_the_output_cannot_encode(tmp_path, locale):
    for name in ("zwölf.png", "十二.png"):
        png(tmp_path / name)
    status, out, err = shell("fastrestore info *.png", tmp_path, **locale)
    assert (status, err) == (0, b"")
    shown = out.decode("latin-1").split("\n")
    assert shown[0].split(":")[0] in ("zw\\xf6lf.png", "zwölf.png")
    assert shown[1].startswith("\\u5341\\u4e8c.png: 24 x 17")
    status, out, err = shell("fastrestore info zwölf.pdf", tmp_path, **locale)
    assert (status, out, err.count(b"\n")) == (2, b"", 1)


def test_streams_of_the_caller_stay(capsys, monkeypatch, tmp_path):
    """As in programs without a console, where both are None."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["info", str(png(tmp_path / "a.png"))]) == 2
    assert main(["info", str(tmp_path / "none.png")]) == 2
    assert (sys.stdout, sys.stderr) == (None, None)
    monkeypatch.undo()
    errors = sys.stdout.errors
    assert main(["info", str(tmp_path / "a.png")]) == 0
    assert sys.stdout.errors == errors
