"""The public names of `fastrestore.nets`. This file is the only list of them."""

from .adapter import BM3D as BM3D
from .call import apply as apply
from .discriminators import UNetDiscriminator as UNetDiscriminator
from .discriminators import VGGDiscriminator as VGGDiscriminator
from .dncnn import DnCNN as DnCNN
from .ffdnet import FFDNet as FFDNet
from .files import load as load
from .files import names as names
from .frnet import VSRGAN as VSRGAN
from .learned import LearnableBM3D as LearnableBM3D
from .network import Network as Network
from .refine import Refine as Refine
from .rrdb import RRDBNet as RRDBNet
from .srresnet import SRResNet as SRResNet
from .srvgg import SRVGG as SRVGG
from .unet import UNet as UNet
from .video_discriminator import VideoDiscriminator as VideoDiscriminator

def need_torch() -> None: ...
