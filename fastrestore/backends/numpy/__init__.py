"""The executable specification: slow, plain, in float64; the judge of the other backends."""

NAME = "numpy"
capabilities = frozenset({"image", "sharpen", "volume", "video"})


def why_unavailable() -> str | None:
    """Return None: NumPy is always there."""
    return None
