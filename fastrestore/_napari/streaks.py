"""The widget for sinograms with streaks, which cause rings in tomography."""

from __future__ import annotations

from typing import Any

import napari.viewer
import numpy as np
from magicgui.widgets import ComboBox, FloatSlider

import fastrestore
from fastrestore._napari import script
from fastrestore._napari.action import Action, Job
from fastrestore._napari.layers import data_of
from fastrestore._napari.whole import Result
from fastrestore._napari.work import Report


class Streaks(Action):
    """Remove the streaks of a sinogram, or of a stack of sinograms.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer it belongs to.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer, "Remove streaks")
        self.angles = ComboBox(label="Angles along", choices=self._axes)
        self.detector = ComboBox(label="Detector along", choices=self._axes)
        self.strength = FloatSlider(label="Strength", min=0.05, max=2, step=0.05, value=1)
        self.add_settings(self.angles, self.detector, self.strength)
        self._new_layer()

    def job(self) -> Job:
        """Return the call for the layer."""
        layer = self.source()
        angles, detector = self.angles.value, self.detector.value
        image, name = data_of(layer), f"{layer.name} (without streaks)"
        if layer.rgb or image.ndim > 3:
            raise ValueError(
                "A sinogram has two axes, and a stack of them three; "
                f"{layer.name} has shape {tuple(image.shape)}."
            )
        if angles == detector:
            raise ValueError("Angles and detector pixels need different axes.")
        arguments: dict[str, Any] = {}
        strength = round(self.strength.value, 2)
        if strength != 1:
            arguments["strength"] = strength
        if (angles, detector) != (image.ndim - 2, image.ndim - 1):
            arguments |= {"angle_axis": angles, "detector_axis": detector}
        text = script.script(
            layer.name, name, script.call("remove_streaks", ["np.asarray(image)"], arguments)
        )

        def compute(report: Report) -> Result:
            values = np.asarray(image)
            return Result(fastrestore.remove_streaks(values, **arguments, progress=report), {})

        return Job(layer, compute, "remove_streaks", arguments, name, text)

    def _new_layer(self) -> None:
        """Choose rows as angles and columns as detector pixels."""
        self.reset_choices()
        if self.layer.value is not None:
            ndim = self.layer.value.ndim
            self.angles.value, self.detector.value = ndim - 2, ndim - 1

    def _axes(self, *_: Any) -> list[tuple[str, int]]:
        """Return the axes of the layer."""
        layer = self.layer.value
        if layer is None:
            return []
        shape = data_of(layer).shape
        return [(f"{label} ({shape[k]})", k) for k, label in enumerate(layer.axis_labels)]
