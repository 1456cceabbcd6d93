"""Names for the axes of a layer, as `fastrestore.denoise` expects them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

TOGETHER = {"planes": "", "volume": "Z", "film": "T"}  # kind: letter of the axis that is stacked
USUAL = {"z": "volume", "t": "film"}  # first letter of a label: what the axis usually is
FREE = "CTZABDEFGHIJKLMNOPQRUVW"  # letters for axes whose labels are not letters


class Axes(NamedTuple):
    """Which axes of a layer are restored together.

    Attributes
    ----------
    labels : tuple of str
        Labels of the axes of the layer, without that of RGB. The last two are rows and columns.
    kind : str
        "planes", "volume" or "film", as for `denoise`.
    stacked : int or None
        Axis of the slices of a volume or of the frames of a film.
    channels : int or None
        Axis of channels that are filtered in the same groups; with None channels are restored one
        by one.
    rgb : bool
        Whether the data has one more axis, with red, green and blue.
    """

    labels: tuple[str, ...]
    kind: str = "planes"
    stacked: int | None = None
    channels: int | None = None
    rgb: bool = False

    @property
    def together(self) -> tuple[int, ...]:
        """The axes that are restored together, without that of RGB."""
        others = [each for each in (self.stacked, self.channels) if each is not None]
        return (*sorted(others), len(self.labels) - 2, len(self.labels) - 1)

    @property
    def letters(self) -> str:
        """A letter for each axis of the data."""
        count = len(self.labels)
        found = {count - 2: "Y", count - 1: "X"}
        if self.stacked is not None:
            found[self.stacked] = TOGETHER[self.kind]
        if self.channels is not None:
            found[self.channels] = "S"
        for axis, label in enumerate(self.labels):  # labels before letters that say nothing
            name = label.upper()
            if axis not in found and name in FREE and len(name) == 1 and name not in found.values():
                found[axis] = name
        for axis in range(count):
            if axis not in found:
                found[axis] = next(name for name in FREE if name not in found.values())
        return "".join(found[axis] for axis in range(count)) + "S" * self.rgb


def stackable(labels: Sequence[str]) -> list[int]:
    """Return the axes that are neither rows nor columns."""
    return list(range(len(labels) - 2))


def usual_kind(labels: Sequence[str]) -> tuple[str, int | None]:
    """Return the kind and the axis that the labels suggest: slices of a volume before frames."""
    for first, kind in USUAL.items():
        for axis in stackable(labels):
            if labels[axis].lower().startswith(first):
                return kind, axis
    return "planes", None
