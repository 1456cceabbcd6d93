"""Profiles: every number of BM3D that the papers leave to the user, with a name each.

Distances between blocks are mean squared differences per pixel. A matching threshold has
two parts: one in the square of 8-bit grey levels, scaled to the image's `data_range`, and
one in units of the noise variance, because two noisy copies of one block already differ by
``2 sigma**2`` on average. With a fixed threshold true matches are lost above sigma 40.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

from fastrestore._arrays import validate

# Fields of each stage that are numbers of 0 or more
_NUMBERS = ("match", "match_noise", "match_correlation", "kaiser", "static", "static_noise")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The parameters of BM3D; fields ending in ``_basic`` and ``_final`` belong to one stage.

    Take a named one and change what you want: ``Profile.named("np").replace(step_final=4)``.
    The names are those of the reference implementation:

    ==============  ==============================================================
    ``"np"``        normal: the paper's settings and the default at every sigma
    ``"refilter"``  normal, and each stage again over what noise does not explain
    ``"fast"``      what video filters use: step 8, search radius 9, groups of 8
    ``"lc"``        low complexity: larger steps, smaller search
    ``"high"``      step 2: slower, for a little more quality
    ``"video"``     what `vbm3d` takes: smaller search in the frame itself
    ``"vn"``        very noisy: larger groups and blocks, hardly any block refused
    ``"volume"``    what `bm4d` takes: cubes of 4 voxels
    ==============  ==============================================================

    Attributes
    ----------
    block_basic, block_final : int
        Side of a block in pixels, 2 to 16 (N1 of [1]_).
    step_basic, step_final : int
        Distance between reference blocks, 1 to the side of a block (Nstep).
    radius_basic, radius_final : int
        How far away blocks are looked for, 0 to 127 ((NS - 1) / 2).
    group_basic, group_final : int
        Most blocks in a group, a power of two up to 64 (N2).
    match_basic, match_final : float
        Largest distance of a block in the group, in squared 8-bit grey levels (tau).
    match_noise_basic, match_noise_final : float
        Added to that: so many times sigma squared.
    transform_basic, transform_final : str
        2-D transform: "dct", "hadamard" or a discrete wavelet of PyWavelets (T2D).
    kaiser_basic, kaiser_final : float
        Beta of the Kaiser window with which blocks are laid down.
    threshold : float or None
        Coefficients under so many standard deviations of their noise are dropped (lambda3D).
        None chooses by the spectrum of the noise: 2.85 for white noise, 2.2 to 4.
    wiener : float or None
        Share of the noise variance in the Wiener gain (mu squared; 1 in [1]_). None chooses by
        the spectrum: 0.45 for white noise, 0.2 to 4.5.
    match_correlation_basic, match_correlation_final : float
        Of correlated noise so many times the part of a distance that the noise explains is taken
        off, so that blocks are not matched for their noise (gamma of [2]_).
    predict_basic, predict_final : int
        Of video: how far around the best blocks the frames beside are searched, 0 to 63 (NPR).
    follow_basic, follow_final : int
        Of video: how far around where these have moved to since, at constant speed, the frames
        after that are searched, 0 to 63.
    trails_basic, trails_final : int
        Of video: how many best blocks are followed from frame to frame, 1 to 8 (NB).
    static_basic, static_final : float
        Of video: the block that has not moved counts as nearer by so much (d).
    static_noise_basic, static_noise_final : float
        Added to that: so many times sigma squared.
    slices_basic, slices_final : int
        Of volumes: thickness of a block, 1 to 8.
    step_slices_basic, step_slices_final : int
        Of volumes: slices from one reference block to the next.
    radius_slices_basic, radius_slices_final : int
        Of volumes: how many slices away blocks are looked for, 0 to 63.
    residual : float
        With more than 0 each stage runs twice: what it took away comes back at frequencies where
        it has more than so many times the power of the noise, and is filtered again [2]_. This
        helps where noise has little power at many frequencies; it takes some twice the time.
    threshold_residual, wiener_residual : float
        `threshold` and `wiener` of the second time.

    Notes
    -----
    Symbols are those of Dabov et al. [1]_. The papers have 2.7 and 1 where `threshold` and
    `wiener` are 2.85 and 0.45 here, 2500 or 5000 for `match_basic`, 400 or 3500 for
    `match_final`. These two strengths suit the exact variances of [2]_, in which overlapping
    blocks are correlated. They were chosen on photographs of BSDS500 that are in no test set: of
    the pairs whose mean PSNR is within 0.02 dB of the best, the one whose worst image is best.

    References
    ----------
    .. [1] K. Dabov, A. Foi, V. Katkovnik, K. Egiazarian, "Image denoising by sparse 3-D
       transform-domain collaborative filtering", IEEE Trans. Image Process. 16(8), 2007.
    .. [2] Y. Mäkinen, L. Azzari, A. Foi, "Collaborative filtering of correlated noise",
       IEEE Trans. Image Process. 29, 2020.
    """

    name: str = "custom"

    # Basic estimate: hard thresholding (superscript "ht" in [1])
    block_basic: int = 8  # N1: side of a block, in pixels
    step_basic: int = 3  # Nstep: distance between reference blocks
    radius_basic: int = 19  # (NS - 1) / 2: blocks are looked for this far away
    group_basic: int = 16  # N2: most blocks in a group; a power of two
    match_basic: float = 3000.0  # tau: largest distance, squared 8-bit grey levels
    match_noise_basic: float = 2.0  # added to tau: this many times sigma**2
    transform_basic: str = "bior1.5"  # T2D: a wavelet of PyWavelets, "dct" or "hadamard"
    threshold: float | None = None  # lambda_3D: under so many deviations it is noise; None: auto
    match_correlation_basic: float = 3.0  # gamma: blocks with the same noise count as farther away
    kaiser_basic: float = 2.0  # beta of the window that the blocks are laid down with

    # Final estimate: empirical Wiener filtering (superscript "wie")
    block_final: int = 8
    step_final: int = 3
    radius_final: int = 19
    group_final: int = 32
    match_final: float = 3000.0
    match_noise_final: float = 1.0
    transform_final: str = "dct"
    wiener: float | None = None  # mu**2: share of the noise in the Wiener gain; None: automatic
    kaiser_final: float = 2.0
    match_correlation_final: float = 3.0

    # From frame to frame of a video
    predict_basic: int = 15  # (NPR - 1) / 2: so far the frames beside are searched
    follow_basic: int = 3
    trails_basic: int = 1  # NB: so many best blocks are followed
    static_basic: float = 30.0  # d: so much nearer is a block that has not moved
    static_noise_basic: float = 0.75  # added to d: so many times sigma**2
    predict_final: int = 15
    follow_final: int = 3
    trails_final: int = 1
    static_final: float = 10.0
    static_noise_final: float = 0.1

    # From slice to slice of a volume
    slices_basic: int = 4
    step_slices_basic: int = 3
    radius_slices_basic: int = 7
    slices_final: int = 4
    step_slices_final: int = 3
    radius_slices_final: int = 7

    # Sharpening, in the basic stage: details c of a group of mean d become c |d / c|**(1 - 1/alpha)
    sharpen: float = 1.0  # alpha; 1: as they are; of the first channel, the luminance

    # Refiltering of what noise cannot explain in the residual
    residual: float = 0.0  # frequencies with so many times the power of the noise; 0: none
    threshold_residual: float = 3.4
    wiener_residual: float = 0.5

    def __post_init__(self) -> None:
        for stage in ("basic", "final"):
            self._check_stage(stage)
        for field in ("threshold", "wiener"):
            if getattr(self, field) is not None:
                validate.not_negative(field, getattr(self, field))
        validate.number("sharpen", self.sharpen, least=1)
        for field in ("residual", "threshold_residual", "wiener_residual"):
            validate.not_negative(field, getattr(self, field))

    def _check_stage(self, stage: str) -> None:
        def check(field: str, least: int, most: int) -> None:
            name = f"{field}_{stage}"
            validate.integer(name, getattr(self, name), least=least, most=most)

        check("block", 2, 16)
        check("step", 1, getattr(self, f"block_{stage}"))
        check("radius", 0, 127)
        check("group", 1, 64)
        group = getattr(self, f"group_{stage}")
        if group & (group - 1):
            raise ValueError(f"group_{stage} must be a power of two from 1 to 64, got {group!r}")
        for field, least, most in (("predict", 0, 63), ("follow", 0, 63), ("trails", 1, 8)):
            check(field, least, most)
        check("slices", 1, 8)
        check("step_slices", 1, getattr(self, f"slices_{stage}"))
        check("radius_slices", 0, 63)
        for field in _NUMBERS:
            validate.not_negative(f"{field}_{stage}", getattr(self, f"{field}_{stage}"))

    @classmethod
    def named(cls, name: str) -> Profile:
        """Return the profile called `name`, one of those above."""
        if name not in PROFILES:
            raise ValueError(f"profile {name!r} is unknown; known are {', '.join(PROFILES)}")
        return PROFILES[name]

    def reach(self) -> int:
        """Return the largest distance between pixels of one group."""
        reach = (2 * self.radius_basic + self.block_basic, 2 * self.radius_final + self.block_final)
        return max(reach)

    def replace(self, **changes: float | str) -> Self:
        """Return a copy with some fields changed, checked like a new one."""
        unknown = changes.keys() - {field.name for field in fields(self)}
        if unknown:
            known = ", ".join(field.name for field in fields(self))
            raise TypeError(f"Profile has no field {min(unknown)!r}; its fields are {known}")
        return replace(self, **{"name": "custom", **changes})  # type: ignore[arg-type]


_NP = Profile(name="np")

PROFILES: dict[str, Profile] = {
    "np": _NP,
    "refilter": Profile(name="refilter", residual=1.35, match_correlation_final=0.5),
    "fast": Profile(
        name="fast",
        step_basic=8,
        radius_basic=9,
        group_basic=8,
        step_final=8,
        radius_final=9,
        group_final=8,
    ),
    "lc": Profile(
        name="lc", step_basic=6, radius_basic=12, step_final=5, radius_final=12, group_final=16
    ),
    "high": Profile(name="high", step_basic=2, step_final=2),
    "video": Profile(
        name="video",
        step_basic=6,
        radius_basic=7,
        match_basic=1000.0,
        step_final=5,
        radius_final=7,
        group_final=16,
        match_final=1000.0,
        match_noise_final=0.5,
        wiener=0.6,
    ),
    "volume": Profile(
        name="volume",
        block_basic=4,
        step_basic=2,
        radius_basic=7,
        match_basic=700.0,
        match_noise_basic=2.5,
        slices_final=5,
        block_final=5,
        radius_final=7,
        match_final=300.0,
        match_noise_final=0.1,
    ),
    "vn": Profile(
        name="vn",
        step_basic=4,
        group_basic=32,
        match_basic=25000.0,
        block_final=11,
        step_final=6,
        match_final=3500.0,
    ),
}


def named_profile(profile: str | Profile) -> Profile:
    """Return the profile that a caller gives by name or as an object."""
    if isinstance(profile, str):
        return Profile.named(profile)
    if not isinstance(profile, Profile):
        raise TypeError(f"profile must be a name or a Profile, got {profile!r}")
    return profile


def flat(profile: Profile) -> Profile:
    """Return a profile for volumes of fewer slices than a block: squares of one slice."""
    changes: dict[str, int | str] = {"name": "flat"}
    for which in ("basic", "final"):
        changes |= {f"slices_{which}": 1, f"step_slices_{which}": 1}
        changes[f"radius_slices_{which}"] = getattr(profile, f"radius_slices_{which}")
    return Profile.named("np").replace(**changes)
