"""Choice of the simplest model of the noise that the frames of a video support.

The noise of single frames is estimated as that of images, and pooled. Texture that fills a frame
adds to it. Where nothing moves, half the difference of two frames has no texture, and a lower
estimate from differences replaces that of the frames. Copied parts of compressed frames have no
difference either; they are recognized, and then only the frames count.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray
from fastrestore._noise.choice import COLORED, Choice, choose
from fastrestore._noise.clipping import Clipping
from fastrestore._noise.counts import counts_noise_of_frames
from fastrestore._noise.estimate import sigmas
from fastrestore._noise.spec import NoiseSpec

SOME = 3  # frames, and pairs of frames, of which the median is taken
LOWER = 0.98  # levels of differences count if they are lower by more than chance
HIGHER = 1.15  # ratio of levels above which differences have structure that moves
# The noise of frames is independent if all have the same level, up to a factor, if differences of
# distant frames have that of neighbors, and if no more pixels are equal than rounding makes equal
STEADY, ALIKE, EQUAL, FEW_EQUAL = 1.1, 1.04, 1.5, 0.02
# Least ratio of the level of counts to that of white noise, which is that of the flattest parts
LEAST = 0.8
# Noise is clipped where the mean of a square of this side is as near to an end of the range, in
# standard deviations
SIDE, CLIPPED = 8, 2.0
CALM = 0.25  # quantile of the squares, by energy, that shows the noise
# Scenes are from one source if their levels differ by no more than a factor. Estimates from as many
# frames as WEIGHT have the weight of all scenes before
SOURCE, WEIGHT = 1.5, 4


Difference = tuple[FloatArray, NDArray[np.bool_] | None]  # of frames, and where it is valid


class Film(NamedTuple):
    """Frames (C, M, N) of a scene on the host, and where each is valid (None: everywhere)."""

    frames: list[NDArray[Any]]
    masks: list[NDArray[np.bool_] | None]

    def varying(self) -> Film:
        """Return the frames that are not constant."""
        pairs = zip(self.frames, self.masks, strict=True)
        kept = [(frame, mask) for frame, mask in pairs if (frame != frame.flat[0]).any()]
        return Film(*map(list, zip(*kept, strict=True))) if kept else Film([], [])

    def valid(self) -> NDArray[np.bool_] | None:
        """Return where the frames are valid, (T, 1 or C, M, N), None: everywhere."""
        if all(mask is None for mask in self.masks):
            return None
        shape = self.frames[0].shape
        return np.stack([np.broadcast_to(True if m is None else m, shape) for m in self.masks])

    def difference(self, one: int, other: int, level: FloatArray) -> Difference:
        """Return the difference of two frames, of the noise level of one, and where it is valid.

        Areas where noise of a level (C,) is clipped are not valid.
        """
        first, second = (self.frames[k].astype(np.float64) for k in (one, other))
        masks = [self.masks[one], self.masks[other], _unclipped((first + second) / 2, level)]
        valid = None
        for mask in masks:
            if mask is not None:
                valid = mask if valid is None else valid & mask
        return (second - first) / math.sqrt(2), valid


def choose_in_film(film: Film, model: str) -> Choice:
    """Estimate the noise of a scene with a model, or with the simplest that fits."""
    moving = film.varying()
    if not moving.frames:
        return choose(film.frames[0], film.masks[0], model)
    some = _spread(len(moving.frames))
    levels = np.array([sigmas(moving.frames[k], moving.masks[k]) for k in some])
    between = _between(moving, levels)
    if between is None and model not in ("auto", "white"):
        return _of_frames(moving, model, levels)
    if between is None:
        k = int(levels.sum(1).argmax())  # the frame with the strongest noise
        one = choose(moving.frames[some[k]], moving.masks[some[k]], model)
        return _plausible(one, levels[k], model)
    if model == "auto":
        counts = counts_noise_of_frames(np.stack(moving.frames), moving.valid())
        lowest = np.minimum(_median(levels), between)
        if counts is not None and _reaches(counts, lowest):
            return Choice(counts, "the variance of the noise rises linearly with the brightness")
    pooled = _of_frames(moving, model, levels)
    if model == "auto" and _is_correlated(pooled.spec) and _is_white_between(moving, between):
        simpler = "white" if pooled.spec.levels.shape[1] == 1 else "signal-dependent"
        pooled = _of_frames(moving, simpler, levels)
        pooled = pooled._replace(reason="the noise of differences of frames is white")
    return _without_texture(moving, pooled, between)


def _is_correlated(spec: NoiseSpec) -> bool:
    """Whether noise has a spectrum."""
    return spec.spectrum.size > len(spec.sigma) ** 2


def _is_white_between(film: Film, levels: FloatArray) -> bool:
    """Whether the noise of most differences is nearly white, so that a spectrum is texture."""
    found = [choose(*each, "correlated").spec.sigma for each in _pairs(film, 1, levels)]
    return not (np.median(found, axis=0) ** 2 > COLORED * levels**2).any()


def followed(before: Choice, now: Choice, count: int) -> Choice:
    """Return the noise of a scene from its estimate of `count` frames, and the scene before.

    The noise of one source changes slowly, and chance less if scenes are averaged.
    """
    old, new = before.spec, now.spec
    known = (old.sigma > 0) & (new.sigma > 0)
    if old.model != new.model or new.distribution is not None or not known.all():
        return now
    ratio = old.sigma / new.sigma
    if max(float(ratio.max()), 1 / float(ratio.min())) > SOURCE:
        return now
    factors = ratio ** (WEIGHT / (WEIGHT + count))
    return now._replace(spec=_scaled(new, factors))


def has_white_noise(film: Film) -> bool:
    """Whether a frame has white noise; faster than `choose_in_film`."""
    return any(sigmas(*each).any() for each in zip(film.frames, film.masks, strict=True))


def _of_frames(film: Film, model: str, levels: FloatArray) -> Choice:
    """Pool the estimates of some frames, whose levels of white noise are (K, C)."""
    some, middle = _spread(len(film.frames)), int(levels.sum(1).argsort()[len(levels) // 2])
    first = Choice(NoiseSpec.white(*_median(levels)), "the model 'white' was requested")
    if model != "white":
        first = choose(film.frames[some[middle]], film.masks[some[middle]], model)
    first = _plausible(first, _median(levels), model)
    if first.spec.model == "white":
        return first._replace(spec=NoiseSpec.white(*_median(levels)))
    if first.spec.distribution is not None:
        return first
    others = [choose(film.frames[k], film.masks[k], first.spec.model) for k in some]
    specs = [each.spec for each in others if each.spec.sigma.any()] or [first.spec]
    return first._replace(spec=_pooled(_middle(specs), specs))


def _plausible(choice: Choice, levels: FloatArray, model: str) -> Choice:
    """Return white noise of these levels if other noise was chosen that is much weaker."""
    if model != "auto" or choice.spec.model == "white" or _reaches(choice.spec, levels):
        return choice
    return Choice(NoiseSpec.white(*levels), "other models do not reach the level of white noise")


def _reaches(spec: NoiseSpec, levels: FloatArray) -> bool:
    """Whether the noise is as strong as white noise, which is that of the flattest parts."""
    return not (spec.sigma < LEAST * levels).any()


def _median(levels: FloatArray) -> FloatArray:
    """Return the median level of the frames with noise, for each channel of (K, C)."""
    found = [each[each > 0] for each in levels.T]
    return np.array([np.median(each) if len(each) else 0.0 for each in found])


def _middle(specs: list[NoiseSpec]) -> NoiseSpec:
    """Return the noise of the median level."""
    return sorted(specs, key=lambda each: float(each.sigma.sum()))[len(specs) // 2]


def _pooled(middle: NoiseSpec, specs: list[NoiseSpec]) -> NoiseSpec:
    """Return noise with the median levels of some estimates, like that of one of them."""
    if middle.distribution is not None or len(specs) == 1:
        return middle
    brightness = middle.brightness
    curves = [
        [
            np.interp(at, *table)
            for at, *table in zip(brightness, s.brightness, s.levels, strict=True)
        ]
        for s in specs
    ]
    spectra = [s.spectrum for s in specs if s.spectrum.shape == middle.spectrum.shape]
    return replace(
        middle,
        sigma=np.median([s.sigma for s in specs], axis=0),
        levels=np.median(curves, axis=0),
        spectrum=np.mean(spectra, axis=0),
    )


def _without_texture(film: Film, pooled: Choice, between: FloatArray) -> Choice:
    """Lower the estimate to that of differences of frames, whose level of white noise is known."""
    spec = pooled.spec
    if spec.distribution is not None or not spec.sigma.any():
        return pooled
    if _is_correlated(spec):
        return _with_spectrum_between(film, pooled)
    if not between.all() or not (between < LOWER * spec.sigma).any():
        return pooled
    ratio = np.divide(between, spec.sigma, where=spec.sigma > 0, out=np.ones(len(between)))
    return _changed(pooled, _scaled(spec, np.minimum(1, ratio)))


def _with_spectrum_between(film: Film, pooled: Choice) -> Choice:
    """Replace a spectrum by that of differences of frames, unless they have more structure.

    The lowest frequencies of a frame are hidden by its structure, and estimated too low.
    """
    spec = pooled.spec
    found = [choose(*each, "correlated").spec for each in _pairs(film, 1, spec.sigma)]
    between = _pooled(_middle(found), found)
    if not between.sigma.all() or (between.sigma > HIGHER * spec.sigma).any():
        return pooled
    ratio = np.divide(between.sigma, spec.sigma, where=spec.sigma > 0, out=np.ones(len(spec.sigma)))
    return _changed(pooled, replace(_scaled(spec, ratio), spectrum=between.spectrum))


def _changed(pooled: Choice, spec: NoiseSpec) -> Choice:
    """Return noise that was changed to that of differences."""
    reason = f"{pooled.reason}; differences of frames have less texture"
    return Choice(spec, reason)


def _between(film: Film, levels: FloatArray) -> FloatArray | None:
    """Return the level of white noise of differences of frames.

    None if the noise of different frames is not independent, so that differences lack some of it.
    Levels of white noise vary by chance if the noise is not white, and those of blocks if something
    moves.
    """
    last = len(film.frames) - 1
    if last < 1:
        return None
    details = [_calm(_detail(film.frames[k])) for k in _spread(last + 1)]
    if _differ(levels, STEADY) and _differ(details, STEADY):
        return None
    near, far = (_pairs(film, lag, _median(levels)) for lag in (1, max(1, last - 1)))
    level, *others = (np.median([sigmas(*each) for each in pairs], axis=0) for pairs in (near, far))
    calm = [np.median([_calm(each) for each, _ in pairs], axis=0) for pairs in (near, far)]
    if _differ([level, *others], ALIKE) and _differ(calm, ALIKE):
        return None
    found: FloatArray = level
    return None if _copied(film, last, found).any() else found


def _pairs(film: Film, lag: int, level: FloatArray) -> list[Difference]:
    """Return some differences of frames at a distance, and where they are valid."""
    starts = _spread(len(film.frames) - lag)
    return [film.difference(k, k + lag, level) for k in starts]


def _differ(levels: Any, factor: float) -> bool:
    """Whether levels (K, C) of a channel differ by more than a factor."""
    return bool((np.max(levels, 0) > factor * np.min(levels, 0)).any())


def _detail(planes: NDArray[Any]) -> FloatArray:
    """Return the second differences of rows."""
    values = planes.astype(np.float64)
    return np.asarray(values[..., 2:] - 2 * values[..., 1:-1] + values[..., :-2])


def _calm(planes: FloatArray) -> FloatArray:
    """Return the root mean square of calm blocks of each channel (C, M, N)."""
    rows, columns = (max(1, n // SIDE) for n in planes.shape[1:])
    blocks = np.square(planes[:, : rows * SIDE, : columns * SIDE])
    tall, wide = (n // k for n, k in zip(blocks.shape[1:], (rows, columns), strict=True))
    blocks = blocks[:, : rows * tall, : columns * wide].reshape(-1, rows, tall, columns, wide)
    means = blocks.mean((2, 4)).reshape(len(planes), -1)
    calm: FloatArray = np.sqrt(np.quantile(means, CALM, axis=1))
    return calm


def _copied(film: Film, last: int, levels: FloatArray) -> NDArray[np.bool_]:
    """Whether parts of a frame are copies of the frame before, for each channel.

    Rounding, too, makes pixels with noise of some levels equal, and areas without noise are equal.
    """
    one, other = film.frames[last - 1 : last + 1]
    varies, equal = one[..., 1:] != one[..., :-1], (one == other)[..., 1:]
    shares = (varies & equal).sum((1, 2)) / np.maximum(1, varies.sum((1, 2)))
    step = 1.0 if one.dtype.kind in "iu" else _step(one)
    by_rounding = np.minimum(1, step / (2 * math.sqrt(math.pi) * np.maximum(levels, 1e-300)))
    copied: NDArray[np.bool_] = shares > EQUAL * by_rounding + FEW_EQUAL
    return copied


def _unclipped(mean: FloatArray, level: FloatArray) -> NDArray[np.bool_] | None:
    """Return where noise around a mean (C, M, N) is not clipped; None: everywhere."""
    from scipy.ndimage import uniform_filter

    inside = np.ones(mean.shape, bool)
    for plane, sigma, kept in zip(mean, level, inside, strict=True):
        clipping = Clipping.of(plane)
        if clipping.low is None and clipping.high is None:
            continue
        local = uniform_filter(plane, SIDE)
        low, high = clipping.low, clipping.high
        kept &= (low is None) | (local > (low or 0.0) + CLIPPED * sigma)
        kept &= (high is None) | (local < (high or 0.0) - CLIPPED * sigma)
    return None if inside.all() or not inside.any() else inside


def _step(values: NDArray[Any]) -> float:
    """Return the distance of values that were rounded; 0 if they were not."""
    found = np.unique(values[..., ::8])
    return float(np.median(np.diff(found))) if 1 < len(found) < values.size / 32 else 0.0


def _scaled(spec: NoiseSpec, factors: FloatArray) -> NoiseSpec:
    """Return noise whose level has a factor for each channel."""
    return replace(spec, sigma=factors * spec.sigma, levels=factors[:, None] * spec.levels)


def _spread(count: int) -> list[int]:
    """Return the numbers of some frames out of `count`, evenly distributed."""
    return sorted({int(k) for k in np.linspace(0, count - 1, SOME).round()})
