"""Signals that end the process, as exceptions, so that no file is left half-written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = ("SIGTERM", "SIGHUP")  # of `kill` and batch systems, and of closed terminals

stopping = threading.Event()  # ends the videos that are restored in other threads


class Terminated(KeyboardInterrupt):
    """A signal other than that of Ctrl-C asked the process to end."""

    def __init__(self, number: int, text: str = "") -> None:
        super().__init__(*[text] if text else [])
        self.number = number


def status_of(stop: KeyboardInterrupt) -> int:
    """Return the exit status that shells use for a signal."""
    return 128 + (stop.number if isinstance(stop, Terminated) else signal.SIGINT)


def described(stop: KeyboardInterrupt, text: str) -> KeyboardInterrupt:
    """Return the same exception with a text for the user."""
    return Terminated(stop.number, text) if isinstance(stop, Terminated) else type(stop)(text)


@contextmanager
def raised() -> Iterator[None]:
    """Raise `Terminated` within the block, unless a signal is ignored, as below ``nohup``."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, _raise)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, _frame: FrameType | None) -> None:
    raise Terminated(number)
