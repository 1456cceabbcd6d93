"""The exception that reading and writing files raises."""

from __future__ import annotations


class FileError(ValueError):
    """A file that cannot be read or written.

    The message is one sentence: what is wrong with the file, and what would work.
    """


def reason(error: Exception) -> str:
    """Return the text of an exception, or a substitute if it has none."""
    if isinstance(error, MemoryError):
        return str(error) or "there is not enough memory"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
