"""Before, after, and what was removed: three layers at one place, of which one is shown."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from napari.experimental import link_layers, unlink_layers
from napari.layers import Image

from fastrestore._napari import KEY
from fastrestore._napari.layers import add_above, data_of, place_of

SHORTCUT = "B"
STATES = ("after", "before", "removed")  # in the order in which the key shows them
LINKED = ("contrast_limits", "gamma", "colormap")
SAMPLES = 2**18  # values from which the contrast of what was removed is measured
SHARE = 99.5  # per cent of them that are within the contrast limits


class Steps(Protocol):
    """What the shortcut steps through."""

    def step(self) -> None:
        """Show the next one."""


class Comparison:
    """A result beside its source.

    Parameters
    ----------
    viewer : napari.Viewer
        Viewer with both layers.
    before, after : Image
        The layer that was restored, and the result. Changes to the contrast of one are changes of
        both.
    """

    def __init__(self, viewer: Any, before: Image, after: Image) -> None:
        self.viewer, self.before, self.after = viewer, before, after
        self.removed: Image | None = None
        self.state = "after"
        before.visible = False
        self._linked = () if before.rgb else (before, after)
        if self._linked:
            link_layers(self._linked, LINKED)

    @property
    def layers(self) -> list[Image]:
        """The layers that are still in the viewer."""
        every = (self.before, self.after, self.removed)
        return [layer for layer in every if layer is not None and layer in self.viewer.layers]

    @property
    def is_complete(self) -> bool:
        """Whether both layers are still in the viewer."""
        return self.before in self.viewer.layers and self.after in self.viewer.layers

    def step(self) -> None:
        """Show the next one of before, after, and what was removed."""
        if not self.is_complete:
            return
        self.show(STATES[(STATES.index(self.state) + 1) % len(STATES)])

    def show(self, state: str) -> None:
        """Show one of the three layers."""
        if state == "removed" and self.removed not in self.viewer.layers:
            self.removed = removed_layer(self.before, self.after)
            add_above(self.viewer, self.removed, self.after)
        self.state = state
        self.viewer.status = f"Shown: {state}."
        shown = getattr(self, state)
        for layer in self.layers:
            layer.visible = layer is shown

    def hide(self) -> None:
        """Hide the result and what was removed, because a newer result is shown."""
        for layer in self.layers:
            if layer is not self.before:
                layer.visible = False

    def undo(self) -> None:
        """Remove the result, and show the source."""
        if self._linked:
            unlink_layers(self._linked, LINKED)
        for layer in self.layers[1:] if self.before in self.viewer.layers else self.layers:
            self.viewer.layers.remove(layer)
        self.before.visible = True

    def left(self) -> None:
        """Show the source again, because a user has removed the result."""
        if self.before in self.viewer.layers:
            self.before.visible = True


def removed_layer(before: Image, after: Image) -> Image:
    """Return a layer of the difference, gray where nothing was removed."""
    source, restored = data_of(before), data_of(after)
    if isinstance(source, np.ndarray):
        difference: Any = np.subtract(source, restored, dtype=np.float32)
    else:
        import dask.array

        lazy = dask.array.asarray(source)
        difference = lazy.astype(np.float32) - dask.array.asarray(restored)
    if before.rgb:  # the mean, because colors have no negative values
        difference = difference.mean(-1)
    limit = _limit(difference)
    return Image(
        difference,
        name=f"{before.name} (removed)",
        metadata={**before.metadata, KEY: after.metadata[KEY]},
        contrast_limits=(-limit, limit),
        **place_of(after),
    )


def _limit(difference: Any) -> float:
    """Return a limit for the contrast of a difference, from its middle plane."""
    middle = difference[tuple(size // 2 for size in difference.shape[:-2])]
    apart = max(1, int(np.sqrt(middle.size / SAMPLES)))
    values = np.abs(np.asarray(middle[::apart, ::apart]))
    return float(np.percentile(values[np.isfinite(values)], SHARE)) or 1.0


def bind(viewer: Any, comparison: Steps) -> None:
    """Let the shortcut step through a comparison, unless a user has given it another meaning."""

    def step(viewer: Any) -> None:
        comparison.step()

    step.__doc__ = "Show the image before, after, or what was removed."
    known = {str(key): value for key, value in viewer.keymap.items()}
    present = known.get(SHORTCUT)
    if present is None or getattr(present, "__module__", "") == __name__:
        viewer.bind_key(SHORTCUT, step, overwrite=True)
