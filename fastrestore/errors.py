"""Errors that Python has no suitable class for.

Invalid arguments raise `TypeError` or `ValueError`, with a message that names the argument, quotes
its value and states what is expected.
"""


class BackendUnavailableError(RuntimeError):
    """A backend was requested by name and cannot run here; the message gives reason and remedy."""
