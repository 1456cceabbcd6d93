"""The functions `bm3d` and `bm3d_rgb` of the package bm3d."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastrestore
from fastrestore._arrays import validate
from fastrestore._collaborative import sides
from fastrestore._collaborative.block_matches import BlockMatches
from fastrestore.compat import attributes
from fastrestore.compat.arguments import Kept, Noise, Stages, array, check_size, separated
from fastrestore.compat.bm3d.profiles import (
    BM3DProfile,
    BM3DStages,
    checked,
    profile_of,
)

COLORSPACES = {"opp": "opp", "YCbCr": "ycbcr"}


def bm3d(
    z: Any,
    sigma_psd: Any,
    profile: BM3DProfile | str = "np",
    stage_arg: Any = BM3DStages.ALL_STAGES,
    blockmatches: Any = (False, False),
) -> Any:
    """Remove noise from an image, with the arguments of the package bm3d.

    Calls written for that package run with other parameters unchanged: the result has its shape and
    range, and is computed by `fastrestore.bm3d`.

    Parameters
    ----------
    z : array, shape (M, N) or (M, N, C)
        Noisy image. Blocks are matched on channel 0.
    sigma_psd : float, list of C floats, or array, shape (M, N) or (M, N, C)
        Standard deviation of the noise, or its power spectrum ``E|FFT2(noise)|**2``.
    profile : str or BM3DProfile
        "np", "refilter", "vn", "vn_old", "high", "deb", or an object.
    stage_arg : BM3DStages or array, shape of `z`
        Stages to run, or an estimate of the clean image for Wiener filtering alone.
    blockmatches : tuple of two
        For each stage: False, True to return its matches, or matches to use.

    Returns
    -------
    numpy array, float64
        Estimate of the clean image: of the shape of `z`, but (M, N) for one channel.
    tuple of two
        Matches of each stage, or None. Only if `blockmatches` contains True.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or value.

    See Also
    --------
    fastrestore.bm3d : The function of the library, with more arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore.compat import bm3d
    >>> clean = np.add.outer(np.linspace(0, 0.5, 32), np.linspace(0, 0.5, 32))
    >>> noisy = clean + np.random.default_rng(0).normal(0, 0.1, clean.shape)
    >>> restored = bm3d.bm3d(noisy, sigma_psd=0.1, stage_arg=bm3d.BM3DStages.HARD_THRESHOLDING)
    >>> bool(np.abs(restored - clean).mean() < 0.03)
    True
    """
    given, image = checked(profile), _image(z)
    stages = Stages.of(stage_arg, BM3DStages, np.shape(z))
    kept = Kept.of(blockmatches)
    pilot = None if stages.pilot is None else stages.pilot.reshape(image.shape)
    axis = None if image.ndim == 2 else -1
    noise = Noise.of(sigma_psd, image.shape[:2], 1 if axis is None else image.shape[2], axis=-1)
    options = _options(given, noise, image.shape[:2], axis)
    if axis is not None:
        options |= {"colorspace": None, "match_channel": 0}
    if given.sharpen_alpha != 1 and pilot is None:
        return _sharpened(image, noise, given, stages.stage, kept, options)
    options |= {**noise.options(axis), **kept.options(), "stage": stages.stage, "pilot": pilot}
    return kept.result(*separated(fastrestore.bm3d(image, **options)))


def bm3d_rgb(
    z: Any, sigma_psd: Any, profile: BM3DProfile | str = "np", colorspace: str = "opp"
) -> NDArray[np.float64]:
    """Remove noise from an RGB image, with the arguments of the package bm3d.

    Blocks are matched once, on the luminance, and all channels are filtered in the same groups.

    Parameters
    ----------
    z : array, shape (M, N, 3)
        Noisy image. Blocks are matched on the luminance.
    sigma_psd : float, list of three floats, or array, shape (M, N) or (M, N, 3)
        Standard deviation of the noise, or its power spectrum ``E|FFT2(noise)|**2``.
    profile : str or BM3DProfile
        "np", "refilter", "vn", "vn_old", "high", "deb", or an object.
    colorspace : {"opp", "YCbCr"}
        Color transform.

    Returns
    -------
    numpy array of shape (M, N, 3), float64
        Estimate of the clean image.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or value.

    See Also
    --------
    fastrestore.bm3d : The function of the library, with more arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore.compat import bm3d
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32, 3))
    >>> bool(bm3d.bm3d_rgb(noisy, 0.1).std() < 0.05)
    True
    """
    given, image = checked(profile), _image(z)
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"z must have the shape (M, N, 3), got {np.shape(z)}; use bm3d")
    if not isinstance(colorspace, str) or colorspace not in COLORSPACES:
        names = ", ".join(map(repr, COLORSPACES))
        raise ValueError(f"colorspace must be one of {names}, got {validate.quoted(colorspace)}")
    noise = Noise.of(sigma_psd, image.shape[:2], 3, axis=-1)
    options = _options(given, noise, image.shape[:2], -1) | {"colorspace": COLORSPACES[colorspace]}
    options |= noise.options(-1)
    restored: NDArray[np.float64]
    if given.sharpen_alpha != 1:
        options["pilot"] = _basic(image, given, options)
    restored = fastrestore.bm3d(image, **options)
    return restored


def _image(z: Any) -> NDArray[np.float64]:
    """Return an image as (M, N) or (M, N, C) with more than one channel."""
    image = array("z", z)
    if image.ndim not in (2, 3):
        raise ValueError(f"z must have two or three axes, got shape {image.shape}")
    return image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image


def _options(
    given: BM3DProfile, noise: Noise, shape: tuple[int, ...], axis: int | None
) -> dict[str, Any]:
    """Return the arguments of `fastrestore.bm3d` that noise and profile set."""
    profile = profile_of(given, white=noise.is_white())
    block = max(sides.longest(profile, "block", which) for which in ("basic", "final"))
    check_size(shape, block, "bm3d")
    return {
        "profile": profile,
        "strength": attributes.strength(given),
        "workers": attributes.workers(given),
        "channel_axis": axis,
    }


def _basic(image: Any, given: BM3DProfile, options: dict[str, Any]) -> Any:
    """Return the sharpened estimate of hard thresholding."""
    alpha = validate.number("sharpen_alpha", given.sharpen_alpha, least=1)
    sharp = options["profile"].replace(sharpen=alpha)
    return fastrestore.bm3d(image, **options | {"stage": "basic", "profile": sharp})


def _sharpened(
    image: Any, noise: Noise, given: BM3DProfile, stage: str, kept: Kept, options: dict[str, Any]
) -> Any:
    """Sharpen all channels in the groups of the first; then Wiener filter if the stage is final."""

    def basic(number: int, matches: BlockMatches) -> Any:
        plain = {key: options[key] for key in ("profile", "strength", "workers")}
        plain |= {**noise.channel(number).options(None), "matches": matches, "return_info": True}
        plane = image if image.ndim == 2 else image[..., number]
        return separated(_basic(plane, given, plain))

    first, matches = basic(0, kept.given)
    if image.ndim == 3:
        others = [basic(k, matches)[0] for k in range(1, image.shape[2])]
        first = np.stack([first, *others], axis=-1)
    if stage == "basic":
        return kept.result(first, BlockMatches(basic=matches.basic))
    options = options | noise.options(options["channel_axis"])
    given_final = BlockMatches(final=kept.given.final)
    final, used = separated(
        fastrestore.bm3d(image, pilot=first, matches=given_final, return_info=True, **options)
    )
    return kept.result(final, BlockMatches(matches.basic, used.final))
