"""The networks by name."""

from __future__ import annotations

from fastrestore.nets.dncnn import DnCNN
from fastrestore.nets.ffdnet import FFDNet
from fastrestore.nets.frnet import VSRGAN
from fastrestore.nets.network import Network
from fastrestore.nets.refine import Refine
from fastrestore.nets.rrdb import RRDBNet
from fastrestore.nets.srresnet import SRResNet
from fastrestore.nets.srvgg import SRVGG
from fastrestore.nets.unet import UNet

KINDS: dict[str, type[Network]] = {
    "dncnn": DnCNN, "unet": UNet, "ffdnet": FFDNet, "refine": Refine,
    "vsrgan": VSRGAN, "srresnet": SRResNet, "srvgg": SRVGG, "rrdb": RRDBNet,
}  # fmt: skip
