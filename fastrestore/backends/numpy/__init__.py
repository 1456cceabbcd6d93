"""The executable specification: slow, plain, in float64; the judge of the other backends."""

from fastrestore.backends.numpy.bm3d import bm3d_basic, bm3d_final, bm3d_match

__all__ = ["NAME", "bm3d_basic", "bm3d_final", "bm3d_match", "why_unavailable"]

NAME = "numpy"


def why_unavailable() -> str | None:
    """NumPy is always there."""
    return None
