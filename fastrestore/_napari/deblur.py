"""The widget for deblurring with the image of a point."""

from __future__ import annotations

import functools
from typing import Any

import napari.viewer
import numpy as np
from magicgui.widgets import CheckBox, ComboBox, FloatSlider, FloatSpinBox
from napari.layers import Image
from numpy.typing import NDArray

import fastrestore
from fastrestore._napari import colors, script
from fastrestore._napari.action import Action, Job
from fastrestore._napari.layers import data_of
from fastrestore._napari.planes import each_plane


class Deblur(Action):
    """Deblur a layer, plane by plane, with another layer as the point spread function.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer it belongs to.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer, "Deblur")
        self.psf = ComboBox(label="PSF", choices=self._sources, nullable=True)
        self.psf.tooltip = "Image of a point, one plane; it is divided by its sum"
        self.strength = FloatSlider(label="Strength", min=0, max=2, step=0.05, value=1)
        self.strength.tooltip = "Smaller values keep more detail and more noise"
        self.estimate = CheckBox(text="Estimate the noise", value=True)
        self.sigma = FloatSpinBox(label="Level (sigma)", min=0, max=1e9, step=1, value=2)
        self.add_settings(self.psf, self.estimate, self.sigma, self.strength)
        self.estimate.changed.connect(self._show_settings)
        self._show_settings()

    def job(self) -> Job:
        """Return the calls for all planes."""
        layer, psf = self.source(), self._psf()
        arguments: dict[str, Any] = {}
        if not self.estimate.value:
            arguments["sigma"] = self.sigma.value
        strength = round(self.strength.value, 2)
        if strength != 1:
            arguments["strength"] = strength
        if layer.rgb:
            arguments["channel_axis"] = -1
        image, name = data_of(layer), f"{layer.name} (deblurred)"
        before, after = colors.script_lines(image, layer.rgb)
        loaded = f"psf = viewer.layers[{psf.name!r}].data.astype(float)"
        inner = 3 if layer.rgb else 2
        expression = script.each_plane("deblur", ["psf"], arguments, image.ndim, inner)
        lines = [loaded, "psf = psf / psf.sum()", *before]
        text = script.script(layer.name, name, expression, lines, after)
        function = functools.partial(fastrestore.deblur, psf=_of_sum_one(psf), **arguments)
        compute = functools.partial(each_plane, function, image, inner)
        return Job(layer, compute, "deblur", {"psf": psf.name, **arguments}, name, text)

    def _psf(self) -> Image:
        """Return the layer with the point spread function."""
        psf = self.psf.value
        if psf is None or psf is self.layer.value:
            raise ValueError("Choose another layer as the PSF: the image of a point.")
        if data_of(psf).ndim != 2:
            raise ValueError(f"The PSF is one plane; {psf.name} has shape {data_of(psf).shape}.")
        return psf

    def _choose_active(self) -> None:
        """Choose the smallest plane as the PSF, and another layer as the image."""
        super()._choose_active()
        planes = [layer for layer in self._sources() if data_of(layer).ndim == 2]
        smallest = min(planes, key=lambda layer: data_of(layer).size, default=None)
        others = [layer for layer in self._sources() if layer is not smallest]
        self.psf.value = smallest if others else None
        if others and self.layer.value is smallest:
            self.layer.value = others[-1]

    def _show_settings(self, *_: Any) -> None:
        """Show the settings that apply."""
        self.sigma.visible = not self.estimate.value


def _of_sum_one(layer: Image) -> NDArray[np.float64]:
    """Return the values of a PSF divided by their sum."""
    try:
        values: NDArray[np.float64] = np.asarray(data_of(layer), float)
    except Exception as error:  # of lazy values, for example of their file
        raise ValueError(f"The PSF {layer.name} cannot be read: {error}") from error
    total = float(values.sum())
    if not (np.isfinite(total) and total > 0):
        raise ValueError(f"The PSF needs a sum above 0; that of {layer.name} is {total:g}.")
    return np.asarray(values / total)
