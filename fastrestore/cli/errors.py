"""The exception for invalid arguments, and conversion of the library's errors to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastrestore._io.errors import FileError, reason
from fastrestore.cli.streams import one_line, show
from fastrestore.errors import BackendUnavailableError


class CommandError(Exception):
    """Arguments that a command cannot run with; the message is printed as one line."""


@contextmanager
def explained(what: Path | str) -> Iterator[None]:
    """Raise errors of the library as a `CommandError` that names `what`."""
    try:
        yield
    except FileError:  # it names its file already
        raise
    except (ValueError, TypeError, MemoryError, BackendUnavailableError) as error:
        from fastrestore._arrays import outliers

        # No command has an argument for a mask
        text = reason(error).replace(outliers.MASK, outliers.REPLACE)
        raise CommandError(f"{what}: {text}") from error


def status_of(errors: list[str], total: int) -> int:
    """Print errors of some files of `total`, and return the exit status; raise if all failed."""
    if errors and len(errors) == total:
        raise CommandError("; ".join(errors))
    for error in errors:
        show(f"fastrestore: error: {one_line(error)}")
    return 1 if errors else 0


def require_torch() -> None:
    """Raise if PyTorch is not installed."""
    from fastrestore.nets import need_torch

    try:
        need_torch()
    except ImportError as error:
        raise CommandError(str(error)) from None
