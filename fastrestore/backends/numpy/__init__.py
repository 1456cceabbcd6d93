"""NumPy backend: the executable specification, slow, plain and in float64."""

NAME = "numpy"
capabilities = frozenset(
    {"image", "sharpen", "volume", "video", "matches", "gradients", "float64", "factors"}
)
least_size: dict[str, int] = {}


def why_unavailable() -> str | None:
    """Return None: NumPy is always available."""
    return None
