"""The interfaces of other packages, for code that was written for them.

>>> from fastrestore.compat import bm3d  # instead of: import bm3d  # doctest: +SKIP
>>> restored = bm3d.bm3d(noisy, sigma_psd=25 / 255)  # doctest: +SKIP

The public names are listed in ``__init__.pyi`` and loaded on first use: importing the package loads
neither numba, scipy, cupy, torch nor dask.
"""

from fastrestore import _attach_stub

__getattr__, __dir__ = _attach_stub(__name__, __file__)
