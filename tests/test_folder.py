"""One command for a folder of anything: what survives, what fails, and what is left to do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from support import folder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and signals of POSIX")
WORDS = ["denoise", "photos", "-r", "-o", "out", "--backend", "numba", "--profile", "fast"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTRESTORE_RECORDS", str(tmp_path / ".records"))
    return tmp_path


def start(*words):
    argv = [sys.executable, "-m", "fastrestore", *WORDS, *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True)


def finish(process):
    """Return the status, a dictionary of what was done with each input, and the errors."""
    out, err = process.communicate(timeout=600)
    lines = [json.loads(line) for line in out.splitlines()]
    return process.returncode, lines, err.splitlines()


@pytest.mark.parametrize("jobs", [1, 3])
def test_one_command_and_after_a_kill_the_rest(place, jobs):
    """`python bench/folder.py` does the same with 200 files."""
    good, broken = folder.make(place / "photos", place / "out", 36)
    words = ["--json", "--jobs", str(jobs)]
    process = start(*words)
    while not any((place / "out").glob("*.png")):
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    finish(process)
    written = [path for path in (place / "out").rglob("*") if path.is_file()]
    partial = [path for path in written if path.name.startswith(".fastrestore-")]
    whole = [path for path in written if path not in partial]
    assert 2 <= len(whole) < len(good)
    assert len(partial) <= jobs
    sources = [place / "photos" / path.relative_to(place / "out") for path in whole]
    assert folder.check(place / "photos", place / "out", sources) == []

    status, lines, err = finish(start(*words))
    assert status == 1
    assert sorted(line["status"] for line in lines) == (
        ["failed"] * len(broken) + ["restored"] * (len(good) - len(whole))
        + ["skipped"] * len(whole)
    )  # fmt: skip
    failed = [line["input"] for line in lines if line["status"] == "failed"]
    assert sorted(failed) == sorted(str(path.relative_to(place)) for path in broken)
    for path in broken:
        assert any(line.startswith("fastrestore: error: ") and path.name in line for line in err)
    assert folder.check(place / "photos", place / "out", good) == []
    assert err[-1] == (
        f"36 files: {len(good) - len(whole)} restored, {len(whole)} skipped, 6 failed"
    )
