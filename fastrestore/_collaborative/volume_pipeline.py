"""BM4D from checked arguments to a result: scale, pad, run the two stages, undo."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, validate
from fastrestore._arrays.validate import Levels
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.stage import FloatArray, Run
from fastrestore._collaborative.volume_stage import (
    STAGES,
    VolumeNoise,
    Volumes,
    flat,
    make_volume_stage,
)
from fastrestore._noise import estimate
from fastrestore.backends import host
from fastrestore.backends.protocol import Backend, VolumeBackend

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


def restored(planes: Any, levels: Levels | None, task: Task) -> Any:
    """Restore (C, P, M, N): see to what needs no filter, scale, filter, scale back."""
    if levels is None:
        levels = Levels(_estimated(interop.to_host(planes)))
    sigma = float(levels.sigmas.max())
    wide = np.promote_types(interop.result_dtype(planes.dtype), np.float32)
    if sigma == 0:
        return planes.astype(wide)
    if not interop.on_host(planes):
        return _with_exact(_scaled(planes, levels, task).astype(wide), planes, levels, task)
    if (planes == planes[:, :1, :1, :1]).all():
        return planes.astype(wide)
    validate.warn_of_units(sigma, planes, task.data_range)
    base, extent = planes.min(), float(planes.max()) - float(planes.min())
    if abs(float(base)) <= FAR * max(extent, sigma):
        base = base * 0
    # float32 would lose digits of what is far from 0; differences are exact in its own type
    estimate = _scaled(planes - base, levels, task).astype(wide, copy=False)
    estimate += base.astype(np.float64)
    return _with_exact(estimate, planes, levels, task)


def _with_exact(estimate: Any, planes: Any, levels: Levels, task: Task) -> Any:
    """Put back what has no noise."""
    zero = levels.map == 0 if levels.map is not None else levels.sigmas[:, None, None, None] == 0
    if not zero.any():
        return estimate
    if interop.on_host(planes):
        np.copyto(estimate, planes, where=zero, casting="unsafe")
        return estimate
    there = task.engine.put(np.ascontiguousarray(np.broadcast_to(zero, planes.shape)))
    return interop.namespace(planes).where(there, planes.astype(estimate.dtype), estimate)


def _estimated(planes: NDArray[Any]) -> FloatArray:
    """Noise of each channel: median of that of some slices."""
    some = np.unique(np.linspace(0, planes.shape[1] - 1, SLICES).round().astype(int))
    found = [[estimate.sigmas(channel[k][None])[0] for k in some] for channel in planes]
    middle: FloatArray = np.median(found, axis=1)
    return middle


def _scaled(planes: Any, levels: Levels, task: Task) -> Any:
    """Run the stages on data of about 1, as large as a block or larger."""
    known = task.data_range
    if known is None:
        known = _range(planes[task.matched], task)
    exponent = math.frexp(max(known, float(levels.sigmas.max())))[1]
    shape, profile = planes.shape[1:], task.profile
    if shape[0] < max(profile.slices_basic, profile.slices_final):
        profile = flat(profile)
    sizes = [max(profile.slices_basic, profile.slices_final)]
    sizes += 2 * [max(profile.block_basic, profile.block_final)]
    noisy, here = _units(planes, -exponent), interop.on_host(planes)
    small = any(n < least for n, least in zip(shape, sizes, strict=True))
    if small:
        noisy = _padded(interop.to_host(noisy), sizes)
    if small or here:
        noisy = task.engine.put(noisy)
    noise = VolumeNoise(np.ldexp(levels.sigmas, -exponent), task.matched, power=levels.power)
    if levels.map is not None:
        parts = np.zeros(levels.map.shape)
        means = levels.sigmas[:, None, None, None]
        np.divide(levels.map, means, where=means > 0, out=parts)
        noise = noise._replace(map=_padded(parts**2, sizes))
    extent = math.ldexp(known, -exponent)
    estimate = _stages(noisy, noise, extent, replace(task, profile=profile))
    if here:
        estimate = task.engine.fetch(estimate)
    return np.ldexp(estimate[:, : shape[0], : shape[1], : shape[2]], exponent)


def _units(planes: Any, exponent: int) -> Any:
    """Float32 in C order, times a power of two, where the planes are."""
    if interop.on_host(planes):
        return host.scaled(planes, exponent)
    xp = interop.namespace(planes)
    return xp.ascontiguousarray((planes * 2.0**exponent).astype(np.float32))


def _range(volume: Any, task: Task) -> float:
    """Robust range of a sample of the voxels."""
    apart = max(1, round((volume.size / 2**17) ** (1 / 3)))
    sample = volume[::apart, ::apart, ::apart]
    if interop.on_host(sample):
        return host.robust_range(sample)
    plain = _units(sample, 0).reshape(len(sample), -1)
    return float(task.engine.robust_range(plain, task.run).get()[0])


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
