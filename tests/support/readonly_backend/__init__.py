"""A backend with its own image type, which is read-only."""

NAME = "mine"
capabilities = frozenset({"image", "sharpen", "volume", "video", "uncertainty"})
least_size: dict[str, int] = {}


def why_unavailable():
    """Return None: the backend is always available."""


def why_no_device(number):
    """Return why there is no device of this number."""
    return f"there is no device {number}"
