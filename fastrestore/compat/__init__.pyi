"""The public names of `fastrestore.compat`. This file is the only list of them."""

from . import bm3d as bm3d
from . import bm4d as bm4d
from .denoiser import Denoiser as Denoiser
from .installing import install as install
from .video import BM3Dv2 as BM3Dv2
from .volumes import nlmeans as nlmeans
