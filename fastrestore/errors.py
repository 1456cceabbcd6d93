"""Errors for which Python has no word of its own.

A wrong argument is a `TypeError` or a `ValueError` that names the argument,
quotes what was written and says what is expected.
"""


class BackendUnavailableError(RuntimeError):
    """A backend was asked for by name and cannot run here; the message says why and what helps."""
