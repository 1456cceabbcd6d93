"""The exception that reading and writing files raises."""

from __future__ import annotations

import re
import struct
from pathlib import Path

# Raised by decoders that trust the numbers of a damaged file; their texts do not help
_SYMPTOMS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, RecursionError,
    UnicodeError, struct.error,
)  # fmt: skip
# NumPy's error for a disk that is full, or a limit of the size of files
_SHORT = re.compile(r"(\d+) requested and (\d+) written")


class FileError(ValueError):
    """A file that cannot be read or written.

    The message is one sentence: what is wrong with the file, and what would work.
    """


def reason(error: Exception) -> str:
    """Return the text of an exception, or a substitute if it has none."""
    if isinstance(error, MemoryError):
        return str(error) or "there is not enough memory"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if short := _SHORT.fullmatch(text):
        return f"only {short[2]} of {short[1]} values could be written; is the disk full?"
    return text


def unreadable(path: Path, error: Exception) -> FileError:
    """Return the error for a file whose decoder raised `error`."""
    text = "it is damaged" if isinstance(error, _SYMPTOMS) else reason(error)
    return FileError(f"cannot read {path}: {text}")
