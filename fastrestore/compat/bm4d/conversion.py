"""Conversion of the profiles of bm4d 4.2.5 to `fastrestore.Profile`."""

from __future__ import annotations

from typing import Any

from fastrestore._arrays import validate
from fastrestore._collaborative.profile import PROFILES, Profile, flat
from fastrestore.compat import attributes
from fastrestore.compat.attributes import Field, positive, power_of_two
from fastrestore.compat.bm4d.profiles import (
    BM4DProfile,
    BM4DProfile2D,
    BM4DProfile2DComplex,
    BM4DProfileBM3D,
    BM4DProfileBM3DComplex,
    BM4DProfileComplex,
    BM4DProfileLC,
    BM4DProfileRefilter,
)

CLASSES: dict[str, type[BM4DProfile]] = {
    "np": BM4DProfile,
    "refilter": BM4DProfileRefilter,
    "8x8": BM4DProfile2D,
}

_COMPLEX = (BM4DProfileComplex, BM4DProfile2DComplex, BM4DProfileBM3DComplex)
_VOLUME = PROFILES["volume"]
# Blocks of 8x8 pixels of one slice, matched by lower thresholds than in "volume", because blocks of
# other slices are rarely equal. Those of the library, for few slices, are searched for within 19
# pixels: in many slices, blocks are then alike by their noise. Selected on volumes through
# photographs of BSDS500's training set and images of `skimage.data`.
_FLAT = flat(_VOLUME).replace(
    radius_basic=7,
    radius_final=7,
    match_basic=450.0,
    match_noise_basic=_VOLUME.match_noise_basic,
    match_final=60.0,
    match_noise_final=0.05,
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
    return attributes.named(profile, CLASSES, BM4DProfile)


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
