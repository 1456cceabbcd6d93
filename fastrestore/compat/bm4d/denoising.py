"""The functions `bm4d` and `bm4d_multichannel` of the package bm4d."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastrestore
from fastrestore._collaborative import sides
from fastrestore._collaborative.stage import THRESHOLD_VOLUME
from fastrestore.compat import attributes
from fastrestore.compat.arguments import Kept, Noise, Stages, array, check_size, separated
from fastrestore.compat.bm4d.conversion import checked, has_slices, profile_of
from fastrestore.compat.bm4d.profiles import BM4DProfile, BM4DStages


def bm4d(
    z: Any,
    sigma_psd: Any,
    profile: BM4DProfile | str = "np",
    stage_arg: Any = BM4DStages.ALL_STAGES,
    blockmatches: Any = (False, False),
) -> Any:
    """Remove noise from a volume, with the arguments of the package bm4d.

    Calls written for that package run with other parameters unchanged: the result has its shape and
    range, and is computed by `fastrestore.bm4d`.

    Parameters
    ----------
    z : array, shape (M, N, P) or (M, N)
        Noisy volume of P slices, or an image.
    sigma_psd : float, or array of the shape of `z`
        Standard deviation of the noise, or its power spectrum ``E|FFTN(noise)|**2``.
    profile : str or BM4DProfile
        "np", "refilter", "8x8", or an object.
    stage_arg : BM4DStages or array, shape of `z`
        Stages to run, or an estimate of the clean volume for Wiener filtering alone.
    blockmatches : tuple of two
        For each stage: False, True to return its matches, or matches to use.

    Returns
    -------
    numpy array, float64
        Estimate of the clean volume: of the shape of `z`, and (M, N, 1) for an image.
    tuple of two
        Matches of each stage, or None. Only if `blockmatches` contains True.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or value.

    See Also
    --------
    fastrestore.bm4d : The function of the library, with more arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore.compat import bm4d
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (16, 16, 10))
    >>> bool(bm4d.bm4d(noisy, 0.1).std() < 0.05)
    True
    """
    volume = _volume(z)
    stages = Stages.of(stage_arg, BM4DStages, np.shape(z))
    pilot = None if stages.pilot is None else stages.pilot.reshape(volume.shape)
    kept, noise = Kept.of(blockmatches), _noise(sigma_psd, volume.shape, 1)
    options = _options(checked(profile), noise, volume.shape, channels=False)
    options |= {"stage": stages.stage, "pilot": pilot, **kept.options()}
    return kept.result(*separated(fastrestore.bm4d(volume, **options)))


def bm4d_multichannel(
    z: Any,
    sigma_psd: Any,
    profile: BM4DProfile | str = "np",
    stage_arg: Any = BM4DStages.ALL_STAGES,
) -> Any:
    """Remove noise from a volume of several channels, with the arguments of the package bm4d.

    Blocks are matched on one channel, and all channels are filtered in the same groups.

    Parameters
    ----------
    z : array, shape (C, M, N, P), or list of C arrays
        Noisy volume. Blocks are matched on channel 0.
    sigma_psd : float, or array, shape (M, N, P) or (C, M, N, P), or list of C of them
        Standard deviation of the noise, or its power spectrum ``E|FFTN(noise)|**2``.
    profile : str or BM4DProfile
        "np", "refilter", "8x8", or an object.
    stage_arg : BM4DStages, or an array or list like `z`
        Stages to run, or an estimate of the clean volume for Wiener filtering alone.

    Returns
    -------
    numpy array, float64, or list of arrays
        Estimate of the clean volume, as an array or a list like `z`.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or value.

    See Also
    --------
    fastrestore.bm4d : The function of the library, with more arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore.compat import bm4d
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (2, 16, 16, 10))
    >>> bool(bm4d.bm4d_multichannel(noisy, 0.1).std() < 0.05)
    True
    """
    volume = array("z", z)
    if volume.ndim == 3:
        volume = volume[..., None]
    if volume.ndim != 4:
        raise ValueError(f"z must have the shape (C, M, N, P), got {np.shape(z)}; use bm4d")
    stages = Stages.of(stage_arg, BM4DStages, np.shape(z))
    pilot = None if stages.pilot is None else stages.pilot.reshape(volume.shape)
    noise = _noise(sigma_psd, volume.shape[1:], len(volume))
    options = _options(checked(profile), noise, volume.shape[1:], channels=True)
    restored = fastrestore.bm4d(volume, stage=stages.stage, pilot=pilot, **options)
    return list(restored) if isinstance(z, (list, tuple)) else restored


def _volume(z: Any) -> NDArray[np.float64]:
    """Return a volume as (M, N, P)."""
    volume = array("z", z)
    if volume.ndim not in (2, 3):
        raise ValueError(
            f"z must have three axes, or two for an image, got shape {volume.shape}; channels "
            "need bm4d_multichannel"
        )
    return volume[..., None] if volume.ndim == 2 else volume


def _noise(sigma_psd: Any, shape: tuple[int, ...], channels: int) -> Noise:
    """Return the noise of a volume (M, N, P); the spectrum of an image may have two axes."""
    values = array("sigma_psd", sigma_psd)
    if values.ndim >= 2 and values.shape in (shape[:2], (channels, *shape[:2])) and shape[2] == 1:
        values = values[..., None]
    return Noise.of(values, shape, channels, axis=0)


def _options(
    given: BM4DProfile, noise: Noise, shape: tuple[int, ...], *, channels: bool
) -> dict[str, Any]:
    """Return the arguments of `fastrestore.bm4d` that noise and profile set."""
    profile = profile_of(given)
    if profile.threshold is None and noise.is_white():
        profile = profile.replace(threshold=THRESHOLD_VOLUME)  # also for blocks of one slice
    if given.denoise_residual and not noise.is_white():
        raise ValueError(
            "profile 'refilter' is not supported for volumes with a power spectrum: use 'np'"
        )
    block = max(sides.longest(profile, "block", which) for which in ("basic", "final"))
    check_size(shape, block, "bm4d")
    options = {
        "profile": profile,
        "strength": attributes.strength(given),
        "workers": attributes.workers(given),
        **noise.options(0 if channels else None),
    }
    if channels:
        options |= {"channel_axis": 0, "match_channel": 0}
    if has_slices(given):
        options["slice_axis"] = -1
    return options
