"""Errors that Python has no suitable class for.

Invalid arguments raise `TypeError` or `ValueError`, with a message that names the argument, quotes
its value and states what is expected.
"""


class BackendUnavailableError(RuntimeError):
    """The requested backend cannot run here. The message gives the reason and the cure.

    It is raised only for a backend that was requested, by `backend`, `use_backend` or the
    environment variable ``FASTRESTORE_BACKEND``. The automatic choice uses another backend.

    See Also
    --------
    show_backends : Print which backends can run, and why others cannot.
    use_backend : Select the backend for a block.

    Examples
    --------
    >>> import fastrestore
    >>> try:
    ...     with fastrestore.use_backend("cupy:99"):
    ...         pass
    ... except fastrestore.BackendUnavailableError:
    ...     print("there is no GPU of this number")
    there is no GPU of this number
    """
