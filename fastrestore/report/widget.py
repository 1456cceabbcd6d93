"""The widget of `explore`, for notebooks; the only module that needs anywidget."""

from __future__ import annotations

import os
from typing import Any

import anywidget
import traitlets

from fastrestore.report.page import read
from fastrestore.report.strengths import Pictures, page


class Explorer(anywidget.AnyWidget):
    """An image restored with several strengths, as `fastrestore.report.explore` returns it.

    Parameters
    ----------
    pictures : Pictures
        What is shown.

    Attributes
    ----------
    strength : float
        The strength that is selected.
    """

    _esm = read("explore.js")
    _css = read("explore.css")
    strengths = traitlets.List(traitlets.Float()).tag(sync=True)
    index = traitlets.Int().tag(sync=True)
    before = traitlets.Unicode().tag(sync=True)
    after = traitlets.List(traitlets.Unicode()).tag(sync=True)
    removed = traitlets.List(traitlets.Unicode()).tag(sync=True)
    size = traitlets.List(traitlets.Int()).tag(sync=True)
    noise = traitlets.Unicode().tag(sync=True)

    def __init__(self, pictures: Pictures) -> None:
        super().__init__(**pictures.state())
        self._pictures = pictures

    @property
    def strength(self) -> float:
        """The strength that is selected."""
        return float(self.strengths[self.index])

    @traitlets.validate("index")
    def _valid_index(self, proposal: Any) -> int:
        """Return an index of the strengths."""
        return max(0, min(int(proposal["value"]), len(self.strengths) - 1))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the pictures with their sliders to a page, which needs no kernel and no network.

        Parameters
        ----------
        path : str or path
            File with the extension ``.html`` or ``.htm``. It is replaced when the new one is
            complete.
        """
        page(self._pictures).save(path)
