"""Parameters and fixtures that choose the backends a test runs on."""

import os

import pytest
from support.fakecupy import Cupy

from fastrestore._arrays import interop
from fastrestore.backends import cupy as gpu
from fastrestore.backends.cupy import _device, _module
from fastrestore.backends.select import MODULES, why_unavailable

os.environ["FASTRESTORE_RECORDS"] = "0"  # no records of results in the user's cache
REQUIRED = os.environ.get("FASTRESTORE_TEST_REQUIRE", "").split(",")
HOST = [name for name in MODULES if name != "cupy"]
GPU = "cupy" in REQUIRED or gpu.why_unavailable() is None


def pytest_generate_tests(metafunc):
    """Run a test for each `backend`, or for each `engine`: the host backends other than numpy.

    Without a GPU cupy has no row: `cupy` runs the same code on a stand-in.
    """
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", [row(name) for name in HOST + ["cupy"] * GPU])
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", [row(name) for name in HOST if name != "numpy"])
    if "cupy" in metafunc.fixturenames:
        metafunc.parametrize("cupy", ["stand-in"] + ["GPU"] * GPU, indirect=True)


def row(name):
    """A backend's row; a skip gives the backend's own reason."""
    reason = why_unavailable(name)
    if reason is not None and name in REQUIRED:
        raise pytest.UsageError(f"{name} is required and unavailable: {reason}")
    return pytest.param(name, marks=[pytest.mark.skip(reason)] if reason else [])


@pytest.fixture
def cupy(request, monkeypatch):
    """CuPy, and a stand-in whose kernels run on the CPU."""
    if request.param == "GPU":
        yield interop.load_cupy()
        return
    yield from standing_in(monkeypatch, Cupy())


@pytest.fixture
def fake(monkeypatch):
    """The stand-in, which logs launches, transfers and allocations."""
    yield from standing_in(monkeypatch, Cupy())


@pytest.fixture
def fakes(monkeypatch):
    """Make a stand-in with other properties."""
    running = []

    def make(**properties):
        running.append(standing_in(monkeypatch, Cupy(**properties)))
        return next(running[-1])

    yield make
    forget()


@pytest.fixture
def without_cupy(monkeypatch):
    """Make CuPy unavailable."""

    def missing():
        raise ModuleNotFoundError("No module named 'cupy'")

    forget()
    monkeypatch.setattr(interop, "load_cupy", missing)
    monkeypatch.setattr(interop, "loaded_cupy", lambda: None)
    yield
    forget()


def standing_in(monkeypatch, module):
    """Replace CuPy by a module and clear cached state."""
    forget()
    monkeypatch.setattr(interop, "load_cupy", lambda: module)
    monkeypatch.setattr(interop, "loaded_cupy", lambda: module)
    yield module
    forget()


def forget():
    for kept in (why_unavailable, _module.kernel, _device._small):
        kept.cache_clear()
    _module._ready.clear()
