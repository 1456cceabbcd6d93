"""Profiles and stages of bm4d 4.2.5."""

from __future__ import annotations

import enum
from typing import Any

from fastrestore.backends.protocol import Matches as BlockMatchStorage
from fastrestore.compat.attributes import Attributes

__all__ = [
    "BM4DProfile",
    "BM4DProfile2D",
    "BM4DProfile2DComplex",
    "BM4DProfile2DRefilter",
    "BM4DProfileBM3D",
    "BM4DProfileBM3DComplex",
    "BM4DProfileComplex",
    "BM4DProfileLC",
    "BM4DProfileRefilter",
    "BM4DStages",
    "BlockMatchStorage",
]

Sizes = tuple[int, int, int]


class BM4DStages(enum.Enum):
    """Stages of BM4D to run.

    For the second stage alone, `stage_arg` is an estimate, an array, instead.

    Attributes
    ----------
    HARD_THRESHOLDING, WIENER_FILTERING, ALL_STAGES : BM4DStages
        The first stage, the second, and both.

    See Also
    --------
    fastrestore.compat.bm4d.bm4d : Remove noise; takes a stage as `stage_arg`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore.compat import bm4d
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (16, 16, 8))
    >>> bm4d.bm4d(noisy, 0.1, stage_arg=bm4d.BM4DStages.HARD_THRESHOLDING).shape
    (16, 16, 8)
    """

    HARD_THRESHOLDING = 1
    WIENER_FILTERING = 2
    ALL_STAGES = 3


class BM4DProfile(Attributes):
    """Parameters of BM4D, as writable attributes with the names and defaults of bm4d 4.2.5.

    An attribute with its default stands for the default of the corresponding profile of
    `fastrestore.Profile`, and any other value is used as it is. Attributes with three values are
    for rows, columns and slices; blocks, steps and windows are as high as wide.

    Attributes
    ----------
    filter_strength : float
        Factor for the noise level.
    transform_local_ht_name, transform_local_wiener_name : str
        Transform of blocks: "dct", "hadamard" or a discrete wavelet of PyWavelets.
    gamma : float
        Factor for the compensation of correlated noise in block matching.
    bs_ht, bs_wiener, step_ht, step_wiener : tuple of three ints
        Shape of a block, and distances between reference blocks, in voxels.
    max_stack_size_ht, max_stack_size_wiener : int
        Largest number of blocks in a group.
    search_window_ht, search_window_wiener : tuple of three ints
        Search radii in voxels.
    tau_match, tau_match_wiener : float
        Matching threshold. Its ratio to the default multiplies the threshold of the library.
    lambda_thr : float or None
        Threshold of hard thresholding.
    mu2 : float or None
        Factor for the noise variance in Wiener filtering.
    beta, beta_wiener : float
        Parameter of the Kaiser window.
    num_threads : int
        Number of threads, 0 for all processors.
    nf, k, max_pad_size, print_info, split_block_extraction
        Without effect: variances are always exact, and nothing is printed.
    transform_nonlocal_name, dec_level, min_3d_size_ht, min_3d_size_wiener, sharpen_alpha, \
sharpen_alpha_3d, adjust_complex_params
        Cannot be changed.
    denoise_residual, residual_thr, lambda_thr_re, mu2_re
        Repetition of stages with the signal in their residual, which is for images: with white
        noise it has no effect, and with correlated noise in volumes it is refused.

    See Also
    --------
    fastrestore.Profile : Parameters of the library's own functions.
    fastrestore.compat.bm4d.bm4d : Remove noise with a profile.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore.compat import bm4d
    >>> profile = bm4d.BM4DProfile()
    >>> profile.search_window_ht = (3, 3, 3)
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (16, 16, 8))
    >>> bm4d.bm4d(noisy, 0.1, profile).shape
    (16, 16, 8)
    """

    filter_strength: float = 1
    print_info: bool = False
    transform_local_ht_name: str = "bior1.5"
    transform_local_wiener_name: str = "dct"
    transform_nonlocal_name: str = "haar"
    nf: Sizes = (16, 16, 16)
    k: int = 4
    denoise_residual: bool = False
    residual_thr: float = 3
    max_pad_size: Any = None
    gamma: float = 3.0
    bs_ht: Sizes = (4, 4, 4)
    step_ht: Sizes = (3, 3, 3)
    max_stack_size_ht: int = 16
    search_window_ht: Sizes = (7, 7, 7)
    tau_match: float = 2.9527
    lambda_thr: float | None = None
    mu2: float | None = None
    lambda_thr_re: float | None = None
    mu2_re: float | None = None
    beta: float = 2.0
    adjust_complex_params: bool = False
    bs_wiener: Sizes = (5, 5, 5)
    step_wiener: Sizes = (3, 3, 3)
    max_stack_size_wiener: int = 32
    search_window_wiener: Sizes = (7, 7, 7)
    tau_match_wiener: float = 0.7689
    beta_wiener: float = 2.0
    dec_level: int = 0
    min_3d_size_ht: int = 2
    min_3d_size_wiener: int = 2
    split_block_extraction: tuple[bool, bool, bool] = (False, False, False)
    sharpen_alpha: float = 1
    sharpen_alpha_3d: float = 1
    num_threads: int = 0

    def set_sharpen(self, sharpen_alpha: float) -> None:
        """Set both attributes of sharpening."""
        self.sharpen_alpha = self.sharpen_alpha_3d = sharpen_alpha

    def get_block_size(self, mode: BM4DStages) -> Sizes:
        """Return the shape of a block in a stage."""
        return self.bs_wiener if mode is BM4DStages.WIENER_FILTERING else self.bs_ht

    def get_step_size(self, mode: BM4DStages) -> Sizes:
        """Return the distances between reference blocks in a stage."""
        return self.step_wiener if mode is BM4DStages.WIENER_FILTERING else self.step_ht

    def get_max_3d_size(self, mode: BM4DStages) -> int:
        """Return the largest number of blocks in a group of a stage."""
        if mode is BM4DStages.WIENER_FILTERING:
            return self.max_stack_size_wiener
        return self.max_stack_size_ht

    def get_search_window(self, mode: BM4DStages) -> Sizes:
        """Return the search radii of a stage."""
        if mode is BM4DStages.WIENER_FILTERING:
            return self.search_window_wiener
        return self.search_window_ht

    def get_block_threshold(self, mode: BM4DStages) -> float:
        """Return the matching threshold of a stage."""
        return self.tau_match_wiener if mode is BM4DStages.WIENER_FILTERING else self.tau_match


class BM4DProfileRefilter(BM4DProfile):
    """Profile "refilter".

    See `denoise_residual` of `BM4DProfile`.

    See Also
    --------
    fastrestore.compat.bm4d.BM4DProfile : All attributes.

    Examples
    --------
    >>> from fastrestore.compat import bm4d
    >>> bm4d.BM4DProfileRefilter().denoise_residual
    True
    """

    denoise_residual = True


class BM4DProfileLC(BM4DProfile):
    """Profile of low complexity.

    Smaller groups and search windows take less time.

    See Also
    --------
    fastrestore.compat.bm4d.BM4DProfile : All attributes.

    Examples
    --------
    >>> from fastrestore.compat import bm4d
    >>> bm4d.BM4DProfileLC().search_window_ht
    (4, 4, 4)
    """

    max_stack_size_wiener = 16
    search_window_ht = (4, 4, 4)
    search_window_wiener = (4, 4, 4)


class BM4DProfileComplex(BM4DProfile):
    """Profile for complex volumes, which are not supported.

    `bm4d` raises an error for it. Filter real and imaginary parts with `BM4DProfile`.

    See Also
    --------
    fastrestore.compat.bm4d.BM4DProfile : All attributes.

    Examples
    --------
    >>> from fastrestore.compat import bm4d
    >>> bm4d.BM4DProfileComplex().transform_local_ht_name
    'fft'
    """

    transform_local_ht_name = "fft"
    transform_local_wiener_name = "fft"
    adjust_complex_params = True


class BM4DProfile2D(BM4DProfile):
    """Profile "8x8": blocks are squares in one slice.

    For volumes with few slices, or slices far apart.

    See Also
    --------
    fastrestore.compat.bm4d.BM4DProfile : All attributes.

    Examples
    --------
    >>> from fastrestore.compat import bm4d
    >>> bm4d.BM4DProfile2D().bs_ht
    (8, 8, 1)
    """

    bs_ht = (8, 8, 1)
    step_ht = (3, 3, 1)
    bs_wiener = (8, 8, 1)
    step_wiener = (3, 3, 1)
    tau_match_wiener = 0.3937


class BM4DProfile2DRefilter(BM4DProfile2D):
    """Blocks that are squares in one slice, with `denoise_residual`.

    See `denoise_residual` of `BM4DProfile`.

    See Also
    --------
    fastrestore.compat.bm4d.BM4DProfile : All attributes.

    Examples
    --------
    >>> from fastrestore.compat import bm4d
    >>> bm4d.BM4DProfile2DRefilter().denoise_residual
    True
    """

    denoise_residual = True


class BM4DProfile2DComplex(BM4DProfile2D):
    """Profile for complex slices, which are not supported.

    `bm4d` raises an error for it. Filter real and imaginary parts with `BM4DProfile2D`.

    See Also
    --------
    fastrestore.compat.bm4d.BM4DProfile : All attributes.

    Examples
    --------
    >>> from fastrestore.compat import bm4d
    >>> bm4d.BM4DProfile2DComplex().bs_ht
    (8, 8, 1)
    """

    transform_local_ht_name = "fft"
    transform_local_wiener_name = "fft"
    adjust_complex_params = True


class BM4DProfileBM3D(BM4DProfile2D):
    """Blocks that are squares in one slice, with the search window of BM3D.

    For slices one by one; blocks are searched for in adjacent slices only.

    See Also
    --------
    fastrestore.compat.bm4d.BM4DProfile : All attributes.

    Examples
    --------
    >>> from fastrestore.compat import bm4d
    >>> bm4d.BM4DProfileBM3D().search_window_ht
    (19, 19, 1)
    """

    nf = (32, 32, 1)
    search_window_ht = (19, 19, 1)
    search_window_wiener = (19, 19, 1)


class BM4DProfileBM3DComplex(BM4DProfileBM3D):
    """Profile for complex slices, which are not supported.

    `bm4d` raises an error for it. Filter real and imaginary parts with `BM4DProfileBM3D`.

    See Also
    --------
    fastrestore.compat.bm4d.BM4DProfile : All attributes.

    Examples
    --------
    >>> from fastrestore.compat import bm4d
    >>> bm4d.BM4DProfileBM3DComplex().search_window_ht
    (19, 19, 1)
    """

    transform_local_ht_name = "fft"
    transform_local_wiener_name = "fft"
    adjust_complex_params = True
