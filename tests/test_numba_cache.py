"""The cache of compiled kernels: its folder, and folders that cannot be written."""

import os
import shutil
import subprocess
import sys

import pytest

CALL = """
import numpy as np, fastrestore
image = np.add.outer(np.arange(20.0), np.arange(20.0) ** 2)
print(fastrestore.bm3d(image, 5.0).sum())
"""


def child(code, **variables):
    environment = {**os.environ, "NUMBA_CACHE_DIR": "", **variables}
    command = [sys.executable, "-W", "error", "-c", code]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    return folder, child(CALL, FASTRESTORE_NUMBA_CACHE=str(folder))


def test_compiled_kernels_are_reused(filled):
    folder, result = filled
    kept = {file: file.stat().st_mtime_ns for file in folder.rglob("*.nb?")}
    assert len(kept) > 4
    assert child(CALL, FASTRESTORE_NUMBA_CACHE=str(folder)) == result
    assert kept == {file: file.stat().st_mtime_ns for file in folder.rglob("*.nb?")}


def test_the_folder_is_named_after_the_sources(filled):
    import numba

    import fastrestore

    (folder,) = filled[0].iterdir()
    assert folder.name.startswith(f"{fastrestore.__version__}-numba{numba.__version__}-")


def test_info_and_clear(filled, tmp_path):
    shutil.copytree(filled[0], tmp_path / "new")
    code = CALL + (
        "from fastrestore.backends.numba import cache\n"
        "print(cache.info()['files'] > 4, cache.info()['bytes'] > 1000, cache.clear() > 4,"
        " cache.info()['files'], cache.warm() > 0, cache.info()['path'].parent)"
    )
    out = child(code, FASTRESTORE_NUMBA_CACHE=str(tmp_path / "new"))
    assert out.splitlines()[1] == f"True True True 0 True {tmp_path / 'new'}"


INFO = """
from fastrestore.backends.numba import cache
print(cache.info()['path'], cache.info()['files'], cache.clear())
"""


@pytest.mark.parametrize(("variable", "code"), [("0", CALL + INFO), ("off", INFO)])
def test_the_cache_can_be_switched_off(filled, variable, code, tmp_path):
    out = child(code, FASTRESTORE_NUMBA_CACHE=variable, XDG_CACHE_HOME=str(tmp_path))
    assert out == filled[1] * (CALL in code) + "None 0 0\n"
    assert not list(tmp_path.iterdir())


def test_a_home_that_cannot_be_written(filled, tmp_path):
    """A file has the name of the folder, so that even root cannot create it."""
    obstacle = tmp_path / "file"
    obstacle.write_text("")
    out = child(CALL, FASTRESTORE_NUMBA_CACHE=str(obstacle / "cache"))
    assert out == filled[1]


def test_numbas_own_variable_is_respected(filled, tmp_path):
    out = child(CALL, NUMBA_CACHE_DIR=str(tmp_path), FASTRESTORE_NUMBA_CACHE="")
    assert out == filled[1]
    assert list(tmp_path.glob("*-numba*/**/*.nbi"))


def test_configuration_of_numba_is_unchanged():
    code = (
        "import numba; before = numba.config.CACHE_DIR"
        + CALL
        + ("print(numba.config.CACHE_DIR == before)")
    )
    assert child(code).splitlines()[-1] == "True"
