"""Image restoration for numeric Python.

>>> import fastrestore
>>> restored = fastrestore.bm3d(noisy, sigma=25)  # doctest: +SKIP

The public names are listed in ``__init__.pyi`` and loaded on first use: importing the package
loads neither numba, scipy, cupy, torch nor dask.
"""

import lazy_loader

__version__ = "0.1.0.dev0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
