"""How to install optional parts, for messages."""

from __future__ import annotations


def extra(name: str) -> str:
    """Return the command that installs an optional part."""
    return f"pip install '.[{name}]' in a clone of the repository"
