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


def click(button):
    """Press a button."""
    assert button.enabled, button.text
    button.native.click()


def press(viewer, key):
    """Press a key in the viewer."""
    {str(each): action for each, action in viewer.keymap.items()}[key](viewer)


def finish(qtbot, widget):
    """Wait until a task has ended."""
    qtbot.waitUntil(lambda: widget.task is None, timeout=LIMIT)


def previewed(qtbot, widget, change):
    """Wait until a preview is shown that was computed after a change."""
    shown = []
    show = widget.preview._show
    widget.preview._show = lambda *args: (show(*args), shown.append(1))
    change()
    qtbot.waitUntil(lambda: bool(shown), timeout=LIMIT)
    widget.preview._show = show
