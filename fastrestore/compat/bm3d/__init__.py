"""The interface of the package bm3d 4.0.3, computed by `fastrestore`.

The public names are listed in ``__init__.pyi`` and loaded on first use.
"""

from fastrestore import _attach_stub

__getattr__, __dir__ = _attach_stub(__name__, __file__)
