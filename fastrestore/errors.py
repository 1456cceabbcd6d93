"""Errors that Python has no suitable class for.

Invalid arguments raise `TypeError` or `ValueError`, with a message that names the argument, quotes
its value and states what is expected.
"""


class BackendUnavailableError(RuntimeError):
    """The requested backend cannot run here. The message gives the reason and the cure."""
