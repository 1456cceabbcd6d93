"""Computing in a thread of napari, with progress, and without freezing the viewer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.qt.threading import create_worker
from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, Signal

Report = Callable[[int, int], None]


class CancelledError(Exception):
    """The task was cancelled."""


class Task(QObject):
    """A function that runs in a thread.

    Parameters
    ----------
    function : callable
        Is called with a function ``report(done, total)``, which raises if the task was cancelled.
    done : callable
        Receives the result in the main thread, unless the task was cancelled.
    failed : callable
        Receives the exception.
    ended : callable
        Is called last, whatever happened.
    progress : callable, optional
        Is called with ``(done, total)`` in the main thread.
    """

    progressed = Signal(int, int)

    def __init__(
        self,
        function: Callable[[Report], Any],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
        ended: Callable[[], None],
        progress: Report | None = None,
    ) -> None:
        super().__init__()
        self._progress: Report = progress or _nothing
        self.progressed.connect(self._on_progressed)
        self._done, self._failed, self._ended = done, failed, ended
        self._worker = create_worker(
            function,
            self._report,
            _start_thread=False,
            _connect={
                "returned": self._on_returned,
                "errored": self._on_errored,
                "warned": self._on_warned,
                "finished": self._on_finished,
            },
        )

    def start(self) -> None:
        """Run in a thread of napari's pool."""
        self._worker.start()

    def cancel(self) -> None:
        """Let the function end at its next report; its result is not used."""
        self._worker.quit()

    def abandon(self) -> None:
        """Cancel, and call nothing any more, because the widgets are gone."""
        self.cancel()
        self._done = self._failed = _nothing
        self._ended = _nothing

    @property
    def cancelled(self) -> bool:
        """Whether the task was cancelled."""
        return bool(self._worker.abort_requested)

    def _report(self, done: int, total: int) -> None:
        """Report progress from the thread."""
        if self.cancelled:
            raise CancelledError
        self.progressed.emit(done, total)

    def _on_returned(self, result: Any) -> None:
        if self.cancelled:  # also after the thread had ended
            return
        try:
            self._done(result)
        except Exception as error:  # lazy values can fail when a viewer shows them
            self._failed(error)

    def _on_progressed(self, done: int, total: int) -> None:
        if not self.cancelled:  # reports arrive late, perhaps after the widgets have gone
            self._progress(done, total)

    def _on_errored(self, error: BaseException) -> None:
        if not isinstance(error, CancelledError):
            self._failed(error)

    def _on_warned(self, warned: Any) -> None:
        """Show a warning of the library in the viewer."""
        if not self.cancelled:
            show_warning(str(warned[0]))

    def _on_finished(self) -> None:
        self._ended()


def _nothing(*_: Any) -> None:
    """Do nothing."""
