"""What a backend offers to plans that repeat a call."""

from collections.abc import Callable
from typing import Any, Protocol


class Replays(Protocol):
    """Recorded calls of a plan, which repeat what they did to the same memory."""

    def again(self, image: Any, out: Any) -> bool:
        """Repeat a call; False if it is not recorded."""
        ...

    def call(self, image: Any, out: Any, run: Callable[[], Any]) -> Any:
        """Run a call, and record it if it is repeated."""
        ...
