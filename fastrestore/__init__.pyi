"""The public names of the package. This file is the only list of them."""

from collections.abc import Callable

from . import compat as compat
from . import inverse as inverse
from . import metrics as metrics
from . import nets as nets
from . import plot as plot
from . import report as report
from ._algorithms.bm3d import bm3d as bm3d
from ._algorithms.bm3d_plan import BM3DPlan as BM3DPlan
from ._algorithms.bm4d import bm4d as bm4d
from ._algorithms.burst import denoise_burst as denoise_burst
from ._algorithms.deblur import deblur as deblur
from ._algorithms.demosaic import demosaic as demosaic
from ._algorithms.denoise import denoise as denoise
from ._algorithms.info import Info as Info
from ._algorithms.inpaint import inpaint as inpaint
from ._algorithms.noise import estimate_noise as estimate_noise
from ._algorithms.sharpen import sharpen as sharpen
from ._algorithms.streaks import remove_streaks as remove_streaks
from ._algorithms.upscale import restore as restore
from ._algorithms.upscale import super_resolve as super_resolve
from ._algorithms.upscale_video import super_resolve_video as super_resolve_video
from ._algorithms.vbm3d import vbm3d as vbm3d
from ._collaborative.block_matches import BlockMatches as BlockMatches
from ._collaborative.profile import Profile as Profile
from ._noise.estimate import estimate_sigma as estimate_sigma
from ._noise.poisson import estimate_poisson_gaussian as estimate_poisson_gaussian
from ._noise.psd import estimate_psd as estimate_psd
from ._noise.psd import psd_from_flat_field as psd_from_flat_field
from ._noise.psd import psd_from_kernel as psd_from_kernel
from ._noise.spec import NoiseSpec as NoiseSpec
from ._noise.vst import PoissonGaussian as PoissonGaussian
from ._noise.vst import Rician as Rician
from .backends.select import show_backends as show_backends
from .backends.select import use_backend as use_backend
from .errors import BackendUnavailableError as BackendUnavailableError

__version__: str

def _attach_stub(
    package: str, file: str
) -> tuple[Callable[[str], object], Callable[[], list[str]]]: ...
