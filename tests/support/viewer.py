"""A viewer of napari without a screen."""

import importlib.util
import os
from pathlib import Path

import pytest

MANIFEST = Path(__file__).parents[2] / "fastrestore" / "_napari" / "napari.yaml"
LIMIT = 60_000  # milliseconds: a test waits no longer


def napari_or_skip():
    """Skip without napari, Qt and their plugins of pytest; fail if they are required."""
    missing = [name for name in ("napari", "qtpy", "pytestqt", "npe2")
               if importlib.util.find_spec(name) is None]  # fmt: skip
    if "napari" in os.environ.get("FASTRESTORE_TEST_REQUIRE", "").split(","):
        assert not missing, f"{', '.join(missing)} must be installed"
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed", allow_module_level=True)
