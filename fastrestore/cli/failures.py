"""Why a file was not restored, in words."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from fastrestore._io.errors import FileError, reason
from fastrestore.cli.errors import CommandError
from fastrestore.cli.streams import show

DEBUG_VARIABLE = "FASTRESTORE_DEBUG"  # 1 prints the traceback of an unexpected error


def message_of(error: Exception, source: Path, *, several: bool) -> str:
    """Return why a file was not restored; raise what are wrong arguments of a single file."""
    if isinstance(error, FileError):
        return str(error)
    if isinstance(error, CommandError):
        if not several:
            raise error
        return str(error)
    if isinstance(error, OSError):
        if error.errno is None and not several:  # of the library, such as an unknown model
            raise error
        return f"{error.filename or source}: {reason(error)}"
    if isinstance(error, (ImportError, MemoryError)):
        return f"{source}: {reason(error)}"
    if os.environ.get(DEBUG_VARIABLE, "0") != "0":
        show("".join(traceback.format_exception(error)))
        return f"{source}: unexpected error"
    name = type(error).__name__
    return (
        f"{source}: unexpected {name}, {reason(error)}; this is a fault of fastrestore: please "
        f"report it with the traceback that {DEBUG_VARIABLE}=1 prints"
    )
