import os

import pytest

from fastrestore.backends import MODULES, _module, why_unavailable

REQUIRED = os.environ.get("FASTRESTORE_TEST_REQUIRE", "").split(",")
# A backend without kernels has nothing to test; its row in the table is tested by name.
WRITTEN = [name for name in MODULES if hasattr(_module(name), "bm3d_match")]


def pytest_generate_tests(metafunc):
    """Run a test for each `backend`, or for each `engine`: all but numpy, which is the judge.

    A skip gives the backend's own reason.
    """
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", [row(name) for name in WRITTEN])
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", [row(name) for name in WRITTEN if name != "numpy"])


def row(name):
    reason = why_unavailable(name)
    if reason is not None and name in REQUIRED:
        raise pytest.UsageError(f"{name} is required and unavailable: {reason}")
    return pytest.param(name, marks=[pytest.mark.skip(reason)] if reason else [])
