"""Parameters and fixtures that choose the backends a test runs on."""

import contextlib
import os
import signal

import pytest
from support import cudashim
from support.gpu import REAL_GPU, REQUIRED, WHY_NO_GPU
from support.standin import StandIn

from fastrestore._arrays import interop
from fastrestore._cuda import module as _module
from fastrestore.backends.cupy import _device
from fastrestore.backends.select import MODULES, why_unavailable

os.environ["FASTRESTORE_RECORDS"] = "0"  # no records of results in the user's cache
HOST = [name for name in MODULES if name != "cupy"]
ON_GPU = {"cupy", "fake"}  # fixtures that use a GPU


def pytest_configure(config):
    config.addinivalue_line("markers", "gpu: runs on a GPU, or on the CUDA shim")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in background jobs of a shell
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Mark the tests that use a GPU, for `pytest -m gpu`."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        if ON_GPU & set(item.fixturenames) or parameters.get("backend") == "cupy":
            item.add_marker("gpu")


def pytest_report_header():
    if WHY_NO_GPU:
        return f"GPU: none, {WHY_NO_GPU}"
    if REAL_GPU:
        return "GPU: that of this machine"
    return f"GPU: CUDA shim, capability {cudashim.CAPABILITY}, thread order {cudashim.SEED}"


def pytest_generate_tests(metafunc):
    """Run a test for each `backend`, or for each `engine`: the host backends other than numpy."""
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", [*map(row, HOST), gpu_row("cupy")])
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", [row(name) for name in HOST if name != "numpy"])
    if "cupy" in metafunc.fixturenames:
        metafunc.parametrize("cupy", [gpu_row("GPU")], indirect=True)


def row(name):
    """A backend's row; a skip gives the backend's own reason."""
    reason = why_unavailable(name)
    if reason is not None and name in REQUIRED:
        raise pytest.UsageError(f"{name} is required and unavailable: {reason}")
    return pytest.param(name, marks=[pytest.mark.skip(reason)] if reason else [])


def gpu_row(name):
    """A row that needs CuPy and a GPU, or the CUDA shim."""
    if WHY_NO_GPU and "cupy" in REQUIRED:
        raise pytest.UsageError(f"cupy is required and unavailable: {WHY_NO_GPU}")
    return pytest.param(name, marks=[pytest.mark.skip(WHY_NO_GPU)] if WHY_NO_GPU else [])


@pytest.fixture(autouse=True)
def gpu_or_none(request):
    """Show CuPy to the tests that use it. Others see none on the shim, or they would run on it."""
    if REAL_GPU:
        yield
    elif request.node.get_closest_marker("gpu") and WHY_NO_GPU is None:
        forget()  # what was found while CuPy was hidden
        cudashim.reset()
        yield
        forget()
        failure = cudashim.reset()
        assert not failure, failure
    else:
        with hidden():
            yield


@contextlib.contextmanager
def hidden():
    """Make CuPy unavailable."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interop, "load_cupy", missing)
        patch.setattr(interop, "loaded_cupy", lambda: None)
        yield


def missing():
    raise ModuleNotFoundError("No module named 'cupy'")


@pytest.fixture
def cupy():
    """CuPy."""
    return interop.load_cupy()


@pytest.fixture
def fake():
    """CuPy on the CUDA shim, which logs launches, transfers and allocations."""
    if WHY_NO_GPU:
        (pytest.fail if "cupy" in REQUIRED else pytest.skip)(WHY_NO_GPU)
    if REAL_GPU:
        pytest.skip("runs on the CUDA shim: FASTRESTORE_TEST_GPU=shim")
    simulation = cudashim.Simulation()
    with simulation.watched():
        yield simulation
    simulation.limit = None


@pytest.fixture
def stand_in(monkeypatch):
    """A stand-in for CuPy, for kernels that the CUDA shim cannot run or not often enough."""
    module = StandIn()
    forget()
    monkeypatch.setattr(interop, "load_cupy", lambda: module)
    monkeypatch.setattr(interop, "loaded_cupy", lambda: module)
    yield module
    forget()


@pytest.fixture
def without_cupy():
    """Make CuPy unavailable."""
    forget()
    with hidden():
        yield
    forget()


def forget():
    for kept in (why_unavailable, _module.kernel, _device._small):
        kept.cache_clear()
    _module._ready.clear()
