"""NumPy backend: the executable specification, slow, plain and in float64."""

NAME = "numpy"
capabilities = frozenset(
    {
        "image",
        "sharpen",
        "volume",
        "video",
        "matches",
        "gradients",
        "float64",
        "factors",
        "learning",
        "uncertainty",
        "axes",
    }
)
least_size: dict[str, int] = {}


def why_unavailable() -> str | None:
    """Return None: NumPy is always available."""
    return None


def why_no_device(number: int) -> str | None:
    """Return why there is no device of this number."""
    return f"backend {NAME!r} runs on the CPU, which has no number {number}; write {NAME!r}"
