"""BM4D from checked arguments to a result: scale, pad, run the two stages, undo."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from fastrestore import _arguments, _arrays, _noise
from fastrestore._arguments import Levels
from fastrestore._profile import Profile
from fastrestore._stage import FloatArray, Run
from fastrestore._volume import (
    STAGES,
    VolumeNoise,
    Volumes,
    flat,
    make_volume_stage,
)
from fastrestore.backends import Backend, VolumeBackend, _host

FAR = 256  # a volume this many times its range away from 0 is moved there
SLICES = 9  # noise is estimated on so many


@dataclass(frozen=True, slots=True)
class Task:
    """What a call asked for, checked."""

    profile: Profile
    stage: str
    data_range: float | None
    matched: int  # the channel that blocks are matched on
    engine: Backend
    run: Run


def restored(planes: NDArray[Any], levels: Levels | None, task: Task) -> NDArray[Any]:
    """Restore (C, P, M, N): see to what needs no filter, scale, filter, scale back."""
    if levels is None:
        levels = Levels(_estimated(planes))
    sigma = float(levels.sigmas.max())
    if sigma == 0 or (planes == planes[:, :1, :1, :1]).all():
        return planes
    _arguments.warn_of_units(sigma, planes)
    base, extent = planes.min(), float(planes.max()) - float(planes.min())
    wide = np.promote_types(_arrays.result_dtype(planes.dtype), np.float32)
    if abs(float(base)) <= FAR * max(extent, sigma):
        base = base * 0
    # float32 would lose digits of what is far from 0; differences are exact in its own type
    estimate = _scaled(planes - base, levels, task).astype(wide, copy=False)
    estimate += base.astype(np.float64)
    zero = levels.map == 0 if levels.map is not None else levels.sigmas[:, None, None, None] == 0
    np.copyto(estimate, planes, where=zero, casting="unsafe")
    return estimate


def _estimated(planes: NDArray[Any]) -> FloatArray:
    """Noise of each channel: median of that of some slices."""
    some = np.unique(np.linspace(0, planes.shape[1] - 1, SLICES).round().astype(int))
    found = [[_noise.sigmas(channel[k][None])[0] for k in some] for channel in planes]
    middle: FloatArray = np.median(found, axis=1)
    return middle


def _scaled(planes: NDArray[Any], levels: Levels, task: Task) -> NDArray[np.float32]:
    """Run the stages on data of about 1, as large as a block or larger."""
    known = task.data_range
    if known is None:
        known = _range(planes[task.matched])
    exponent = math.frexp(max(known, float(levels.sigmas.max())))[1]
    shape, profile = planes.shape[1:], task.profile
    if shape[0] < max(profile.slices_basic, profile.slices_final):
        profile = flat(profile)
    sizes = [max(profile.slices_basic, profile.slices_final)]
    sizes += 2 * [max(profile.block_basic, profile.block_final)]
    noisy = _padded(_host.scaled(planes, -exponent), sizes)
    noise = VolumeNoise(np.ldexp(levels.sigmas, -exponent), task.matched, power=levels.power)
    if levels.map is not None:
        parts = np.zeros(levels.map.shape)
        means = levels.sigmas[:, None, None, None]
        np.divide(levels.map, means, where=means > 0, out=parts)
        noise = noise._replace(map=_padded(parts**2, sizes))
    extent = math.ldexp(known, -exponent)
    estimate = _stages(noisy, noise, extent, replace(task, profile=profile))
    inside = estimate[:, : shape[0], : shape[1], : shape[2]]
    return np.ldexp(inside, exponent)


def _range(volume: NDArray[Any]) -> float:
    """Robust range of a sample of the voxels."""
    apart = max(1, round((volume.size / 2**17) ** (1 / 3)))
    return _host.robust_range(volume[::apart, ::apart, ::apart])


def _padded(volumes: NDArray[Any], sizes: list[int]) -> NDArray[Any]:
    """Mirror volumes that are smaller than a block beyond their ends."""
    beyond = [(0, max(0, least - n)) for least, n in zip(sizes, volumes.shape[1:], strict=True)]
    return np.pad(volumes, [(0, 0), *beyond], mode="symmetric")


def _stages(noisy: Volumes, noise: VolumeNoise, extent: float, task: Task) -> Volumes:
    """Run the basic stage, and the final one guided by it."""
    engine = cast(VolumeBackend, task.engine)  # the call has asked for one
    share = 1 / (4 if task.stage == "final" else 2)
    tick = task.run.tick
    run = replace(task.run, tick=lambda done: tick(share * done))

    def once(which: Literal["basic", "final"], pilot: Volumes | None) -> Volumes:
        numbers = make_volume_stage(task.profile, which, noise, extent)
        matched = (noisy if pilot is None else pilot)[task.matched]
        matches = engine.bm4d_match(matched, numbers, run)
        if pilot is None:
            return engine.bm4d_basic(noisy, matches, numbers, run)
        return engine.bm4d_final(noisy, pilot, matches, numbers, run)

    estimate = once("basic", None)
    return once("final", estimate) if task.stage == STAGES[1] else estimate
