"""Networks, on PyTorch: ``pip install 'fastrestore[nets]'``.

>>> from fastrestore import nets
>>> nets.names()  # doctest: +SKIP
['dncnn-gray', 'unet-gray']

Nothing is imported before it is asked for: a name from here needs PyTorch, this module does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__all__ = [
    "BM3D",
    "SRVGG",
    "VSRGAN",
    "DnCNN",
    "FFDNet",
    "FilmDiscriminator",
    "Network",
    "RRDBNet",
    "SRResNet",
    "UNet",
    "UNetDiscriminator",
    "VGGDiscriminator",
    "apply",
    "load",
    "names",
]

if TYPE_CHECKING:
    from fastrestore.nets._adapter import BM3D
    from fastrestore.nets._call import apply
    from fastrestore.nets._discriminators import UNetDiscriminator, VGGDiscriminator
    from fastrestore.nets._dncnn import DnCNN
    from fastrestore.nets._ffdnet import FFDNet
    from fastrestore.nets._files import load, names
    from fastrestore.nets._film_discriminator import FilmDiscriminator
    from fastrestore.nets._frnet import VSRGAN
    from fastrestore.nets._network import Network
    from fastrestore.nets._rrdb import RRDBNet
    from fastrestore.nets._srresnet import SRResNet
    from fastrestore.nets._srvgg import SRVGG
    from fastrestore.nets._unet import UNet

_HOME = {
    "BM3D": "_adapter",
    "DnCNN": "_dncnn",
    "FFDNet": "_ffdnet",
    "FilmDiscriminator": "_film_discriminator",
    "Network": "_network",
    "RRDBNet": "_rrdb",
    "SRResNet": "_srresnet",
    "SRVGG": "_srvgg",
    "UNet": "_unet",
    "UNetDiscriminator": "_discriminators",
    "VGGDiscriminator": "_discriminators",
    "VSRGAN": "_frnet",
    "apply": "_call",
    "load": "_files",
    "names": "_files",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'fastrestore.nets' has no attribute {name!r}")
    need_torch()
    value = getattr(importlib.import_module(f"fastrestore.nets.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def need_torch() -> None:
    """Say what is missing if PyTorch is.

    Raises
    ------
    ImportError
        That names the extra.
    """
    for module in ("torch", "safetensors"):
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise ImportError(
                f"networks need {module}, which is not installed: pip install 'fastrestore[nets]'; "
                "for a CPU alone, take PyTorch from its own index first"
            ) from None
