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
    from fastrestore.nets.adapter import BM3D
    from fastrestore.nets.call import apply
    from fastrestore.nets.discriminators import UNetDiscriminator, VGGDiscriminator
    from fastrestore.nets.dncnn import DnCNN
    from fastrestore.nets.ffdnet import FFDNet
    from fastrestore.nets.files import load, names
    from fastrestore.nets.frnet import VSRGAN
    from fastrestore.nets.network import Network
    from fastrestore.nets.rrdb import RRDBNet
    from fastrestore.nets.srresnet import SRResNet
    from fastrestore.nets.srvgg import SRVGG
    from fastrestore.nets.unet import UNet
    from fastrestore.nets.video_discriminator import FilmDiscriminator

_HOME = {
    "BM3D": "adapter",
    "DnCNN": "dncnn",
    "FFDNet": "ffdnet",
    "FilmDiscriminator": "video_discriminator",
    "Network": "network",
    "RRDBNet": "rrdb",
    "SRResNet": "srresnet",
    "SRVGG": "srvgg",
    "UNet": "unet",
    "UNetDiscriminator": "discriminators",
    "VGGDiscriminator": "discriminators",
    "VSRGAN": "frnet",
    "apply": "call",
    "load": "files",
    "names": "files",
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
