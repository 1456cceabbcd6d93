"""A window with the noise that was found."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QDialog, QLabel, QVBoxLayout, QWidget

DOTS = 100  # per inch


def picture(spec: Any) -> bytes:
    """Return level and spectrum of a noise specification as PNG."""
    from matplotlib import pyplot

    figure = spec.plot()
    file = BytesIO()
    figure.savefig(file, dpi=DOTS)
    pyplot.close(figure)
    return file.getvalue()


def show_noise(spec: Any, text: str, parent: QWidget | None) -> QDialog:
    """Open a window with the noise."""
    dialog = QDialog(parent)
    dialog.setWindowTitle("Noise")
    layout = QVBoxLayout(dialog)
    label = QLabel(text)
    label.setWordWrap(True)
    layout.addWidget(label)
    pixmap = QPixmap()
    pixmap.loadFromData(picture(spec))
    shown = QLabel()
    shown.setPixmap(pixmap)
    layout.addWidget(shown)
    dialog.show()
    return dialog
