"""A preview of what is seen, which follows sliders and the view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.experimental import link_layers, unlink_layers
from napari.layers import Image
from qtpy.QtCore import QTimer

from fastrestore._napari.colors import as_shown
from fastrestore._napari.compare import LINKED
from fastrestore._napari.estimates import Estimates, Noise
from fastrestore._napari.layers import PREVIEW, add_above, data_of, like
from fastrestore._napari.part import NothingSeenError, Part, View, visible_part
from fastrestore._napari.settings import Settings
from fastrestore._napari.work import Task

FOLLOWED = ("data", "scale", "translate", "rotate", "shear", "affine", "units")  # of the source
DELAY = 30  # milliseconds after the last change: sliders and the camera move in steps


def view_of(viewer: Any, layer: Image) -> View:
    """Return what a viewer shows of a layer."""
    first = viewer.dims.ndim - layer.ndim
    displayed = tuple(axis - first for axis in viewer.dims.displayed)
    if min(displayed) < 0:
        raise NothingSeenError("The layer is not in view.")
    point = tuple(round(float(each)) for each in layer.world_to_data(viewer.dims.point))
    factors = layer.downsample_factors[layer.data_level] if layer.multiscale else 1
    corners = np.asarray(layer.corner_pixels * factors, int)
    return View(displayed, point, (tuple(corners[0]), tuple(corners[1])))


def camera_of(viewer: Any) -> Any:
    """Return the camera, which belongs to the scene since napari 0.9."""
    return (viewer.scene if hasattr(viewer, "scene") else viewer).camera


class Preview:
    """A layer with the restored part of another one.

    Parameters
    ----------
    viewer : napari.Viewer
        Viewer with the layer.
    ask : callable
        Returns the layer and the settings; may raise ValueError.
    tell : callable
        Receives texts for the user.
    found : callable
        Receives the noise that was found.
    """

    def __init__(
        self,
        viewer: Any,
        ask: Callable[[], tuple[Image, Settings]],
        tell: Callable[[str], None],
        found: Callable[[Noise], None],
    ) -> None:
        self.viewer, self._ask, self._tell, self._found = viewer, ask, tell, found
        self.layer: Image | None = None
        self.source: Image | None = None
        self.active = False
        self._task: Task | None = None
        self._again = self._closed = False
        self._estimates, self._image = Estimates(), None
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY)
        self._timer.timeout.connect(self._compute)
        for events in self._events():
            events.connect(self.schedule)

    def _events(self) -> list[Any]:
        """Return the events that change what is seen."""
        dims, camera = self.viewer.dims.events, camera_of(self.viewer).events
        return [dims.point, dims.order, dims.ndisplay, camera.zoom, camera.center]

    def _same_units(self, *_: Any) -> None:
        """Give the preview the units of its source at once: napari warns if they differ."""
        if self.layer is not None and self.source is not None:
            self.layer.units = self.source.units

    def start(self) -> None:
        """Show the preview."""
        self.active = True
        self.schedule()

    def stop(self) -> None:
        """Remove the preview."""
        self.active = self._again = False
        self._timer.stop()
        if self._task is not None:
            self._task.cancel()
        self._remove()
        self._follow(None)

    def _remove(self) -> None:
        """Remove the layer with the preview."""
        layer, self.layer = self.layer, None
        if layer is None:
            return
        if self.source is not None and not layer.rgb:
            unlink_layers((self.source, layer), LINKED)
        if layer in self.viewer.layers:
            self.viewer.layers.remove(layer)

    def _follow(self, source: Image | None) -> None:
        """Compute the preview again when a layer has other data or another place."""
        if source is self.source:
            return
        for layer, change in ((self.source, "disconnect"), (source, "connect")):
            if layer is None:
                continue
            events = layer.events
            for name in FOLLOWED:
                getattr(getattr(events, name), change)(self.schedule)
            getattr(events.units, change)(self._same_units)
        self.source = source

    def restart(self) -> None:
        """Show another layer, if the preview is shown."""
        was_active = self.active
        self.stop()
        if was_active:
            self.start()

    def close(self) -> None:
        """Stop for good."""
        self.active = self._again = False
        if not self._closed:
            self._closed = True
            for events in self._events():
                events.disconnect(self.schedule)
        if self._task is not None:
            self._task.abandon()

    def step(self) -> None:
        """Show the image before, or the preview again."""
        if self.layer is not None:
            self.layer.visible = not self.layer.visible
            self._tell("The preview." if self.layer.visible else "Before.")

    def schedule(self, *_: Any) -> None:
        """Compute the preview again, soon."""
        if self.active:
            self._timer.start()

    def _compute(self) -> None:
        """Compute the preview; an older computation is stopped first."""
        if not self.active:  # stopped after it was scheduled
            return
        if self._task is not None:
            self._again = True
            self._task.cancel()
            return
        try:
            source, settings = self._ask()
            image = data_of(source)
            part = visible_part(image.shape[: source.ndim], settings.axes,
                                view_of(self.viewer, source))  # fmt: skip
        except (ValueError, NothingSeenError) as error:
            self._hide(str(error))
            return
        self._follow(source)
        if image is not self._image:
            self._estimates, self._image = Estimates(), image
        estimates = self._estimates
        self._task = Task(
            lambda report: estimates.restore(image, part, settings, report),
            lambda result: self._show(source, part, *result),
            lambda error: self._hide(str(error)),
            self._ended,
        )
        self._task.start()

    def _ended(self) -> None:
        """Start the computation that waited for this one."""
        self._task = None
        if self._again:
            self._again = False
            self.schedule()

    def _hide(self, reason: str) -> None:
        """Show no preview, and why."""
        self._tell(reason)
        if self.layer is not None:
            self.layer.visible = False

    def _show(self, source: Image, part: Part, restored: Any, noise: Noise) -> None:
        """Show the restored part."""
        if not self.active or source not in self.viewer.layers:
            return
        data = as_shown(restored, data_of(source).dtype) if source.rgb else restored
        new = like(source, data, f"{source.name} (preview)", {PREVIEW: True}, part.start)
        if self.layer is not None and self.layer in self.viewer.layers and _alike(self.layer, new):
            _replace(self.layer, new)
        else:
            self._remove()
            self.layer = new
            add_above(self.viewer, new, source)
            if not new.rgb:
                link_layers((source, new), LINKED)
        self._found(noise)
        self._tell("The preview shows the middle of the view." if part.cut else "")


def _alike(shown: Image, new: Image) -> bool:
    """Return whether a layer can be given the values of another one."""
    return bool(shown.ndim == new.ndim and shown.rgb == new.rgb)


def _replace(shown: Image, new: Image) -> None:
    """Give a layer the values and the place of another one."""
    shown.data = new.data
    for name in ("name", *FOLLOWED[1:]):
        setattr(shown, name, getattr(new, name))
    shown.visible = True
