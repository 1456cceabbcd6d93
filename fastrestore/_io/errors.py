"""Errors of the command line: one exception, and how others become it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastrestore.errors import BackendUnavailableError


class CliError(Exception):
    """Something the user can put right; the message is the line that is printed."""


def reason(error: Exception) -> str:
    """Say what went wrong; some exceptions have no text of their own."""
    if isinstance(error, MemoryError):
        return str(error) or "there is not enough memory"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextmanager
def explained(what: Path | str) -> Iterator[None]:
    """Turn what the library raises on wrong arguments into a `CliError` about `what`."""
    try:
        yield
    except (ValueError, TypeError, MemoryError, BackendUnavailableError) as error:
        raise CliError(f"{what}: {reason(error)}") from error
