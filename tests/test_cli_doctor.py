"""The command line: the report on an installation."""

import importlib.metadata
import json
from types import SimpleNamespace

import numpy as np
import pytest
from support.commandline import works

import fastrestore
from fastrestore.backends import select
from fastrestore.cli import doctor, main


@pytest.fixture
def fast(monkeypatch):
    """Replace bm3d by the clean image, which is nearly constant."""
    monkeypatch.setattr("fastrestore.bm3d", lambda image, sigma, **options: image * 0 + 120)
    monkeypatch.setattr(doctor, "GAIN", -20)


def test_report(capsys):
    out = works(capsys, "doctor")
    rows = {line[: doctor.NAMES].strip(): line[doctor.NAMES :] for line in out.splitlines()}
    assert rows["fastrestore"].startswith(fastrestore.__version__)
    assert "CPython" in rows["Python"] or "PyPy" in rows["Python"]
    assert f"numpy {np.__version__}" in rows["packages"]
    assert all(f" {name} " in out for name in ("OpenImageIO", "pillow", "tifffile"))
    assert rows["problems"] == "none"
    assert "dB before" in rows["test"]
    assert "numba  available" in out


def test_json(capsys, fast):
    report = json.loads(works(capsys, "doctor", "--json"))
    assert list(report)[:3] == ["fastrestore", "Python", "system"]
    assert report["problems"] == []
    assert len(report["backends"]) == len(select.MODULES)


def test_failed_test_is_an_error(capsys, monkeypatch):
    monkeypatch.setattr("fastrestore.bm3d", lambda image, sigma, **options: image)
    assert main(["doctor"]) == 2
    out, err = capsys.readouterr()
    assert "gains 0.00 dB; at least 8 are expected" in out
    assert err == "fastrestore: error: 1 problem(s), see above\n"


def test_broken_parts_do_not_end_the_report(capsys, monkeypatch, fast):
    def broken():
        raise RuntimeError("no\nmemory")

    monkeypatch.setattr(doctor, "_memory", broken)
    assert main(["doctor"]) == 2
    out, _ = capsys.readouterr()
    assert "memory: RuntimeError: no memory" in out
    assert "dB before" in out


def test_extras(monkeypatch):
    required = [
        "numpy>=2.0",
        'av>=17.1; extra == "video"',
        'missing-one>=1; extra == "video"',
        'pytest>=8; extra == "test"',
    ]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: required)
    monkeypatch.setattr(doctor, "_version", lambda name: "9" if name == "av" else None)
    (line,) = doctor._extras()
    assert line.startswith("video  av 9; missing-one not installed (pip install ")


def test_environment(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.Path, "home", lambda: tmp_path)
    monkeypatch.setenv("FASTRESTORE_NUMBA_CACHE", str(tmp_path / "cache"))
    assert any(line.startswith("FASTRESTORE_NUMBA_CACHE=~") for line in doctor._environment())


def test_gpu(monkeypatch):
    properties = {"name": b"GPU", "totalGlobalMem": 2**33, "major": 9, "minor": 0}
    runtime = SimpleNamespace(
        runtimeGetVersion=lambda: 13000,
        driverGetVersion=lambda: 13000,
        getDeviceCount=lambda: 1,
        getDeviceProperties=lambda number: properties,
    )
    cupy = SimpleNamespace(cuda=SimpleNamespace(runtime=runtime))
    monkeypatch.setattr(select, "why_unavailable", lambda name: None)
    monkeypatch.setattr(doctor.interop, "load_cupy", lambda: cupy)
    expected = "GPU, compute capability 9.0, 8.0 GiB, CUDA 13000, driver for 13000"
    assert doctor._gpu() == [expected]
