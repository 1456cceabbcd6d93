"""The contents of the wheel, and its use outside the checkout."""

import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from fastrestore._cuda.module import source

ROOT = Path(__file__).parents[1]
SUFFIXES = (".py", ".pyi", ".safetensors", ".json", ".md", ".html", ".css", ".js", ".yaml")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    build = pytest.importorskip("hatchling.build", reason="hatchling builds the wheel")
    folder = tmp_path_factory.mktemp("wheel")
    code = f"import {build.__name__} as build; build.build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


def test_contents(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "fastrestore").rglob("*")
        if path.suffix in SUFFIXES or path.name == "py.typed"
    }
    kernels = {f"fastrestore/kernels/{path.name}" for path in (ROOT / "kernels").glob("*")}
    outside = {name for name in names if ".dist-info/" in name}
    assert names - outside == package | kernels
    assert any(name.endswith("licenses/LICENSE") for name in outside)


def test_wheel_is_pure_python(wheel):
    assert wheel.name.endswith("-py3-none-any.whl")


def test_wheel_runs_outside_the_checkout(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import zlib, fastrestore, numpy as np;"
        "print(fastrestore.__file__);"
        "print(fastrestore.bm3d(np.eye(9), 0.1, backend='numpy').shape);"
        "from fastrestore._cuda.module import folder, source;"
        "print(folder());"
        "print(zlib.crc32(source('bm3d_final').encode()))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    where, shape, kernels, text = run.stdout.splitlines()
    assert Path(where).is_relative_to(tmp_path)
    assert shape == "(9, 9)"
    assert Path(kernels).is_relative_to(tmp_path)
    assert int(text) == zlib.crc32(source("bm3d_final").encode())
