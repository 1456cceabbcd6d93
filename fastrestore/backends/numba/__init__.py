"""Numba backend: compiled, vectorized CPU kernels on threads of the package."""

from __future__ import annotations

NAME = "numba"
capabilities = frozenset(
    {
        "image",
        "sharpen",
        "volume",
        "video",
        "matches",
        "gradients",
        "factors",
        "learning",
        "uncertainty",
        "axes",
    }
)
least_size: dict[str, int] = {}


def why_unavailable() -> str | None:
    """Return the reason if Numba cannot be imported or is disabled, else None."""
    try:
        import numba
    except Exception as error:
        return f"importing numba failed ({error}); reinstall it: pip install -U numba"
    if numba.config.DISABLE_JIT:
        return "NUMBA_DISABLE_JIT is set, but the kernels only run compiled; unset it"
    return None


def why_no_device(number: int) -> str | None:
    """Return why there is no device of this number."""
    return f"backend {NAME!r} runs on the CPU, which has no number {number}; write {NAME!r}"
