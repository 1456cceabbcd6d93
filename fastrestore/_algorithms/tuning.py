"""Choice of the strength and the profile of BM3D on the noisy image itself, by SURE."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._algorithms.bm3d import bm3d
from fastrestore._algorithms.info import Info, Trial
from fastrestore._algorithms.restored import Restored
from fastrestore._arrays import interop, validate
from fastrestore._arrays.progress import reporting
from fastrestore._noise.spec import NoiseSpec
from fastrestore._noise.vst import PoissonGaussian
from fastrestore.metrics import sure

STRENGTHS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4)
COARSE = (0.8, 1.0, 1.2)  # measured first, then the neighbors of the best
KEPT = (1.0,)  # the strength, if correlated noise was estimated: see docs/decisions/0032
# Of white noise no profile has less error than "np" by more than the estimate of one image can
# distinguish; of correlated noise "vn", with larger blocks, and "iterative" may have.
PROFILES = ("np",)
CORRELATED = ("np", "vn", "iterative")
CORRELATED_BY_BRIGHTNESS = ("np", "vn")  # "iterative" needs a level that does not vary
# Another choice than the default must have less error by this multiple of the variance of the
# noise, over the square root of the number of measured values: the estimates are not more precise.
DOUBT = 0.8
EXPECTED = 9  # trials, of which progress is reported
VALUES = 2**17  # of which errors are measured at least, by as many probes as necessary,
MOST_PROBES = 4  # but not by more than these
SIDE = 256  # pixels: of images with more than four squares of this side, four are measured


class Part(NamedTuple):
    """A part of an image with its noise and its mask, as arguments of `bm3d`."""

    image: Any
    noise: dict[str, Any]  # sigma= or noise=
    mask: NDArray[np.bool_] | None


def tuned(image: Any, sigma: Any, mask: Any, options: dict[str, Any]) -> Restored:
    """Return the result of `bm3d` with the best profile and strength, and its `Info`.

    `options` are arguments of `bm3d`. A profile of None is chosen, others are kept.
    """
    _check_noise(options["noise"])
    fixed = {**options, "profile": options["profile"] or "np", "progress": False}
    with reporting(options["progress"], "denoise") as report:
        first: Restored = bm3d(image, sigma, mask=mask, return_info=True, **fixed)
        info = first[1]
        if not np.any(info.sigma):
            report(1.0)
            return first  # without noise
        noise = {"sigma": info.sigma} if info.noise is None else {"noise": info.noise}
        axis = options["channel_axis"]
        search = Search(parts(image, noise, mask, axis), axis, fixed, report)
        search.strengths = strengths(info)
        best = search.best(candidates(options["profile"], info.noise))
        if (best.profile, best.strength) != (fixed["profile"], 1.0):
            chosen = fixed | noise | best.choice()
            first = bm3d(image, mask=mask, return_info=True, **chosen)
        report(1.0)
    used: dict[str, Any] = {"profile": first[1].profile, "strength": best.strength}
    info = replace(info, trials=tuple(search.trials.values()), **used)
    return Restored(first[0], info, image, axis)


def _check_noise(noise: Any) -> None:
    """Raise unless the variance of the noise is known."""
    if not (noise is None or isinstance(noise, (str, NoiseSpec, PoissonGaussian))):
        raise TypeError(
            "tune=True needs noise whose variance is known: a NoiseSpec, a PoissonGaussian or the "
            f"name of a model, got noise={validate.quoted(noise)}"
        )


def candidates(profile: Any, noise: Any) -> tuple[Any, ...]:
    """Return the profiles to compare, the default first; only the given one if there is one."""
    if profile is not None:
        return (profile,)
    if not _is_correlated(noise):
        return PROFILES
    return CORRELATED if noise.levels.shape[1] == 1 else CORRELATED_BY_BRIGHTNESS


def strengths(info: Info) -> tuple[float, ...]:
    """Return the strengths to compare."""
    return KEPT if info.estimated and _is_correlated(info.noise) else STRENGTHS


def _is_correlated(noise: Any) -> bool:
    """Whether the noise has a spectrum."""
    return isinstance(noise, NoiseSpec) and noise.spectrum.size > len(noise.sigma) ** 2


class Search:
    """Search for the choice of the least estimated error; each choice is measured once."""

    def __init__(
        self,
        parts: list[Part],
        channel_axis: int | None,
        options: dict[str, Any],
        report: Callable[[float], None],
    ) -> None:
        self.parts, self.channel_axis = parts, channel_axis
        self.options, self.report = options, report
        self.strengths: tuple[float, ...] = STRENGTHS
        self.pixels = sum(_pixels(part) for part in parts)
        self.probes = min(MOST_PROBES, math.ceil(VALUES / self.pixels))
        self.trials: dict[tuple[Any, float], Trial] = {}

    def best(self, profiles: tuple[Any, ...]) -> Trial:
        """Return the best choice, or the default unless another one is clearly better."""
        default = self.trial(profiles[0], 1.0)
        coarse = [each for each in COARSE if each in self.strengths]
        best = self._climb(min((self.trial(profiles[0], each) for each in coarse), key=_error))
        for profile in profiles[1:]:
            other = self.trial(profile, best.strength)
            if other.sure < best.sure:
                best = self._climb(other)
        return best if best.sure < default.sure - self._doubt() else default

    def _doubt(self) -> float:
        """Return the difference of two estimates that may be due to chance."""
        # The estimate for an image that is returned as it is: the variance of the noise
        variance = self._mean(lambda part: self._sure(lambda image: image, part))
        return DOUBT * variance / math.sqrt(self.pixels * self.probes)

    def _climb(self, start: Trial) -> Trial:
        """Move to the better of the two neighboring strengths as long as there is one."""
        place = self.strengths.index(start.strength)
        near = self.strengths[max(0, place - 1) : place + 2]
        best = min((self.trial(start.profile, each) for each in near), key=_error)
        return start if best.sure >= start.sure else self._climb(best)

    def trial(self, profile: Any, strength: float) -> Trial:
        """Estimate the error of a choice, over all parts."""
        key = (profile, strength)
        if key not in self.trials:
            empty = Trial(profile, strength, 0.0)
            error = self._mean(lambda part: self._measure(part, empty))
            self.trials[key] = empty._replace(sure=error)
            self.report(1 / EXPECTED)
        return self.trials[key]

    def _mean(self, measure: Callable[[Part], float]) -> float:
        """Return the mean of a measure of the parts, by their number of valid pixels."""
        total = sum(measure(part) * _pixels(part) for part in self.parts)
        return total / self.pixels

    def _measure(self, part: Part, trial: Trial) -> float:
        """Estimate the error of a choice on one part."""
        given = self.options | part.noise | trial.choice()

        def restored(image: Any) -> Any:
            return bm3d(interop.place_like(image, part.image), mask=part.mask, **given)

        return self._sure(restored, part)

    def _sure(self, restore: Callable[[Any], Any], part: Part) -> float:
        """Estimate the error of a function on one part; all functions get the same probes."""
        (noise,) = part.noise.values()
        return sure(restore, part.image, noise, channel_axis=self.channel_axis, mask=part.mask,
                    probes=self.probes)  # fmt: skip


def _error(trial: Trial) -> float:
    return trial.sure


def _pixels(part: Part) -> int:
    """Return the number of valid pixels."""
    return int(part.image.size if part.mask is None else np.count_nonzero(part.mask))


def parts(
    image: Any, noise: dict[str, Any], mask: Any, channel_axis: int | None
) -> list[Part]:  # fmt: skip
    """Return the image, or squares in its four quarters if it is large."""
    values, _ = interop.recognize("image", image)
    valid = None if mask is None else _whole_mask(mask, values, channel_axis)
    spatial = [k for k in range(values.ndim) if channel_axis is None or k != channel_axis % 3]
    sizes = [values.shape[k] for k in spatial]
    every = Part(values, noise, valid)
    if sizes[0] * sizes[1] <= 4 * SIDE**2:
        return [every]
    starts = [sorted({_start(size, 1), _start(size, 3)}) for size in sizes]
    found = []
    for corner in product(*starts):
        read = [slice(None)] * values.ndim
        for axis, first in zip(spatial, corner, strict=True):
            read[axis] = slice(first, first + SIDE)
        found.append(_part(every, tuple(read), channel_axis))
    return [part for part in found if _is_usable(part, channel_axis)] or [every]


def _start(size: int, quarter: int) -> int:
    """Return the first pixel of a square whose center is at 1 or 3 quarters of an axis."""
    return max(0, min(size - SIDE, quarter * size // 4 - SIDE // 2))


def _whole_mask(mask: Any, values: Any, channel_axis: int | None) -> NDArray[np.bool_] | None:
    """Return a mask in the shape of the image, or None if all pixels are valid."""
    valid = validate.mask("mask", mask, values.shape, channel_axis)
    if valid is None:
        return None
    whole = np.empty(values.shape, bool)
    interop.channels_first(whole, channel_axis)[...] = valid
    return whole


def _part(every: Part, read: tuple[slice, ...], channel_axis: int | None) -> Part:
    """Return a part of an image; a map of the noise level is cut as well."""
    noise, mask, shape = dict(every.noise), every.mask, every.image.shape
    level = noise.get("sigma")
    if isinstance(level, np.ndarray) and level.ndim >= 2:
        if level.ndim < len(shape) and channel_axis is not None:
            level = np.expand_dims(level, channel_axis)
        noise["sigma"] = np.broadcast_to(level, shape)[read]
    return Part(every.image[read], noise, None if mask is None else mask[read])


def _is_usable(part: Part, channel_axis: int | None) -> bool:
    """Whether each channel of a part has valid pixels."""
    if part.mask is None:
        return True
    planes = interop.channels_first(part.mask, channel_axis)
    return all(plane.any() for plane in planes)
