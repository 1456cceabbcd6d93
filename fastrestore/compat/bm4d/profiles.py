"""Profiles and stages of bm4d 4.2.5, and their conversion to `fastrestore.Profile`."""

from __future__ import annotations

import enum
from typing import Any

from fastrestore._arrays import validate
from fastrestore._collaborative.profile import PROFILES, Profile, flat
from fastrestore.backends.protocol import Matches as BlockMatchStorage
from fastrestore.compat import attributes
from fastrestore.compat.attributes import Attributes, Field, positive, power_of_two

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
    """Stages of BM4D to run."""

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
    """Profile "refilter"."""

    denoise_residual = True


class BM4DProfileLC(BM4DProfile):
    """Profile of low complexity."""

    max_stack_size_wiener = 16
    search_window_ht = (4, 4, 4)
    search_window_wiener = (4, 4, 4)


class BM4DProfileComplex(BM4DProfile):
    """Profile for complex volumes, which are not supported."""

    transform_local_ht_name = "fft"
    transform_local_wiener_name = "fft"
    adjust_complex_params = True


class BM4DProfile2D(BM4DProfile):
    """Profile "8x8": blocks are squares in one slice."""

    bs_ht = (8, 8, 1)
    step_ht = (3, 3, 1)
    bs_wiener = (8, 8, 1)
    step_wiener = (3, 3, 1)
    tau_match_wiener = 0.3937


class BM4DProfile2DRefilter(BM4DProfile2D):
    """Blocks that are squares in one slice, with `denoise_residual`."""

    denoise_residual = True


class BM4DProfile2DComplex(BM4DProfile2D):
    """Profile for complex slices, which are not supported."""

    transform_local_ht_name = "fft"
    transform_local_wiener_name = "fft"
    adjust_complex_params = True


class BM4DProfileBM3D(BM4DProfile2D):
    """Blocks that are squares in one slice, with the search window of BM3D."""

    nf = (32, 32, 1)
    search_window_ht = (19, 19, 1)
    search_window_wiener = (19, 19, 1)


class BM4DProfileBM3DComplex(BM4DProfileBM3D):
    """Profile for complex slices, which are not supported."""

    transform_local_ht_name = "fft"
    transform_local_wiener_name = "fft"
    adjust_complex_params = True


CLASSES: dict[str, type[BM4DProfile]] = {
    "np": BM4DProfile,
    "refilter": BM4DProfileRefilter,
    "8x8": BM4DProfile2D,
}

_COMPLEX = (BM4DProfileComplex, BM4DProfile2DComplex, BM4DProfileBM3DComplex)
_VOLUME = PROFILES["volume"]
# Blocks of 8x8 pixels of one slice, matched as in "volume". Those of the library, for few slices,
# are searched for within 19 pixels: in many slices, blocks are then alike by their noise.
_FLAT = flat(_VOLUME).replace(
    radius_basic=7,
    radius_final=7,
    match_basic=_VOLUME.match_basic,
    match_noise_basic=_VOLUME.match_noise_basic,
    match_final=_VOLUME.match_final,
    match_noise_final=_VOLUME.match_noise_final,
)

_BASES: dict[type[BM4DProfile], Profile] = {
    BM4DProfile: _VOLUME,
    BM4DProfileLC: _VOLUME.replace(
        group_final=16,
        radius_basic=4,
        radius_slices_basic=4,
        radius_final=4,
        radius_slices_final=4,
    ),
    BM4DProfile2D: _FLAT,
    BM4DProfileBM3D: flat(_VOLUME).replace(radius_slices_basic=1, radius_slices_final=1),
}


def _shape_table() -> dict[str, tuple[str, str]]:
    """Return the fields for rows and columns, and for slices, of attributes with three values."""
    table = {}
    for suffix, which in (("ht", "basic"), ("wiener", "final")):
        table[f"bs_{suffix}"] = (f"block_{which}", f"slices_{which}")
        table[f"step_{suffix}"] = (f"step_{which}", f"step_slices_{which}")
        table[f"search_window_{suffix}"] = (f"radius_{which}", f"radius_slices_{which}")
    return table


_SHAPES = _shape_table()

_FIELDS = {
    "transform_local_ht_name": Field(("transform_basic",)),
    "transform_local_wiener_name": Field(("transform_final",)),
    "gamma": Field(("match_correlation_basic", "match_correlation_final")),
    "max_stack_size_ht": Field(("group_basic",), power_of_two),
    "max_stack_size_wiener": Field(("group_final",), power_of_two),
    "tau_match": Field(("match_basic",), positive, relative=True),
    "tau_match_wiener": Field(("match_final",), positive, relative=True),
    "lambda_thr": Field(("threshold",)),
    "mu2": Field(("wiener",)),
    "beta": Field(("kaiser_basic",)),
    "beta_wiener": Field(("kaiser_final",)),
}

_FIXED = {
    "transform_nonlocal_name": "groups are transformed by 'haar'",
    "dec_level": "wavelets are decomposed fully",
    "min_3d_size_ht": "blocks without matches are filtered alone",
    "min_3d_size_wiener": "blocks without matches are filtered alone",
    "sharpen_alpha": "only images are sharpened, see fastrestore.sharpen",
    "sharpen_alpha_3d": "only images are sharpened, see fastrestore.sharpen",
    "adjust_complex_params": "complex volumes are not supported",
}


def checked(profile: Any) -> BM4DProfile:
    """Return the profile with a name, or the profile itself."""
    if isinstance(profile, BM4DProfile):
        return profile
    if not isinstance(profile, str) or profile not in CLASSES:
        raise TypeError(
            f"profile must be one of {', '.join(map(repr, CLASSES))}, or a BM4DProfile, got "
            f"{validate.quoted(profile)}"
        )
    return CLASSES[profile]()


def profile_of(given: BM4DProfile) -> Profile:
    """Convert a profile to the library's."""
    if isinstance(given, _COMPLEX):
        raise ValueError(
            f"{type(given).__name__} is for complex volumes, which are not supported: filter real "
            "and imaginary parts with BM4DProfile()"
        )
    attributes.check_fixed(given, _FIXED)
    base = next(_BASES[each] for each in type(given).__mro__ if each in _BASES)
    return attributes.converted(given, _shaped(given, base), _FIELDS)


def _shaped(given: BM4DProfile, base: Profile) -> Profile:
    """Return a profile with the shapes that were changed."""
    changes: dict[str, int] = {}
    for name, fields in _SHAPES.items():
        if attributes.changed(given, name):
            rows, columns, slices = _three(name, getattr(given, name))
            if rows != columns:
                raise ValueError(
                    f"{name}={getattr(given, name)}: the numbers for rows and columns must be equal"
                )
            changes |= dict(zip(fields, (rows, slices), strict=True))
    try:
        result = base.replace(**changes) if changes else base
    except ValueError as error:
        about = str(error).partition(" ")[0]
        names = [name for name, fields in _SHAPES.items() if about in fields]
        prefix = f"{names[0]}={getattr(given, names[0])}: " if names else ""
        raise ValueError(f"{prefix}{error}") from error
    return result


def _three(name: str, value: Any) -> tuple[int, int, int]:
    """Return the numbers for rows, columns and slices."""
    if not isinstance(value, (tuple, list)) or len(value) != 3:
        raise TypeError(f"{name} must be three numbers, got {validate.quoted(value)}")
    rows, columns, slices = (validate.integer(name, each, least=0, most=2**15) for each in value)
    return rows, columns, slices


def has_slices(given: BM4DProfile) -> bool:
    """Whether a profile distinguishes slices from rows and columns."""
    return any(len(set(getattr(given, name))) > 1 for name in _SHAPES)
