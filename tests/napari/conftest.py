"""Qt without a screen, and the plugin in napari."""

import os

import pytest
from support.viewer import LIMIT, MANIFEST

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture
def viewer(make_napari_viewer, npe2pm):
    from npe2 import PluginManifest

    if "fastrestore" not in npe2pm:
        npe2pm.register(PluginManifest.from_file(MANIFEST))
    return make_napari_viewer()


@pytest.fixture
def opened(viewer, qtbot):
    """Return a function that opens a widget of the plugin."""
    widgets = []

    def open_widget(name):
        widgets.append(viewer.window.add_plugin_dock_widget("fastrestore", name)[1])
        return widgets[-1]

    yield open_widget
    for widget in widgets:
        widget._closed()
    qtbot.waitUntil(lambda: all(each.task is None for each in widgets), timeout=LIMIT)
