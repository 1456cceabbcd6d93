"""Fast CPU kernels: compiled by Numba, vectorized, on a thread pool of the package."""

from __future__ import annotations

NAME = "numba"
capabilities = frozenset({"image", "sharpen", "volume", "video"})


def why_unavailable() -> str | None:
    """Say why Numba cannot be used, if so; importing it is what shows it."""
    try:
        import numba
    except Exception as error:
        return f"importing numba failed ({error}); reinstall it: pip install -U numba"
    if numba.config.DISABLE_JIT:
        return "NUMBA_DISABLE_JIT is set and the kernels exist only compiled; unset it"
    return None
