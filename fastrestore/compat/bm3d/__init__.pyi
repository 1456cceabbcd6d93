"""The public names of `fastrestore.compat.bm3d`. This file is the only list of them."""

from . import profiles as profiles
from .deblurring import bm3d_deblurring as bm3d_deblurring
from .denoising import bm3d as bm3d
from .denoising import bm3d_rgb as bm3d_rgb
from .helpers import gaussian_kernel as gaussian_kernel
from .helpers import rgb_to as rgb_to
from .profiles import BM3DProfile as BM3DProfile
from .profiles import BM3DProfileDeb as BM3DProfileDeb
from .profiles import BM3DProfileHigh as BM3DProfileHigh
from .profiles import BM3DProfileLC as BM3DProfileLC
from .profiles import BM3DProfileRefilter as BM3DProfileRefilter
from .profiles import BM3DProfileVN as BM3DProfileVN
from .profiles import BM3DProfileVNOld as BM3DProfileVNOld
from .profiles import BM3DStages as BM3DStages
