"""A backend with its own image type, which is read-only."""

NAME = "mine"
capabilities = frozenset({"image", "sharpen", "volume", "video"})
least_size: dict[str, int] = {}


def why_unavailable():
    """Return None: the backend is always available."""
