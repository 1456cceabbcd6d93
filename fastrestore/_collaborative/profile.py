"""Profiles: the parameters of the BM3D family.

Distances between blocks are mean squared differences per pixel. A matching threshold has two parts:
one in squared 8-bit gray levels, scaled to the `data_range` of the image, and one in units of the
noise variance, because two noisy copies of one block already differ by ``2 sigma**2`` on average.
With a fixed threshold, true matches are lost above sigma 40.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

from fastrestore._arrays import validate
from fastrestore._collaborative import arrays, sides
from fastrestore._collaborative.arrays import Matrix, Vector
from fastrestore._collaborative.named import NAMED
from fastrestore._collaborative.sides import Sides

STAGES = ("basic", "final")
# Bounds of the fields of each stage that are whole numbers
_INTEGERS = {
    "block": (2, 16), "radius": (0, 127), "group": (1, 64), "predict": (0, 63), "follow": (0, 63),
    "trails": (1, 8), "slices": (1, 8), "radius_slices": (0, 63),
}  # fmt: skip
# Largest values of fields that are numbers. Beyond a beta of about 7 the ends of the Kaiser window
# are lost in the fixed resolution of the sums.
MOST = 1e9
_NUMBERS = {
    "match": MOST, "match_noise": MOST, "match_correlation": MOST, "kaiser": 6.0,
    "size_weight": 1.0, "static": MOST, "static_noise": MOST,
}  # fmt: skip
FACTORS = {"basic": "threshold_factors", "final": "wiener_factors"}
# Fields that are None or arrays; transforms may be arrays, too
ARRAYS = (*FACTORS.values(), "inverse_basic", "inverse_final", "window_basic", "window_final")
_SINGLE = ("threshold", "wiener", "residual", "threshold_residual", "wiener_residual")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Profile:
    """Parameters of BM3D, V-BM3D and BM4D.

    Fields that end in ``_basic`` and ``_final`` belong to one stage. To change a few parameters of
    a named profile, use ``Profile.named("np").replace(step_final=4)``. Most names are those of the
    reference implementation:

    ===============  =============================================================
    ``"np"``         normal: the settings of the paper, for every noise level
    ``"refilter"``   normal, and residuals are filtered again; for correlated noise
    ``"iterative"``  normal, then fitted to the image and filtered again; for correlated noise
    ``"fast"``       steps 8 and 6, search radius 5, groups of 8
    ``"lc"``         low complexity: larger steps, smaller search radius
    ``"balanced"``   steps 5 and 4: a third of the time of "np", 0.1 dB less
    ``"high"``       step 2: slower, for slightly better results
    ``"video"``      default of `vbm3d`: smaller search radius
    ``"vn"``         very noisy: larger groups and blocks, higher matching thresholds
    ``"volume"``     default of `bm4d`: blocks of 4 x 4 x 4 voxels, then 5 x 5 x 5
    ``"signal"``     default of `bm3d` with ``axis``: segments of 64 samples
    ``"time"``       default of `bm4d` with ``time_axis``: blocks of 2 x 4 x 4 x 4 voxels
    ===============  =============================================================

    Attributes
    ----------
    name : str
        Name of the profile, "custom" for changed ones.
    block_basic, block_final : int or tuple of int
        Side of a block in pixels, 2 to 16 (N1 in [1]_). A tuple has one number for each axis, see
        Notes.
    step_basic, step_final : int or tuple of int
        Distance between reference blocks in pixels, 1 to the side of a block (Nstep).
    radius_basic, radius_final : int or tuple of int
        Search radius in pixels, 0 to 127 ((NS - 1) / 2).
    group_basic, group_final : int
        Largest number of blocks in a group, a power of two up to 64 (N2).
    match_basic, match_final : float
        Matching threshold, in squared 8-bit gray levels (tau).
    match_noise_basic, match_noise_final : float
        Addition to the matching threshold, in units of the noise variance.
    transform_basic, transform_final : str or (N, N) array_like
        Transform of blocks: "dct", "hadamard" or a discrete wavelet of PyWavelets (T2D); or the
        matrix of a transform of rows and columns. Its rows have norm 1, the first is constant, and
        the others have sum 0.
    inverse_basic, inverse_final : (N, N) array_like or None
        Matrix for the transform back, in place of the inverse. The first column is constant, so
        that constant blocks are restored.
    kaiser_basic, kaiser_final : float
        Parameter beta of the Kaiser window for aggregation, 0 to 6.
    window_basic, window_final : (N,) array_like or None
        Window for aggregation in place of the Kaiser window, from 0.01 to 1. Blocks are weighted by
        its outer product with itself.
    size_weight_basic, size_weight_final : float
        Exponent of the number of blocks in the weight of a group, 0 to 1: large groups count more
        than in [1]_, where it is 0.
    threshold : float or None
        Threshold of hard thresholding, in standard deviations of the noise of a coefficient
        (lambda_3D). With None it depends on the spectrum of the noise, from 2.2 to 4: 2.85 for
        white noise, 3 in volumes.
    wiener : float or None
        Factor for the noise variance in the Wiener gain (mu**2; 1 in [1]_). With None it depends on
        the spectrum of the noise, from 0.2 to 4.5: 0.45 for white noise.
    threshold_factors, wiener_factors : (levels + 1, N, N) array_like or None
        Factors for `threshold` and `wiener` of each coefficient of a group: in row 0 for the sums
        of all blocks, in row l for the differences of 2**l blocks (levels of the Haar transform).
        There are at least as many rows as the largest group needs. The mean of the group is
        not filtered.
    match_correlation_basic, match_correlation_final : float
        Factor for the compensation of correlated noise in the distances between blocks, so that
        blocks are not matched because of equal noise (gamma in [2]_).
    predict_basic, predict_final : int
        Videos: search radius in adjacent frames, 0 to 63 ((NPR - 1) / 2).
    follow_basic, follow_final : int
        Videos: search radius in all other frames, around positions extrapolated with constant
        velocity, 0 to 63.
    trails_basic, trails_final : int
        Videos: number of best blocks that are followed from frame to frame, 1 to 8 (NB).
    static_basic, static_final : float
        Videos: reduction of the distance of a block that has not moved, in squared 8-bit gray
        levels (d).
    static_noise_basic, static_noise_final : float
        Addition to this reduction, in units of the noise variance.
    slices_basic, slices_final : int
        Volumes: thickness of a block in slices, 1 to 8.
    step_slices_basic, step_slices_final : int
        Volumes: distance between reference blocks in slices.
    radius_slices_basic, radius_slices_final : int
        Volumes: search radius in slices, 0 to 63.
    sharpen : float
        Alpha of `sharpen`, at least 1; 1 for no sharpening. It only applies to the luminance, in
        the basic stage of images.
    residual : float
        If above 0, each stage is repeated. Frequencies whose residual has more than this multiple
        of the power of the noise are added to the estimate, and the sum is filtered again [2]_.
        This is useful for noise with little power at many frequencies, and takes about four times
        the time.
    threshold_residual, wiener_residual : float
        `threshold` and `wiener` of the repetition.
    iterations : int
        Number of iterations that follow for correlated noise, 0 to 32: the estimate is fitted to
        the image at frequencies with little noise, and what remains of the noise is filtered. They
        have no effect on white noise.
    excess : float
        Power of the noise that hard thresholding assumes in the iterations, relative to what
        remains of the noise of the image, at least 1, for noise of few frequencies. The flatter the
        spectrum is, the closer this ratio is to 1. The rest is for the error of the estimate.

    See Also
    --------
    bm3d : Remove noise from an image.
    vbm3d : Remove noise from a video.
    bm4d : Remove noise from a volume.

    Notes
    -----
    If block, step and radius of a stage are tuples, their numbers are for the last axes of an
    image, in the order (time, slices, rows, columns), and `slices_basic` etc. are not used. A side
    is from 1 to 64, and a block has up to 1024 samples. Along the axes before them, blocks have one
    sample and the radius is 0: ``block_basic=(8, 8)`` are squares in one slice of a volume, and
    ``block_basic=(64,)`` are segments of one row. Such blocks are filtered on the CPU, without the
    arrays of this class. Sides that are not powers of two need the transform "dct".

    Symbols are those of Dabov et al. [1]_. The papers use 2.7 for `threshold`, 1 for `wiener`, 2500
    or 5000 for `match_basic`, and 400 or 3500 for `match_final`. The values of `threshold` and
    `wiener` here are for the exact variances of [2]_, in which overlapping blocks are correlated.
    They were selected on photographs of BSDS500 that are in no test set. Of the pairs whose mean
    PSNR is within 0.02 dB of the best, the one with the highest PSNR of the worst image was taken.

    References
    ----------
    .. [1] K. Dabov, A. Foi, V. Katkovnik, K. Egiazarian, "Image denoising by sparse 3-D
       transform-domain collaborative filtering", IEEE Trans. Image Process. 16(8), 2007.
    .. [2] Y. Mäkinen, L. Azzari, A. Foi, "Collaborative filtering of correlated noise",
       IEEE Trans. Image Process. 29, 2020.

    Examples
    --------
    >>> import fastrestore
    >>> fastrestore.Profile.named("fast").replace(step_final=4).step_final
    4
    """

    name: str = "custom"

    # Basic estimate: hard thresholding
    block_basic: Sides = 8
    step_basic: Sides = 3
    radius_basic: Sides = 19
    group_basic: int = 16
    match_basic: float = 3000.0
    match_noise_basic: float = 2.0
    transform_basic: str | Matrix = "bior1.5"
    inverse_basic: Matrix | None = None
    threshold: float | None = None
    threshold_factors: tuple[Matrix, ...] | None = None
    match_correlation_basic: float = 3.0
    kaiser_basic: float = 2.0
    window_basic: Vector | None = None
    size_weight_basic: float = 0.0

    # Final estimate: Wiener filtering
    block_final: Sides = 8
    step_final: Sides = 3
    radius_final: Sides = 19
    group_final: int = 32
    match_final: float = 3000.0
    match_noise_final: float = 1.0
    transform_final: str | Matrix = "dct"
    inverse_final: Matrix | None = None
    wiener: float | None = None
    wiener_factors: tuple[Matrix, ...] | None = None
    kaiser_final: float = 2.0
    window_final: Vector | None = None
    size_weight_final: float = 0.0
    match_correlation_final: float = 3.0

    # Videos
    predict_basic: int = 15
    follow_basic: int = 3
    trails_basic: int = 1
    static_basic: float = 30.0
    static_noise_basic: float = 0.75
    predict_final: int = 15
    follow_final: int = 3
    trails_final: int = 1
    static_final: float = 10.0
    static_noise_final: float = 0.1

    # Volumes
    slices_basic: int = 4
    step_slices_basic: int = 3
    radius_slices_basic: int = 7
    slices_final: int = 4
    step_slices_final: int = 3
    radius_slices_final: int = 7

    # A detail c of a group with mean d becomes c |d / c|**(1 - 1/sharpen)
    sharpen: float = 1.0

    # Filtering of residuals
    residual: float = 0.0
    threshold_residual: float = 3.4
    wiener_residual: float = 0.5

    # Half-quadratic splitting, for correlated noise
    iterations: int = 0
    excess: float = 2.0

    def __repr__(self) -> str:
        """Return an expression: the most similar named profile, and what differs from it."""
        changes = min((self._changes(other) for other in PROFILES.values()), key=len)
        base = changes.pop("base")
        if self.name == base and not changes:
            return f"Profile.named({base!r})"
        if self.name != "custom":
            changes = {"name": self.name, **changes}
        listed = ", ".join(f"{field}={value!r}" for field, value in changes.items())
        return f"Profile.named({base!r}).replace({listed})"

    def _changes(self, other: Profile) -> dict[str, Any]:
        """Return the values of the fields that differ from those of a named profile."""
        names = [field.name for field in fields(self) if field.name != "name"]
        changed = {f: getattr(self, f) for f in names if getattr(self, f) != getattr(other, f)}
        return {"base": other.name, **changed}

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"name must be a string, got {validate.quoted(self.name)}")
        for stage in STAGES:
            self._check_stage(stage)
        for field in _SINGLE:
            if not (field in ("threshold", "wiener") and getattr(self, field) is None):
                self._check_number(field, most=MOST)
        self._check_number("sharpen", least=1, most=MOST)
        self._check_number("excess", least=1, most=MOST)
        self._check_integer("iterations", 0, 32)
        if self.iterations and (self.residual or self.sharpen != 1):
            field = "residual" if self.residual else "sharpen"
            value = getattr(self, field)
            raise ValueError(
                f"iterations={self.iterations} cannot be used with {field}={value:g}: leave out one"
            )

    def _check_stage(self, stage: str) -> None:
        """Validate the fields of a stage."""
        whole = _INTEGERS
        given = {field: getattr(self, f"{field}_{stage}") for field in sides.FIELDS}
        if any(isinstance(value, (tuple, list)) for value in given.values()):
            whole = {field: _INTEGERS[field] for field in _INTEGERS.keys() - given.keys()}
            for field, value in sides.check(stage, given).items():
                object.__setattr__(self, f"{field}_{stage}", value)
        for field, (least, most) in whole.items():
            self._check_integer(f"{field}_{stage}", least, most)
        if whole is _INTEGERS:
            self._check_integer(f"step_{stage}", 1, getattr(self, f"block_{stage}"))
        self._check_integer(f"step_slices_{stage}", 1, getattr(self, f"slices_{stage}"))
        group = getattr(self, f"group_{stage}")
        if group & (group - 1):
            raise ValueError(f"group_{stage} must be a power of two from 1 to 64, got {group!r}")
        for field, highest in _NUMBERS.items():
            self._check_number(f"{field}_{stage}", most=highest)
        self._check_arrays(stage)

    def _check_arrays(self, stage: str) -> None:
        """Validate the arrays of a stage and replace them by tuples."""
        group: int = getattr(self, f"group_{stage}")
        block = sides.longest(self, "block", stage)
        checks = (arrays.transform, arrays.inverse, arrays.window)
        for check in checks:
            field = f"{check.__name__}_{stage}"
            object.__setattr__(self, field, check(field, getattr(self, field), block))
        field = FACTORS[stage]
        value = arrays.factors(field, getattr(self, field), block, group)
        object.__setattr__(self, field, value)

    def _check_integer(self, field: str, least: int, most: int) -> None:
        """Validate a field and replace it by a plain int."""
        value = validate.integer(field, getattr(self, field), least=least, most=most)
        object.__setattr__(self, field, value)

    def _check_number(self, field: str, most: float, least: float = 0) -> None:
        """Validate a field and replace it by a plain float."""
        value = validate.number(field, getattr(self, field), least=least, most=most)
        object.__setattr__(self, field, value)

    @classmethod
    def named(cls, name: str) -> Profile:
        """Return the profile with this name."""
        if not isinstance(name, str):
            raise TypeError(f"profile must be a name or a Profile, got {validate.quoted(name)}")
        if name not in PROFILES:
            raise ValueError(
                f"profile {validate.quoted(name)} is unknown; known are {', '.join(PROFILES)}"
            )
        return PROFILES[name]

    def reach(self) -> int:
        """Return the largest distance between two pixels of one group along an axis."""
        pairs = [[sides.longest(self, field, w) for field in ("radius", "block")] for w in STAGES]
        return max(2 * radius + block for radius, block in pairs)

    def whole(self) -> str:
        """Return what needs the whole image and noise of one level, or an empty string."""
        if self.residual:
            return "filters the residual again"
        return "iterates" if self.iterations else ""

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, which is validated."""
        unknown = changes.keys() - {field.name for field in fields(self)}
        if unknown:
            known = ", ".join(field.name for field in fields(self))
            raise TypeError(f"Profile has no field {min(unknown)!r}; its fields are {known}")
        return replace(self, **{"name": "custom", **changes})


PROFILES = {name: Profile(name=name, **changes) for name, changes in NAMED.items()}

# "np" for correlated noise that is estimated or given as a `NoiseSpec`. Blocks of 12 pixels resolve
# low frequencies better than blocks of 8. Selected on photographs of two cameras of the PolyU data
# set, and on photographs of BSDS500 with noise of Gaussian kernels. Smaller steps gain 0.01 dB or
# less, and take longer.
CORRELATED = replace(
    PROFILES["np"],
    block_final=12,
    step_final=6,
    match_correlation_basic=1.0,
    match_correlation_final=1.0,
)


def named_profile(profile: str | Profile) -> Profile:
    """Return a profile given by name or as an object."""
    return profile if isinstance(profile, Profile) else Profile.named(profile)


def flat(profile: Profile) -> Profile:
    """Return a profile for volumes with few slices: blocks are squares in one slice."""
    changes: dict[str, int | str] = {"name": "flat"}
    for which in ("basic", "final"):
        changes |= {f"slices_{which}": 1, f"step_slices_{which}": 1}
        changes[f"radius_slices_{which}"] = getattr(profile, f"radius_slices_{which}")
    return Profile.named("np").replace(**changes)
