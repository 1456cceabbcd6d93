"""The public names of `fastrestore.compat.bm4d`. This file is the only list of them."""

from . import profiles as profiles
from .denoising import bm4d as bm4d
from .denoising import bm4d_multichannel as bm4d_multichannel
from .helpers import gaussian_kernel as gaussian_kernel
from .helpers import gaussian_kernel_3d as gaussian_kernel_3d
from .profiles import BlockMatchStorage as BlockMatchStorage
from .profiles import BM4DProfile as BM4DProfile
from .profiles import BM4DProfile2D as BM4DProfile2D
from .profiles import BM4DProfile2DComplex as BM4DProfile2DComplex
from .profiles import BM4DProfile2DRefilter as BM4DProfile2DRefilter
from .profiles import BM4DProfileBM3D as BM4DProfileBM3D
from .profiles import BM4DProfileBM3DComplex as BM4DProfileBM3DComplex
from .profiles import BM4DProfileComplex as BM4DProfileComplex
from .profiles import BM4DProfileLC as BM4DProfileLC
from .profiles import BM4DProfileRefilter as BM4DProfileRefilter
from .profiles import BM4DStages as BM4DStages
