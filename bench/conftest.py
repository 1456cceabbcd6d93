"""Images, warm-up and the description of the computer in a saved result."""

import functools
import os
import subprocess
from importlib.metadata import version
from pathlib import Path

import photographs
import pytest


@pytest.fixture(scope="session")
def pair():
    """Return a function of the size: the clean photograph and the noisy one."""

    @functools.cache
    def make(size):
        clean = photographs.photograph(size)
        noisy = photographs.noisy(clean)
        noisy.setflags(write=False)  # a call must not change the input of the next one
        return clean, noisy

    return make


@pytest.fixture(scope="session")
def warm(pair):
    """Return a function that runs a backend once, so that Numba compiles before timing."""

    @functools.cache
    def run(backend, profile="np"):
        import fastrestore

        fastrestore.bm3d(pair(64)[1], photographs.SIGMA, backend=backend, profile=profile)

    return run


@pytest.fixture
def judge(benchmark):
    """Return a function that records the PSNR and fails if it is below the floor."""

    def check(clean, image, floor):
        value = photographs.psnr(clean, image)
        benchmark.extra_info["psnr_db"] = round(value, 3)
        assert image.shape == clean.shape
        assert value >= floor

    return check


@pytest.fixture(autouse=True)
def origin(benchmark):
    """Record the versions and the computer in every row."""
    import fastrestore
    from fastrestore._arrays.validate import usable_processors

    benchmark.extra_info.update(
        fastrestore=fastrestore.__version__,
        commit=commit(),
        numba=version("numba"),
        numpy=version("numpy"),
        cpus=os.cpu_count(),
        usable_cpus=usable_processors(),
    )


@functools.cache
def commit():
    """Name the commit, or return None where there is no git or no commit."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
