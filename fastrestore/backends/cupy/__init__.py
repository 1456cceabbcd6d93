"""The GPU's row in the table of backends; its kernels are not launched yet."""

NAME = "cupy"


def why_unavailable() -> str | None:
    """Say why nothing runs on a GPU in this version."""
    return "this version of fastrestore does not launch its CUDA kernels yet; use 'numba'"
