"""Standard streams that are closed, or that cannot encode every character."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


@contextlib.contextmanager
def usable_streams() -> Iterator[None]:
    """Make standard output and standard error usable within the block.

    Text for a closed standard error is discarded. Text for a closed standard output raises OSError
    when it is flushed, so that a result that cannot be written is an error. Characters that
    standard output cannot encode are escaped.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            _fill_descriptors(stack)
        if _is_closed(sys.stdout):  # written to a file that is only readable
            stack.enter_context(contextlib.redirect_stdout(_opened(stack, os.O_RDONLY)))
        if _is_closed(sys.stderr):
            stack.enter_context(contextlib.redirect_stderr(_opened(stack, os.O_WRONLY)))
        if isinstance(sys.stdout, io.TextIOWrapper):
            stack.callback(sys.stdout.reconfigure, errors=sys.stdout.errors)
            sys.stdout.reconfigure(errors="backslashreplace")
        yield


def show(text: str) -> None:
    """Print a line on standard error, if somebody can read it."""
    with contextlib.suppress(OSError, ValueError):
        write_line(text, sys.stderr)


def write_line(text: str, stream: TextIO) -> None:
    """Print a line at once, above the progress bars that there may be."""
    tqdm = sys.modules.get("tqdm")
    if tqdm is None:
        print(text, file=stream, flush=True)
        return
    with tqdm.tqdm.external_write_mode(file=stream):
        print(text, file=stream, flush=True)


def one_line(text: str) -> str:
    """Return a text as one line; other control characters, which may come from files, escaped."""
    words = " ".join(text.split())
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in words)


def shown(path: Path) -> str:
    """Return a file name; bytes that are not text are escaped."""
    return os.fsencode(path).decode(errors="backslashreplace")


def discard_output() -> None:
    """Redirect standard output to the null device, so that it can be flushed at exit."""
    with contextlib.suppress(ValueError, OSError):  # standard output may not be a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_closed(stream: TextIO | None) -> bool:
    return stream is None or stream.closed


def _fill_descriptors(stack: contextlib.ExitStack) -> None:
    """Open descriptors 0 to 2 if they are closed; a file must not become standard error."""
    while (number := os.open(os.devnull, os.O_RDONLY)) <= 2:
        stack.callback(os.close, number)
    os.close(number)


def _opened(stack: contextlib.ExitStack, flags: int) -> TextIO:
    """Return a text stream on the null device."""
    stream = os.fdopen(os.open(os.devnull, flags), "w", errors="backslashreplace")
    stack.callback(_close, stream)
    return stream


def _close(stream: TextIO) -> None:
    with contextlib.suppress(OSError):  # of text that could not be written
        stream.close()
