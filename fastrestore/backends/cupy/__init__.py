"""The GPU's row in the table of backends; its kernels are not written yet."""

NAME = "cupy"


def why_unavailable() -> str | None:
    """Say why nothing runs on a GPU in this version."""
    return "this version of fastrestore has no CUDA kernels yet; use 'numba'"
