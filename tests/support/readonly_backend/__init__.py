"""A backend that keeps its images where only its own functions read them, and never writable."""

NAME = "mine"
capabilities = frozenset({"image", "sharpen", "volume", "video"})


def why_unavailable():
    """It can always run."""
