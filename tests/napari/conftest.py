"""Qt without a screen, and the plugin in napari."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
