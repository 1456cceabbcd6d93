"""BM4D: denoising of volumes by groups of 3-D blocks."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._algorithms.info import Info
from fastrestore._algorithms.restored import Restored
from fastrestore._algorithms.volume_series import restore_series
from fastrestore._arrays import interop, threads, validate
from fastrestore._arrays.keywords import OTHER_SPELLINGS, without
from fastrestore._arrays.masks import Mask
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._chunked import entry
from fastrestore._collaborative import sides
from fastrestore._collaborative.block_matches import BlockMatches, Matching
from fastrestore._collaborative.pipeline import Result, restore
from fastrestore._collaborative.profile import Profile, flat, named_profile
from fastrestore._collaborative.repetitions import Repetitions
from fastrestore._collaborative.request import Geometry, Inputs, Request
from fastrestore._noise.planes import NoiseArguments, Source


@without(
    "volume",
    noise_kernel="write psd=psd_from_kernel(noise_kernel, volume.shape), without the channels",
    uncertainty="bm3d has it, for images",
    axis="bm3d has it, for signals",
    batch_axis="bm3d has it, for images; call bm4d for each volume",
    **OTHER_SPELLINGS | {"z": "the volume is the first argument, volume="},
)
def bm4d(
    volume: Any,
    sigma: Any = None,
    *,
    psd: Any = None,
    noise: Source | None = None,
    strength: float = 1.0,
    profile: str | Profile = "volume",
    stage: str = "final",
    pilot: Any = None,
    mask: Any = None,
    data_range: float | None = None,
    channel_axis: int | None = None,
    match_channel: int = 0,
    slice_axis: int | None = None,
    time_axis: int | None = None,
    matches: bool | BlockMatches | None = None,
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
    return_info: bool = False,
) -> Any:
    """Remove noise from a volume with BM4D.

    Similar cubes are found in the volume and filtered together, as `bm3d` does with squares.

    Parameters
    ----------
    volume : array, shape (P, M, N), or one axis more with `channel_axis` and with `time_axis`
        Noisy volume of any integer or float type and any range, as for `bm3d`. It is not modified.
    sigma : float, or one for each channel, or array, optional
        Standard deviation of the noise, in the units of `volume`. With 0 a copy is returned. By
        default the noise is estimated. An array
        that broadcasts to the shape of `volume` is a map of the noise level. Channels and voxels
        with level 0 are copied.
    psd : array, shape (P, M, N) or shape of `volume`, optional
        Power spectrum of correlated noise, ``E|FFTN(noise)|**2`` over the three axes: not
        normalized, with the zero frequency at index (0, 0, 0). See `psd_from_kernel`.
    noise : Rician, PoissonGaussian, NoiseSpec, object with the methods of Rician, or str, optional
        The noise, as for `bm3d`: `Rician` for magnitude images of magnetic resonance. With "auto"
        (the default if no noise is given) it is estimated: photon counts of any gain and offset,
        Rician noise if the volume has a background, or white noise. With "white", its level is the
        median of the estimates of several slices, for each channel. With "signal-dependent", it
        varies with the brightness. Other names of `estimate_noise` warn: they are for images.
    strength : float, default 1
        Factor for the noise level, as for `bm3d`.
    profile : str or Profile, default "volume"
        Parameters of the algorithm. Fields that end in ``slices_basic`` and ``slices_final`` apply
        to the slice axis. Thinner blocks may suit volumes whose slices are farther apart than
        their pixels.
    stage : {"final", "basic"}
        "basic" stops after hard thresholding.
    pilot : array, shape of `volume`, optional
        Estimate of the clean volume for Wiener filtering, as for `bm3d`.
    mask : array of bool, shape of `volume` or one that broadcasts to it, optional
        True where a voxel is valid, as for `bm3d`. A mask of shape (P, M, N) applies to all
        channels.
    data_range : float, optional
        As for `bm3d`, for the channel that blocks are matched on.
    channel_axis : int, optional
        Axis of the channels. Blocks are matched on one channel, and all channels are filtered in
        the same groups.
    match_channel : int, default 0
        Index of the channel that blocks are matched on.
    slice_axis : int, optional
        Axis along which the slices are stacked, by default the shortest axis. If there are fewer
        slices than a block is thick, blocks are squares of 8x8 pixels in one slice, with the
        parameters of the profile "np", and are searched for in all slices.
    time_axis : int, optional
        Axis along which the volumes of a series are stacked. Groups then consist of blocks of two
        frames, 4 x 4 x 4 voxels each, from this and adjacent times: the profile "time", or one
        whose blocks have four sides. `psd` then has four axes. Repeated slices are not recognized.
    matches : bool or BlockMatches, optional
        As for `bm3d`.
    workers, backend, progress : optional
        As for `bm3d`. By default a volume on a GPU is restored there.
    return_info : bool, default False
        If True, also return an `Info` with the parameters that were estimated and used.

    Returns
    -------
    array, shape of `volume`
        Estimate of the clean volume: the same kind of array, not clipped. Floats keep their type,
        integers give float32 in the same units. For an array of Dask the result is one, too, and
        is computed later.
    Info
        Only with `return_info`.

    Raises
    ------
    TypeError, ValueError
        As for `bm3d`.
    BackendUnavailableError
        If the requested backend cannot run here.

    See Also
    --------
    bm3d : Remove noise from an image.
    vbm3d : Remove noise from a video.
    Rician : The noise of magnitude images.

    Notes
    -----
    Both stages follow [1]_, with the exact variances of group coefficients of `bm3d`. Specify the
    noise once. A map `sigma` together with `psd` is correlated noise whose level varies: the
    spectrum gives the shape, and the map gives the level.

    Consecutive slices that are equal, as in a volume with doubled slices, have the same noise. They
    are filtered once: the result is that of the volume without repetitions, with each restored
    slice repeated as often. They are searched for along `slice_axis`, or along all three axes if it
    is not given. Slices are not joined if they are constant, if `sigma` differs between them, if
    `psd` is not constant along the frequencies of their axis, which means that the noise of the
    slices is correlated, if `noise` is a model of your own, which may depend on the position, or
    with a `pilot` or `matches`.

    Voxels on a GPU are not inspected: NaN and fill values spread to nearby blocks unless `mask`
    excludes them, volumes with a large mean lose accuracy, and equal slices are not recognized. The
    host waits for the GPU if the range or the noise level is measured, and if the volume is smaller
    than a block.

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
    if entry.is_labeled(volume):
        return entry.restored(bm4d, locals())
    if time_axis is not None:
        return restore_series(locals())
    if entry.is_chunked(volume):
        return _lazily(locals())
    values, convert_back = interop.recognize("volume", volume)
    numbers = named_profile(profile)
    geometry = _geometry(values.shape, channel_axis, slice_axis)
    _check_profile(numbers)
    matching = None
    if matches is not None and matches is not False:
        matching = Matching.of(matches, return_info)
    matched = validate.index("match_channel", match_channel, geometry.channels)
    request = Request.validated(
        geometry._replace(slice_axis=1),  # moved to the front after repetitions are left out
        interop.on_host(values),
        NoiseArguments(sigma, psd, None, noise),
        strength=strength,
        profile=numbers,
        stage=stage,
        mask=mask,
        data_range=data_range,
        workers=workers,
        backend=backend,
        capability="volume",
        matching=matching,
    )
    inputs = Inputs(values, _pilot(pilot, values, request), matching=matching)
    request = replace(request, weights=np.eye(geometry.channels)[matched])
    with reporting(progress, "bm4d") as report, interop.use_device_of(values):
        result = _restored(request.reporting(report), inputs, slice_axis)
        restored = convert_back(result.image)
    if not return_info:
        return restored
    info = Info.of(request, result, sigma, matching)
    return Restored(restored, info, volume, channel_axis, slice_axis)


def _lazily(arguments: dict[str, Any]) -> Any:
    """Restore a volume of Dask."""
    geometry = _geometry(
        arguments["volume"].shape, arguments["channel_axis"], arguments["slice_axis"]
    )
    profile = named_profile(arguments["profile"])
    _check_profile(profile)
    profile = profile if _fits(profile, geometry) else flat(profile)
    return entry.restored(bm4d, arguments, geometry=geometry, profile=profile)


def _pilot(pilot: Any, volume: Any, request: Request) -> Any:
    """Return a valid pilot estimate, of the shape of the volume, or None."""
    if pilot is None:
        return None
    validate.check_pilot_stage(request.stage)
    values, _ = interop.recognize("pilot", pilot)
    validate.same_shape("pilot", values, volume.shape)
    interop.check_same_device("pilot", values, volume)
    if request.mask is None:
        validate.check_finite("pilot", values)
    return values


def _restored(request: Request, inputs: Inputs, slice_axis: int | None) -> Result:
    """Restore a volume without the repetitions of slices, and repeat the restored slices."""
    volume, pilot = inputs.image, inputs.pilot
    channel_axis = request.geometry.channel_axis
    axes = tuple(k for k in range(volume.ndim) if k != channel_axis)
    searched = range(3) if slice_axis is None else [axes.index(slice_axis % volume.ndim)]
    if pilot is not None or inputs.matching is not None:
        searched = []
    alike = {number: _alike(volume, axes[number]) for number in searched}
    found = {number: equal for number, equal in alike.items() if equal.any()}
    repetitions = Repetitions.of(found, axes, request) if found else None
    if repetitions is not None:
        request = repetitions.request_once(request, volume)
        volume = repetitions.once(volume)
    geometry = _geometry(volume.shape, channel_axis, slice_axis)
    pool = threads.limited_to(request.execution.workers) if request.noise is None else nullcontext()
    with pool:
        planes = None if pilot is None else geometry.planes(pilot)
        result = restore(
            _with_slices(request, geometry), inputs._replace(image=volume, pilot=planes)
        )
    if repetitions is None:
        return result
    return result._replace(image=repetitions.repeated(result.image))


def _alike(volume: Any, axis: int) -> NDArray[np.bool_]:
    """Whether each slice but the first equals the slice before; constant slices have no noise.

    Slices on a GPU are not compared, because the host would wait.
    """
    if not interop.on_host(volume):
        return np.zeros(0, bool)
    slices = np.moveaxis(volume, axis, 0)
    rows = slices[:, 0].reshape(len(slices), -1)  # for most slices, the first row is enough
    alike: NDArray[np.bool_] = _same(rows[1:], rows[:-1]).all(1)
    for k in np.flatnonzero(alike):
        one, other = slices[k], slices[k + 1]
        alike[k] = _same(one, other).all() and not _same(one, one.flat[0]).all()
    return alike


def _same(one: Any, other: Any) -> Any:
    """Compare voxels; invalid ones may be NaN."""
    return (one == other) | ((one != one) & (other != other))


def _with_slices(request: Request, geometry: Geometry) -> Request:
    """Return the request for a volume whose slice axis is known."""
    profile, noise, mask = request.profile, request.noise, request.mask
    if _has_sides(profile):
        shape = tuple(n for k, n in enumerate(geometry.shape) if k != geometry.channel_axis)
        first = shape[geometry.slice_axis - 1]
        shape = (first, *np.delete(shape, geometry.slice_axis - 1).tolist())
        profile = profile.replace(**sides.fitted(profile, shape), name=profile.name)
    return replace(
        request,
        geometry=geometry,
        profile=profile if _has_sides(profile) or _fits(profile, geometry) else flat(profile),
        noise=None if noise is None else noise.with_axis_first(geometry.slice_axis),
        mask=None if mask is None else Mask(geometry.spatial(mask.valid)),
    )


def _geometry(shape: tuple[int, ...], channel_axis: Any, slice_axis: Any) -> Geometry:
    """Validate the axes of a volume; by default the shortest axis numbers the slices."""
    wanted = 3 if channel_axis is None else 4
    if len(shape) != wanted:
        advice = "; channels need channel_axis=" if channel_axis is None and len(shape) == 4 else ""
        advice = "; for an image use bm3d" if len(shape) == 2 else advice
        if len(shape) == wanted + 1:
            advice += " and" if advice else ";"
            advice += " a series of volumes needs time_axis="
        given = ""
        if channel_axis is not None:
            position = validate.integer("channel_axis", channel_axis)
            given = f" for channel_axis={validate.quoted(position)}"
        raise ValueError(f"volume must have {wanted} axes{given}, got shape {shape}{advice}")
    if 0 in shape:
        raise ValueError(f"volume is empty, its shape is {shape}")
    channel = None if channel_axis is None else validate.axis("channel_axis", channel_axis, shape)
    spatial = [k for k in range(len(shape)) if k != channel]
    if slice_axis is None:
        chosen = min(spatial, key=lambda k: shape[k])
    else:
        chosen = validate.axis("slice_axis", slice_axis, shape)
        if chosen == channel:
            raise ValueError(f"slice_axis={slice_axis} is the axis of channels")
    return Geometry(shape, channel, 1 + spatial.index(chosen))


def _check_profile(profile: Profile) -> None:
    """Raise if volumes do not support a profile."""
    if profile.whole():
        raise ValueError(f"profile {profile.name!r} is not supported for volumes")
    if _has_sides(profile):
        return
    for which in ("basic", "final"):
        block, thick = getattr(profile, f"block_{which}"), getattr(profile, f"slices_{which}")
        if thick > 1 and block > 8:
            raise ValueError(
                f"block_{which} of a volume must be 8 or less for slices_{which}={thick}, "
                f"got {block}"
            )


def _has_sides(profile: Profile) -> bool:
    """Whether the sides of blocks are given by axis."""
    return isinstance(profile.block_basic, tuple) or isinstance(profile.block_final, tuple)


def _fits(profile: Profile, geometry: Geometry) -> bool:
    """Whether there are as many slices as a block is thick."""
    spatial = [n for k, n in enumerate(geometry.shape) if k != geometry.channel_axis]
    return spatial[geometry.slice_axis - 1] >= max(profile.slices_basic, profile.slices_final)
