"""Comparison of images, volumes and videos, before and after, as one HTML file.

>>> from fastrestore import report
>>> report.compare(noisy, restored).save("page.html")  # doctest: +SKIP

The public names are listed in ``__init__.pyi`` and loaded on first use.
"""

from fastrestore import _attach_stub

__getattr__, __dir__ = _attach_stub(__name__, __file__)
