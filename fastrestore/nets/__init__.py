"""Networks, on PyTorch: ``pip install '.[nets]'`` in a clone of the repository.

>>> from fastrestore import nets
>>> nets.names()  # doctest: +SKIP
['refine-color', ..., 'vsrgan-x4']

The public names are listed in ``__init__.pyi`` and loaded on first use. They need PyTorch; this
module does not.
"""

from __future__ import annotations

import importlib

from fastrestore import _attach_stub
from fastrestore._arrays.install import extra

_load, __dir__ = _attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    """Load a public name on first use, after a check that PyTorch is installed (PEP 562)."""
    if name in __dir__():
        need_torch()
    return _load(name)


def need_torch() -> None:
    """Raise `ImportError` with installation advice if PyTorch or safetensors is not installed."""
    for module in ("torch", "safetensors"):
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise ImportError(
                f"networks need {module}, which is not installed: {extra('nets')}; "
                "without a GPU, first install the build of PyTorch for CPUs, which is smaller"
            ) from None
