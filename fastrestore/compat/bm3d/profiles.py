"""Profiles and stages of bm3d 4.0.3, and their conversion to `fastrestore.Profile`."""

from __future__ import annotations

import enum
from typing import Any

from fastrestore._collaborative.profile import PROFILES, Profile
from fastrestore.compat import attributes
from fastrestore.compat.attributes import Attributes, Field, positive, power_of_two, whole

__all__ = [
    "BM3DProfile",
    "BM3DProfileDeb",
    "BM3DProfileHigh",
    "BM3DProfileLC",
    "BM3DProfileRefilter",
    "BM3DProfileVN",
    "BM3DProfileVNOld",
    "BM3DStages",
]


class BM3DStages(enum.Enum):
    """Stages of BM3D to run.

    For the second stage alone, `stage_arg` is an estimate, an array, instead.

    Attributes
    ----------
    HARD_THRESHOLDING, WIENER_FILTERING, ALL_STAGES : BM3DStages
        The first stage, the second, and both.

    See Also
    --------
    fastrestore.compat.bm3d.bm3d : Remove noise; takes a stage as `stage_arg`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore.compat import bm3d
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    >>> bm3d.bm3d(noisy, 0.1, stage_arg=bm3d.BM3DStages.HARD_THRESHOLDING).shape
    (32, 32)
    """

    HARD_THRESHOLDING = 1
    WIENER_FILTERING = 2
    ALL_STAGES = 3


class BM3DProfile(Attributes):
    """Parameters of BM3D, as writable attributes with the names and defaults of bm3d 4.0.3.

    An attribute with its default stands for the default of the corresponding profile of
    `fastrestore.Profile`, and any other value is used as it is.

    Attributes
    ----------
    filter_strength : float
        Factor for the noise level.
    transform_2d_ht_name, transform_2d_wiener_name : str
        Transform of blocks: "dct", "hadamard" or a discrete wavelet of PyWavelets.
    gamma : float
        Factor for the compensation of correlated noise in block matching.
    denoise_residual : bool
        Whether each stage is repeated with the signal in its residual.
    residual_thr : float
        Threshold for this signal, in standard deviations.
    bs_ht, bs_wiener, step_ht, step_wiener : int
        Side of a block, and distance between reference blocks, in pixels.
    max_3d_size_ht, max_3d_size_wiener : int
        Largest number of blocks in a group.
    search_window_ht, search_window_wiener : int
        Side of the search window in pixels.
    tau_match, tau_match_wiener : float
        Matching threshold. Its ratio to the default multiplies the threshold of the library.
    lambda_thr3d, lambda_thr3d_re : float or None
        Threshold of hard thresholding, and that of the repetition.
    mu2, mu2_re : float or None
        Factor for the noise variance in Wiener filtering, and that of the repetition.
    beta, beta_wiener : float
        Parameter of the Kaiser window.
    sharpen_alpha : float
        Strength of the sharpening in hard thresholding; 1 for none.
    num_threads : int
        Number of threads, 0 for all processors.
    nf, k, max_pad_size, print_info
        Without effect: variances are always exact, and nothing is printed.
    transform_3rd_dim_name, dec_level
        Cannot be changed.

    See Also
    --------
    fastrestore.Profile : Parameters of the library's own functions.
    fastrestore.compat.bm3d.bm3d : Remove noise with a profile.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore.compat import bm3d
    >>> profile = bm3d.BM3DProfile()
    >>> profile.bs_ht = 4
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    >>> bm3d.bm3d(noisy, 0.1, profile).shape
    (32, 32)
    """

    filter_strength: float = 1
    print_info: bool = False
    transform_2d_ht_name: str = "bior1.5"
    transform_2d_wiener_name: str = "dct"
    transform_3rd_dim_name: str = "haar"
    nf: int = 32
    k: int = 4
    denoise_residual: bool = False
    residual_thr: float = 3
    max_pad_size: Any = None
    gamma: float = 3.0
    bs_ht: int = 8
    step_ht: int = 3
    max_3d_size_ht: int = 16
    search_window_ht: int = 39
    tau_match: float = 3000
    lambda_thr3d: float | None = None
    mu2: float | None = None
    lambda_thr3d_re: float | None = None
    mu2_re: float | None = None
    beta: float = 2.0
    bs_wiener: int = 8
    step_wiener: int = 3
    max_3d_size_wiener: int = 32
    search_window_wiener: int = 39
    tau_match_wiener: float = 400
    beta_wiener: float = 2.0
    dec_level: int = 0
    sharpen_alpha: float = 1
    num_threads: int = 0

    def get_block_size(self, mode: BM3DStages) -> int:
        """Return the side of a block in a stage."""
        return self.bs_wiener if mode is BM3DStages.WIENER_FILTERING else self.bs_ht

    def get_step_size(self, mode: BM3DStages) -> int:
        """Return the distance between reference blocks in a stage."""
        return self.step_wiener if mode is BM3DStages.WIENER_FILTERING else self.step_ht

    def get_max_3d_size(self, mode: BM3DStages) -> int:
        """Return the largest number of blocks in a group of a stage."""
        if mode is BM3DStages.WIENER_FILTERING:
            return self.max_3d_size_wiener
        return self.max_3d_size_ht

    def get_search_window(self, mode: BM3DStages) -> int:
        """Return the side of the search window of a stage."""
        if mode is BM3DStages.WIENER_FILTERING:
            return self.search_window_wiener
        return self.search_window_ht

    def get_block_threshold(self, mode: BM3DStages) -> float:
        """Return the matching threshold of a stage."""
        return self.tau_match_wiener if mode is BM3DStages.WIENER_FILTERING else self.tau_match


class BM3DProfileRefilter(BM3DProfile):
    """Profile "refilter": each stage is repeated.

    For correlated noise: signal that a stage removed is looked for in its residual.

    See Also
    --------
    fastrestore.compat.bm3d.BM3DProfile : All attributes.

    Examples
    --------
    >>> from fastrestore.compat import bm3d
    >>> bm3d.BM3DProfileRefilter().denoise_residual
    True
    """

    denoise_residual = True


class BM3DProfileVN(BM3DProfile):
    """Profile "vn", for very noisy images.

    Larger blocks in the second stage, and a higher matching threshold.

    See Also
    --------
    fastrestore.compat.bm3d.BM3DProfile : All attributes.

    Examples
    --------
    >>> from fastrestore.compat import bm3d
    >>> bm3d.BM3DProfileVN().bs_wiener
    11
    """

    max_3d_size_ht = 32
    step_ht = 4
    bs_wiener = 11
    step_wiener = 6
    lambda_thr3d = 2.8
    tau_match_wiener = 3500


class BM3DProfileVNOld(BM3DProfile):
    """Profile "vn_old", for very noisy images.

    As "vn", with larger blocks in the first stage, too.

    See Also
    --------
    fastrestore.compat.bm3d.BM3DProfile : All attributes.

    Examples
    --------
    >>> from fastrestore.compat import bm3d
    >>> bm3d.BM3DProfileVNOld().bs_ht
    12
    """

    transform_2d_ht_name = "dct"
    bs_ht = 12
    step_ht = 4
    bs_wiener = 11
    step_wiener = 6
    lambda_thr3d = 2.8
    tau_match_wiener = 3500
    tau_match = 5000


class BM3DProfileLC(BM3DProfile):
    """Profile of low complexity.

    Larger steps and smaller search windows take less time.

    See Also
    --------
    fastrestore.compat.bm3d.BM3DProfile : All attributes.

    Examples
    --------
    >>> from fastrestore.compat import bm3d
    >>> bm3d.BM3DProfileLC().step_ht
    6
    """

    step_ht = 6
    search_window_ht = 25
    step_wiener = 5
    max_3d_size_wiener = 16
    search_window_wiener = 25


class BM3DProfileHigh(BM3DProfile):
    """Profile "high": slower, with smaller steps.

    Slower than the default, and slightly more accurate.

    See Also
    --------
    fastrestore.compat.bm3d.BM3DProfile : All attributes.

    Examples
    --------
    >>> from fastrestore.compat import bm3d
    >>> bm3d.BM3DProfileHigh().step_ht
    2
    """

    dec_level = 1
    step_ht = 2
    step_wiener = 2
    lambda_thr3d = 2.5
    beta = 2.5
    beta_wiener = 1.5


class BM3DProfileDeb(BM3DProfile):
    """Profile "deb", for deblurring; hard thresholding uses "bior1.5", not "dst".

    For `bm3d_deblurring`.

    See Also
    --------
    fastrestore.compat.bm3d.BM3DProfile : All attributes.

    Examples
    --------
    >>> from fastrestore.compat import bm3d
    >>> bm3d.BM3DProfileDeb().lambda_thr3d
    2.9
    """

    lambda_thr3d = 2.9
    step_wiener = 2
    max_3d_size_wiener = 16
    tau_match_wiener = 800
    beta_wiener = 0


CLASSES: dict[str, type[BM3DProfile]] = {
    "np": BM3DProfile,
    "refilter": BM3DProfileRefilter,
    "vn": BM3DProfileVN,
    "vn_old": BM3DProfileVNOld,
    "high": BM3DProfileHigh,
    "deb": BM3DProfileDeb,
}

# The profile of the library for each class, and for classes that it has no counterpart of
_BASES: dict[type[BM3DProfile], Profile] = {
    BM3DProfile: PROFILES["np"],
    BM3DProfileRefilter: PROFILES["refilter"],
    BM3DProfileVN: PROFILES["vn"],
    BM3DProfileVNOld: PROFILES["vn"].replace(
        transform_basic="dct", block_basic=12, group_basic=16, match_basic=5000.0
    ),
    BM3DProfileLC: PROFILES["lc"],
    BM3DProfileHigh: PROFILES["high"],
    BM3DProfileDeb: PROFILES["np"].replace(step_final=2),
}


def _radius(window: Any) -> int:
    """Return the search radius of a window with this side."""
    return whole(window) // 2


_FIELDS = {
    "transform_2d_ht_name": Field(("transform_basic",)),
    "transform_2d_wiener_name": Field(("transform_final",)),
    "gamma": Field(("match_correlation_basic", "match_correlation_final")),
    "bs_ht": Field(("block_basic",)),
    "step_ht": Field(("step_basic",)),
    "max_3d_size_ht": Field(("group_basic",), power_of_two),
    "search_window_ht": Field(("radius_basic",), _radius),
    "tau_match": Field(("match_basic",), positive, relative=True),
    "lambda_thr3d": Field(("threshold",)),
    "mu2": Field(("wiener",)),
    "lambda_thr3d_re": Field(("threshold_residual",)),
    "mu2_re": Field(("wiener_residual",)),
    "beta": Field(("kaiser_basic",)),
    "bs_wiener": Field(("block_final",)),
    "step_wiener": Field(("step_final",)),
    "max_3d_size_wiener": Field(("group_final",), power_of_two),
    "search_window_wiener": Field(("radius_final",), _radius),
    "tau_match_wiener": Field(("match_final",), positive, relative=True),
    "beta_wiener": Field(("kaiser_final",)),
}

# For white noise: what the original uses with `lambda_thr3d` and `mu2` of None, its weight of a
# group, and a matching threshold that excludes about as many blocks of the estimate as its own
_WHITE: dict[str, Any] = {
    "threshold": 3.0,
    "wiener": 0.4,
    "size_weight_final": 1.0,
    "match_final": 1000.0,
    "match_noise_final": 0.5,
}

_FIXED = {
    "transform_3rd_dim_name": "groups are transformed by 'haar'",
    "dec_level": "wavelets are decomposed fully",
}


def checked(profile: Any) -> BM3DProfile:
    """Return the profile with a name, or the profile itself."""
    return attributes.named(profile, CLASSES, BM3DProfile)


def profile_of(given: BM3DProfile, *, white: bool = False) -> Profile:
    """Convert a profile to the library's; `white` noise has numbers of its own."""
    attributes.check_fixed(given, _FIXED)
    base = next(_BASES[each] for each in type(given).__mro__ if each in _BASES)
    if white and attributes.defaults(given).lambda_thr3d is None:  # type: ignore[attr-defined]
        base = base.replace(**_WHITE)
    return attributes.refiltering(given, attributes.converted(given, base, _FIELDS))
