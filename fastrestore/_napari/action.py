"""What all widgets share: a layer is restored in a thread, and the result is a new layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from magicgui.widgets import ComboBox, Container, Label, ProgressBar, PushButton
from napari.layers import Image
from napari.utils.events import disconnect_events
from napari.utils.notifications import show_info
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QApplication, QSizePolicy, QWidget

import fastrestore
from fastrestore._napari.compare import SHORTCUT, Comparison, bind
from fastrestore._napari.layers import add_above, data_of, is_source, like
from fastrestore._napari.whole import Result
from fastrestore._napari.work import Report, Task

UNDONE = 20  # results that can be removed again


class Job(NamedTuple):
    """A layer to restore.

    Attributes
    ----------
    layer : Image
        The layer.
    compute : callable
        Is called in a thread with ``report(done, total)``.
    function : str
        Name of the function of fastrestore.
    arguments : dict
        Its arguments without arrays, for the metadata of the result.
    name : str
        Name of the result.
    script : str
        The same as Python.
    """

    layer: Image
    compute: Callable[[Report], Result]
    function: str
    arguments: dict[str, Any]
    name: str
    script: str

    def metadata(self, found: dict[str, Any]) -> dict[str, Any]:
        """Return what was done, for the metadata of the result."""
        return {
            "version": fastrestore.__version__,
            "function": self.function,
            "arguments": self.arguments,
            "source": self.layer.name,
            "script": self.script,
            **found,
        }


def align_left(label: Label) -> None:
    """Write a text at the left, in lines as long as the widget is wide."""
    label.native.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    label.native.setWordWrap(True)
    label.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)


class Parent(QObject):
    """Watches whether a widget has a parent: napari takes it away when a dock is closed.

    Parameters
    ----------
    watched : QWidget
        The widget.
    lost : callable
        Is called when it has no parent any more.
    """

    def __init__(self, watched: QWidget, lost: Callable[[], None]) -> None:
        super().__init__(watched)
        self._lost = lost
        watched.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Call `lost` if the parent was taken away, and let all events pass."""
        if event.type() == QEvent.Type.ParentChange and watched.parent() is None:
            self._lost()
        return False


class Action(Container):
    """A widget that restores a layer; subclasses add settings and say what to compute.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer it belongs to.
    verb : str
        Label of the button.
    """

    def __init__(self, viewer: Any, verb: str) -> None:
        super().__init__(labels=True)
        self.viewer = viewer
        self.task: Task | None = None
        self.done: list[Comparison] = []
        self._watched: Image | None = None
        self.layer = ComboBox(label="Image", choices=self._sources, nullable=True)
        self.run = PushButton(text=verb)
        self.cancel = PushButton(text="Cancel", enabled=False)
        self.undo = PushButton(text="Undo", enabled=False)
        self.undo.tooltip = "Remove the last result, and show its source again"
        self.compare = PushButton(text=f"Before / after / removed ({SHORTCUT})", enabled=False)
        self.copy = PushButton(text="Copy as Python")
        self.copy.tooltip = "Copy what these settings do, for a script or the console"
        self.bar = ProgressBar(min=0, max=100, value=0, visible=False)
        self.status = Label(value="")
        self._connect()

    def add_settings(self, *settings: Any) -> None:
        """Lay out the settings between the choice of the layer and the buttons."""
        rows = [[self.run, self.cancel], [self.undo, self.copy], [self.compare]]
        buttons = [Container(widgets=row, layout="horizontal", labels=False) for row in rows]
        for row in buttons:
            row.margins = (0, 0, 0, 0)
        self.extend([self.layer, *settings, *buttons, self.bar, self.status])
        align_left(self.status)
        self._choose_active()

    def job(self) -> Job:
        """Return what to compute; raise ValueError if that is not possible."""
        raise NotImplementedError

    def source(self) -> Image:
        """Return the layer that is chosen."""
        layer = self.layer.value
        if layer is None or layer not in self.viewer.layers:
            raise ValueError("Open an image, or choose one under Image.")
        return layer

    def start(self, *_: Any) -> None:
        """Restore the layer in a thread."""
        try:
            job = self.job()
        except ValueError as error:
            self.say(str(error))
            return
        self.say(f"Restoring {job.layer.name} …")
        self._image = data_of(job.layer)
        self._busy(job.layer)
        task = Task(
            job.compute,
            lambda result: self._added(job, result),
            self._failed,
            self._ended,
            self._progress,
        )
        self.task, self._job = task, job
        task.start()

    def stop(self, *_: Any) -> None:
        """Cancel what is computed."""
        if self.task is not None:
            self.task.cancel()
            self.say("Cancelled.")

    def step_back(self, *_: Any) -> None:
        """Remove the last result."""
        if self.done:
            last = self.done.pop()
            last.undo()
            self._show_older(last.before)
        self._offer()
        self.say("Undone.")

    def _show_older(self, source: Image) -> None:
        """Show the result before the one that was removed, if it is of the same layer."""
        if self.done and self.done[-1].before is source and self.done[-1].is_complete:
            self.done[-1].show("after")

    def _offer(self) -> None:
        """Offer to compare and to undo the last result."""
        self.undo.enabled = self.compare.enabled = bool(self.done)
        if self.done:
            bind(self.viewer, self.done[-1])

    def say(self, text: str) -> None:
        """Show a text below the buttons."""
        self.status.value = text

    def _connect(self) -> None:
        """Connect buttons and events of the viewer."""
        self.run.changed.connect(self.start)
        self.cancel.changed.connect(self.stop)
        self.undo.changed.connect(self.step_back)
        self.compare.changed.connect(self._compare)
        self.copy.changed.connect(self._copy)
        self.layer.changed.connect(self._other_layer)
        events = self.viewer.layers.events
        events.removed.connect(self._removed)
        events.inserted.connect(self._inserted)
        self.native.destroyed.connect(self._closed)
        self._parent = Parent(self.native, self._detached)

    def _other_layer(self, *_: Any) -> None:
        """Follow the data of the layer that is chosen."""
        if self._watched is not None:
            self._watched.events.data.disconnect(self._new_data)
        self._watched = layer = self.layer.value
        if layer is not None:
            self._ndim = layer.ndim
            layer.events.data.connect(self._new_data)
        self._new_layer()

    def _new_data(self, *_: Any) -> None:
        """Offer the axes of new data."""
        layer = self._watched
        if layer is None or layer.ndim == self._ndim:
            self.reset_choices()
        else:
            self._ndim = layer.ndim
            self._new_layer()

    def _new_layer(self) -> None:
        """Choose settings for another layer."""

    def _sources(self, *_: Any) -> list[Image]:
        """Return the layers that can be restored."""
        return [layer for layer in self.viewer.layers if is_source(layer)]

    def _choose_active(self) -> None:
        """Choose the layer that is selected in the viewer."""
        active = self.viewer.layers.selection.active
        sources = self._sources()
        if active in sources:
            self.layer.value = active
        elif sources:
            self.layer.value = sources[-1]

    def _compare(self, *_: Any) -> None:
        """Show the next one of before, after and removed."""
        if self.done:
            self.done[-1].step()
            self.say(f"Shown: {self.done[-1].state}.")

    def _copy(self, *_: Any) -> None:
        """Copy a script to the clipboard."""
        try:
            text = self.job().script
        except ValueError as error:
            self.say(str(error))
            return
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(text)
        self.say("Copied. Paste it into the console of napari, or into a script.")

    def _busy(self, layer: Image | None) -> None:
        """Show whether something is computed."""
        busy = layer is not None
        self.run.enabled = not busy
        self.cancel.enabled = self.bar.visible = busy
        self.bar.value = 0

    def _progress(self, done: int, total: int) -> None:
        """Show the progress of the task."""
        self.bar.value = round(100 * done / total)

    def _added(self, job: Job, restored: Result) -> None:
        """Add the result above its source."""
        if job.layer not in self.viewer.layers:
            self.say(f"{job.layer.name} was removed; its result is not shown.")
            return
        if data_of(job.layer) is not self._image:
            self.say(f"{job.layer.name} has other data now; its result is not shown.")
            return
        result = like(job.layer, restored.data, job.name, job.metadata(restored.found))
        add_above(self.viewer, result, job.layer)
        for each in self.done:  # an older result would hide this one
            if each.before is job.layer:
                each.hide()
        self.done = [*self.done, Comparison(self.viewer, job.layer, result)][-UNDONE:]
        self._offer()
        self.say(f"Added {result.name}. {SHORTCUT} shows before, after and removed.")

    def _failed(self, error: BaseException) -> None:
        """Show why a task failed."""
        self.say(str(error) or type(error).__name__)
        show_info(str(error) or type(error).__name__)

    def _ended(self) -> None:
        """Allow the next task."""
        self.task = None
        self._busy(None)

    def _removed(self, event: Any) -> None:
        """Stop if the layer that is restored was removed."""
        if self.task is not None and event.value is self._job.layer:
            self.task.cancel()
            self.say(f"{event.value.name} was removed; stopped.")
        gone = [each for each in self.done if not each.is_complete]
        self.done = [each for each in self.done if each.is_complete]
        for each in gone:
            each.left()
            self._show_older(each.before)
        self._offer()
        self.reset_choices()

    def _inserted(self, *_: Any) -> None:
        """Offer a new layer, and choose the first one."""
        self.reset_choices()
        if self.layer.value is None:
            self._choose_active()

    def _detached(self) -> None:
        """Stop when the widget was taken out of the viewer, which may add it again."""
        if self.task is not None:
            self.stop()

    def _closed(self, *_: Any) -> None:
        """Stop when the widget does not exist any more."""
        disconnect_events(self.viewer.layers.events, self)
        if self.task is not None:
            self.task.abandon()
            self.task = None
