"""Figures with Matplotlib (extra ``plot``).

>>> from fastrestore import plot
>>> figure = plot.compare(noisy, restored)  # doctest: +SKIP

The public names are listed in ``__init__.pyi`` and loaded on first use.
"""

from fastrestore import _attach_stub

__getattr__, __dir__ = _attach_stub(__name__, __file__)
