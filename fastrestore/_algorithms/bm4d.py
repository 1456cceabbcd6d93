"""BM4D: a volume restored by groups of cubes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrestore._arrays import interop, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._arrays.validate import Levels
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.stage import Run
from fastrestore._collaborative.volume_pipeline import Task, restored
from fastrestore._collaborative.volume_stage import STAGES
from fastrestore._noise import psd
from fastrestore._noise.vst import NoiseModel, PoissonGaussian, Rician
from fastrestore.backends.select import select


def bm4d(
    volume: Any,
    sigma: Any = None,
    *,
    psd: Any = None,
    noise: NoiseModel | None = None,
    profile: str | Profile = "volume",
    stage: str = "final",
    data_range: float | None = None,
    channel_axis: int | None = None,
    match_channel: int = 0,
    slice_axis: int | None = None,
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
) -> Any:
    """Remove noise from a volume by BM4D.

    Parameters
    ----------
    volume : array, shape (P, M, N), or four axes with `channel_axis`
        Noisy volume of any integer or float type and any range, as for `bm3d`; it is left as it is.
    sigma : float, or one for each channel, or array, optional
        Standard deviation of the noise, in the units of `volume`. 0 returns a copy. Without it
        the level of each channel is estimated, the median of that of some slices. An array of the
        shape of `volume`, or that broadcasts to it, says the level at every voxel; a voxel where it
        is 0 stays as it is.
    psd : array, shape (P, M, N) or that of `volume`, optional
        In place of `sigma`, the power spectrum of correlated noise: ``E|FFTN(noise)|**2`` over the
        three axes, not normalised, DC first. See `psd_from_kernel`.
    noise : Rician or PoissonGaussian, optional
        In place of `sigma`, noise that follows the signal, as for `bm3d`: `Rician` for magnitudes
        of magnetic resonance.
    profile : str or Profile, default "volume"
        The algorithm's parameters. Fields that end in ``slices_basic`` and ``slices_final`` are
        about the slices: voxels that are longer in one direction may want thinner blocks.
    stage : {"final", "basic"}
        "basic" stops after hard thresholding.
    data_range : float, optional
        As for `bm3d`, of the channel that blocks are matched on.
    channel_axis : int, optional
        The axis of channels. Blocks are matched on one of them, and all are filtered by the same
        groups.
    match_channel : int, default 0
        The channel that blocks are matched on.
    slice_axis : int, optional
        The axis across slices, by default the shortest. It matters for blocks that are not cubes.
        A volume with fewer slices than a block is thick is restored by squares of 8x8 pixels, with
        the numbers of the profile "np", that are looked for in all slices.
    workers, backend, progress
        As for `bm3d`. A volume on a GPU stays there.

    Returns
    -------
    array, shape of `volume`
        The estimate of the clean volume: same kind of array, not clipped. Floats keep their type,
        integers give float32 in the same units.

    Raises
    ------
    TypeError, ValueError
        As `bm3d`.
    BackendUnavailableError
        If the backend asked for cannot run here.

    Notes
    -----
    Both stages are those of [1]_; variances of group coefficients are exact, as in `bm3d`. Blocks
    of the final stage have 5x5x5 voxels, as in the authors' program.

    Voxels on a GPU are not looked at: NaN spreads, and a volume far from 0 loses digits. The host
    waits for its range if `data_range` is not given, for sigma to be estimated, and for a volume
    smaller than a block.

    References
    ----------
    .. [1] M. Maggioni, V. Katkovnik, K. Egiazarian, A. Foi, "Nonlocal transform-domain filter for
       volumetric data denoising and reconstruction", IEEE Trans. Image Process. 22(1), 2013.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> clean = np.add.outer(np.arange(16.0), np.add.outer(np.arange(24.0), np.arange(24.0)))
    >>> noisy = clean + np.random.default_rng(0).normal(0, 5, clean.shape)
    >>> restored = fastrestore.bm4d(noisy, sigma=5)
    >>> fastrestore.metrics.psnr(clean, restored, data_range=61) > 32
    True
    """
    told = {"sigma": sigma, "psd": psd, "noise": noise}
    validate.at_most_one({name: value for name, value in told.items() if value is not None})
    there, restore = interop.recognize("volume", volume)
    axis = _axes(there.shape, channel_axis)
    validate.check_finite("volume", there)
    numbers = Profile.named(profile) if isinstance(profile, str) else profile
    _check(numbers, stage)
    extent, threads = validate.extent(data_range), validate.workers(workers)
    count = 1 if axis is None else there.shape[axis]
    matched = _channel(match_channel, count)
    levels = _levels(told, there.shape, axis)
    engine = select(backend, interop.on_host(there), "bm4d_match")
    across = _slices(slice_axis, there.shape, axis)
    with reporting(progress, "bm4d") as tick, interop.use_device_of(there):
        values = engine.bring(there)
        first = values[None] if axis is None else interop.move_axis(values, axis, 0)
        planes = interop.move_axis(first, across, 1)
        if noise is not None:
            planes = noise.forward(planes)
            extent = None if extent is None else noise.extent(extent)
        run = Run(threads, tick, False, engine.memory())
        task = Task(numbers, stage, extent, matched, engine, run)
        estimate = restored(planes, _moved(levels, across), task)
        if noise is not None:
            estimate = noise.inverse(estimate)
        back = interop.move_axis(estimate, 1, across)
        result = back[0] if axis is None else interop.move_axis(back, 0, axis)
        plain = interop.namespace(result).ascontiguousarray(result)
        typed = plain.astype(interop.result_dtype(values.dtype))
        return restore(interop.place_like(typed, there))


def _axes(shape: tuple[int, ...], channel_axis: Any) -> int | None:
    """Check the axes of a volume; return that of channels, counted from the front."""
    wanted = 3 if channel_axis is None else 4
    if len(shape) != wanted:
        advice = "; channels need channel_axis=" if channel_axis is None and len(shape) == 4 else ""
        advice = "; for a picture there is bm3d" if len(shape) == 2 else advice
        raise ValueError(f"volume must have {wanted} axes, got shape {shape}{advice}")
    if 0 in shape:
        raise ValueError(f"volume is empty, its shape is {shape}")
    return None if channel_axis is None else _axis("channel_axis", channel_axis, shape)


def _axis(name: str, axis: Any, shape: tuple[int, ...]) -> int:
    """Check an axis; count it from the front."""
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number or None, got {axis!r}")
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"{name}={axis} is not an axis of shape {shape}")
    return int(axis) % len(shape)


def _slices(slice_axis: Any, shape: tuple[int, ...], channel_axis: int | None) -> int:
    """Return the axis across slices of (C, ...)."""
    spatial = [k for k in range(len(shape)) if k != channel_axis]
    if slice_axis is None:
        chosen = min(spatial, key=lambda k: shape[k])
    else:
        chosen = _axis("slice_axis", slice_axis, shape)
        if chosen == channel_axis:
            raise ValueError(f"slice_axis={slice_axis} is the axis of channels")
    return 1 + spatial.index(chosen)


def _channel(number: Any, count: int) -> int:
    """Check the channel to match on."""
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
        raise TypeError(f"match_channel must be a whole number, got {number!r}")
    if not -count <= number < count:
        raise ValueError(f"match_channel={number}: the volume has {count} channels")
    return int(number) % count


def _check(profile: Any, stage: Any) -> None:
    """Refuse what is no profile for volumes, or no stage."""
    if not isinstance(profile, Profile):
        raise TypeError(f"profile must be a name or a Profile, got {profile!r}")
    if stage not in STAGES:
        raise ValueError(f"stage must be 'basic' or 'final', got {stage!r}")
    if profile.residual:
        raise ValueError(f"profile {profile.name!r} filters again, which volumes cannot")
    for which in STAGES:
        block, thick = getattr(profile, f"block_{which}"), getattr(profile, f"slices_{which}")
        if thick > 1 and block > 8:
            raise ValueError(
                f"block_{which} of a volume must be 8 or less for slices_{which}={thick}, "
                f"got {block}"
            )


def _levels(told: dict[str, Any], shape: tuple[int, ...], axis: int | None) -> Levels | None:
    """Return the noise by what one argument tells of it, or None if it has to be estimated."""
    if told["psd"] is not None:
        return psd.levels_of_psd(told["psd"], shape, axis)
    if told["noise"] is not None:
        if not isinstance(told["noise"], (PoissonGaussian, Rician)):
            raise TypeError(f"noise must be a PoissonGaussian or a Rician, got {told['noise']!r}")
        return Levels(np.ones(1 if axis is None else shape[axis]))
    return None if told["sigma"] is None else validate.levels(told["sigma"], shape, axis)


def _moved(levels: Levels | None, across: int) -> Levels | None:
    """Bring the slices to the front, of what varies by voxel or frequency."""
    if levels is None:
        return None
    return levels._replace(
        map=None if levels.map is None else np.moveaxis(levels.map, across, 1),
        power=None if levels.power is None else np.moveaxis(levels.power, across, 1),
    )
