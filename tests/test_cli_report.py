"""The command line: reports for methods sections."""

from __future__ import annotations

import json
import platform
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from support.commandline import NOISE8, png, write

import fastrestore
from fastrestore.cli import main

SIGMA = ("--sigma", "0", "--quiet", "--backend", "numpy", "--profile", "fast")


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Work in an empty folder, with records of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTRESTORE_RECORDS", str(tmp_path / ".records"))
    return tmp_path


def report_of(*argv, status=0):
    assert main(list(map(str, argv))) == status
    return json.loads(Path("r.json").read_text(encoding="utf-8"))


def test_versions_date_and_command_line(folder):
    png(folder / "a b.png")
    report = report_of("denoise", "a b.png", *SIGMA, "--report", "r.json")
    assert report["command_line"].startswith("fastrestore denoise 'a b.png' --sigma 0 ")
    assert report["versions"]["python"] == platform.python_version()
    assert report["versions"]["numpy"] == np.__version__
    assert report["versions"]["numba"]
    age = datetime.now().astimezone() - datetime.fromisoformat(report["date"])
    assert 0 <= age.total_seconds() < 600
    assert "earlier_runs" not in report


def test_settings_are_options_of_the_command(folder):
    png(folder / "a.png")
    report = report_of("restore", "a.png", "--sigma", "0", "-q", "--report", "r.json")
    assert report["settings"]["sigma"] == "0"
    assert not {"blend", "lossless", "colorspace", "command", "run"} & set(report["settings"])
    (folder / "r.json").unlink()
    report = report_of("denoise", "a.png", *SIGMA, "--overwrite", "--report", "r.json")
    assert report["settings"]["blend"] == 1


def test_resumed_runs_keep_what_was_found_before(folder):
    for name in "abc":
        (folder / "in").mkdir(exist_ok=True)
        png(folder / "in" / f"{name}.png")
    words = ("denoise", "in", "-o", "out", *SIGMA, "--report", "r.json", "--resume")
    first = report_of(*words)
    write(folder / "in" / "b.png", 255 - NOISE8)
    png(folder / "in" / "d.png")
    (folder / "in" / "c.png").unlink()
    second = report_of(*words)
    before = {each["output"]: each for each in first["files"]}
    found = {each["output"]: each for each in second["files"]}
    assert list(found) == [f"out/{name}.png" for name in "abcd"]
    assert {each["status"] for each in found.values()} == {"restored"}
    for name in ("out/a.png", "out/c.png"):  # with noise, method and time
        assert found[name] == {"date": first["date"], **before[name]}
        assert {"noise", "method", "seconds"} <= set(found[name])
    assert "date" not in found["out/b.png"]
    assert [each["date"] for each in second["earlier_runs"]] == [first["date"]]
    third = report_of(*words)
    assert {each["output"]: each["status"] for each in third["files"]} == dict.fromkeys(
        found, "restored"
    )
    assert len(third["earlier_runs"]) == 2


def test_a_result_that_was_changed_is_not_reported_as_restored(folder):
    (folder / "in").mkdir()
    png(folder / "in" / "a.png")
    words = ("denoise", "in", "-o", "out", *SIGMA, "--report", "r.json", "--resume")
    report_of(*words)
    png(folder / "out" / "a.png", NOISE8[:20])
    (only,) = report_of(*words)["files"]
    assert only["status"] == "skipped"
    (folder / "r.json").write_text("not a report")
    assert len(report_of(*words)["files"]) == 1


def test_a_curve_of_the_noise(folder):
    random = np.random.default_rng(0)
    clean = np.linspace(20, 200, 128 * 128).reshape(128, 128)
    write(folder / "a.tif", (clean + random.normal(0, np.sqrt(clean))).astype(np.float32))
    words = ("--noise", "poisson:1,0", "-q", "--backend", "numba")
    (given,) = report_of("denoise", "a.tif", *words, "--report", "r.json")["files"]
    assert given["noise"]["model"]
    spec = fastrestore.NoiseSpec([5.0], [[0.0, 100.0]], [[2.0, 7.0]], np.ones((1, 1, 1, 1)))
    spec.save(folder / "n.npz")
    words = ("--noise", "n.npz", "-q", "--backend", "numba", "--overwrite")
    (found,) = report_of("denoise", "a.tif", *words, "--report", "r.json")["files"]
    assert found["noise"]["brightness"] == [[0, 100]]
    assert found["noise"]["levels"] == [[2, 7]]
